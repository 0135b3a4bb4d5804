import Compute
import Imaging

/// What of an axial slice a picture shows, and how large. Places are in mm from the centre of the slice's first voxel.
struct Frame: Equatable {
    /// The picture's left upper corner.
    let corner: SIMD2<Double>
    /// Millimetres across a pixel, the same in both directions.
    let pixel: Double
    /// Pixels across and down.
    let width, height: Int

    /// Pixels on the longer side of a picture of a body.
    static let bodyPixels = 640
    /// Pixels on a side of a picture of one lesion.
    static let lesionPixels = 360

    /// Shows a rectangle, the longer side of which gets so many pixels.
    init(from: SIMD2<Double>, to: SIMD2<Double>, longest: Int) {
        let size = to - from
        corner = from
        pixel = max(size.x, size.y) / Double(longest)
        width = max(1, Int((size.x / pixel).rounded()))
        height = max(1, Int((size.y / pixel).rounded()))
    }

    /// Shows the body in some slices of one scan: the largest thing above air in each, which leaves out the table, with
    /// a margin of 5 mm; all of the slice where there is none.
    init(aroundBodyIn slices: [Volume<Float>], team: ThreadTeam) {
        let (shape, spacing) = (slices[0].shape, slices[0].spacing)
        var found: Box?
        for slice in slices {
            // Of a scan that was windowed, air has whatever the lowest value is.
            let air = max(-300, (slice.voxels.min() ?? 0) + 50)
            let tissue = Volume<UInt8>(
                shape: Shape(shape.x, shape.y, 1), spacing: spacing, voxels: slice.voxels.map { $0 > air ? 1 : 0 })
            let parts = connectedComponents(of: tissue, where: { $0 != 0 }, team: team)
            guard let body = parts.max(by: { $0.voxelCount < $1.voxelCount })?.box else { continue }
            let (x, y) = (found?.x ?? body.x, found?.y ?? body.y)
            found = Box(
                x: min(x.lowerBound, body.x.lowerBound)..<max(x.upperBound, body.x.upperBound),
                y: min(y.lowerBound, body.y.lowerBound)..<max(y.upperBound, body.y.upperBound), z: 0..<1)
        }
        let box = found ?? Box(x: 0..<shape.x, y: 0..<shape.y, z: 0..<1)
        let inPlane = SIMD2(spacing.x, spacing.y)
        func edge(_ x: Int, _ y: Int) -> SIMD2<Double> { (SIMD2(Double(x), Double(y)) - 0.5) * inPlane }
        let low = edge(box.x.lowerBound, box.y.lowerBound) - 5
        let high = edge(box.x.upperBound, box.y.upperBound) + 5
        self.init(
            from: low.clamped(lowerBound: edge(0, 0), upperBound: edge(shape.x, shape.y)),
            to: high.clamped(lowerBound: edge(0, 0), upperBound: edge(shape.x, shape.y)), longest: Self.bodyPixels)
    }

    /// Shows a square around a lesion's diameter: twice as long, at least 60 mm.
    init(aroundDiameter ends: [SIMD2<Double>]) {
        let centre = (ends[0] + ends[1]) / 2
        let across = ends[1] - ends[0]
        let half = max(30, (across * across).sum().squareRoot())
        self.init(from: centre - half, to: centre + half, longest: Self.lesionPixels)
    }

    /// The place of a pixel's centre.
    func place(_ column: Int, _ row: Int) -> SIMD2<Double> {
        corner + (SIMD2(Double(column), Double(row)) + 0.5) * pixel
    }

    /// Where in the picture a place lies, in pixels: the first one's centre is 0, 0.
    func position(of place: SIMD2<Double>) -> SIMD2<Double> { (place - corner) / pixel - 0.5 }
}

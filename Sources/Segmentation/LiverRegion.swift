import Compute
import Imaging

/// Where in a CT stage 2 looks, and where its answer is taken.
struct LiverRegion {
    /// The rows, columns and slices that the network sees.
    let box: Box
    /// For each voxel of stage 1's grid, 1 where stage 2's answer is taken; nil takes all of the box.
    private let near: Volume<UInt8>?
    /// Where `near` begins on stage 1's grid.
    private let corner: SIMD3<Int>
    /// For each x, y and z of the CT, the place on stage 1's grid.
    private let places: [[Int]]

    /// A box of which all is taken.
    init(box: Box) {
        self.box = box
        near = nil
        corner = .zero
        places = []
    }

    /// The surroundings of a liver that stage 1 found: the network sees the component's box grown by `margin` in x and y;
    /// its answer is taken within `reach` of the component, the slices below and above it included.
    ///
    /// The reach mends what stage 1 missed of the rim and of the domes, and keeps out what hangs together with the liver
    /// only in stage 2's eyes.
    ///
    /// - Parameters:
    ///   - liver: the component on stage 1's grid, which has the shape `coarse` and the spacing `coarseSpacing` in mm.
    ///   - shape: the CT's.
    ///   - spacing: the CT's, in mm.
    ///   - margin: millimetres.
    ///   - reach: millimetres between voxel centres.
    /// - Returns: nil if no voxel centre of the CT falls near the component.
    init?(
        around liver: Component, coarse: Shape, coarseSpacing: SIMD3<Double>, shape: Shape, spacing: SIMD3<Double>,
        margin: Double, reach: Double, team: ThreadTeam
    ) {
        func grown(_ range: Range<Int>, axis: Int) -> Range<Int> {
            let voxels = Self.stepsWithin(reach, spacing: coarseSpacing[axis])
            return max(0, range.lowerBound - voxels)..<min(coarse[axis], range.upperBound + voxels)
        }
        let surroundings = Box(
            x: grown(liver.box.x, axis: 0), y: grown(liver.box.y, axis: 1), z: grown(liver.box.z, axis: 2))
        let corner = SIMD3(surroundings.x.lowerBound, surroundings.y.lowerBound, surroundings.z.lowerBound)
        var mask = Volume<UInt8>(shape: surroundings.shape, spacing: coarseSpacing, filledWith: 0)
        for run in liver.runs {
            let start = mask.shape.index(Int(run.xStart) - corner.x, Int(run.y) - corner.y, Int(run.z) - corner.z)
            for index in start..<start + run.count { mask.voxels[index] = 1 }
        }

        // The nearest voxel, as `resampleNearest` takes it.
        let places = (0..<3).map { axis in
            (0..<shape[axis]).map {
                min(Int((Double($0) + 0.5) * spacing[axis] / coarseSpacing[axis]), coarse[axis] - 1)
            }
        }
        func range(_ coarse: Range<Int>, axis: Int, margin: Double) -> Range<Int>? {
            let inside = places[axis].indices.filter { coarse.contains(places[axis][$0]) }
            guard let first = inside.first, let last = inside.last else { return nil }
            let voxels = Int((margin / spacing[axis]).rounded(.up))
            return max(0, first - voxels)..<min(shape[axis], last + 1 + voxels)
        }
        guard let x = range(liver.box.x, axis: 0, margin: margin), let y = range(liver.box.y, axis: 1, margin: margin),
            let z = range(surroundings.z, axis: 2, margin: 0)
        else { return nil }
        box = Box(x: x, y: y, z: z)
        near = Self.grown(mask, by: reach, team: team)
        self.corner = corner
        self.places = places
    }

    /// Slices whose distances are looked at together.
    private static let slab = 8

    /// A volume with the members of `mask` and what lies within `reach` mm of one, by exact distances. They are worked out
    /// slab by slab, each with the slices that it can reach: of the whole they would take 8 bytes a voxel.
    private static func grown(_ mask: Volume<UInt8>, by reach: Double, team: ThreadTeam) -> Volume<UInt8> {
        let plane = mask.shape.x * mask.shape.y
        var near = mask
        for first in stride(from: 0, to: mask.shape.z, by: slab) {
            let inside = first..<min(first + slab, mask.shape.z)
            let beyond = stepsWithin(reach, spacing: mask.spacing.z)
            let seen = max(0, first - beyond)..<min(mask.shape.z, inside.upperBound + beyond)
            let members = Volume(
                shape: Shape(mask.shape.x, mask.shape.y, seen.count), spacing: mask.spacing,
                voxels: Array(mask.voxels[seen.lowerBound * plane..<seen.upperBound * plane]))
            let distances = squaredDistances(to: members, team: team)
            let start = seen.lowerBound * plane
            for index in inside.lowerBound * plane..<inside.upperBound * plane
            where distances.voxels[index - start] <= reach * reach { near.voxels[index] = 1 }
        }
        return near
    }

    private static func stepsWithin(_ reach: Double, spacing: Double) -> Int { Int((reach / spacing).rounded(.down)) }

    /// Bytes that making a region takes at most, stage 1's answer included.
    ///
    /// - Parameters:
    ///   - coarse: stage 1's grid, all of which the liver may fill.
    ///   - spacing: its distance between slices in mm.
    ///   - reach: millimetres between voxel centres.
    static func memoryBytes(coarse: Shape, spacing: Double, reach: Double) -> Int {
        let slices = min(coarse.z, slab + 2 * stepsWithin(reach, spacing: spacing))
        // The answer, the component's mask and what it is grown to; of a slab the members and their distances.
        return 3 * coarse.count + 9 * coarse.x * coarse.y * slices
    }

    /// The same slices, but of each the whole, all of which is taken: as the paper did.
    func whole(_ shape: Shape) -> LiverRegion { LiverRegion(box: Box(x: 0..<shape.x, y: 0..<shape.y, z: box.z)) }

    /// Sets what lies outside the region to background in a row of labels.
    ///
    /// - Parameters:
    ///   - slice: counted from the box's first.
    ///   - row: counted from the box's first.
    ///   - labels: as many as the box has columns.
    func clear(_ labels: UnsafeMutablePointer<UInt8>, row: Int, slice: Int) {
        guard let near else { return }
        let z = places[2][box.z.lowerBound + slice] - corner.z
        let y = places[1][box.y.lowerBound + row] - corner.y
        guard near.shape.z > z, z >= 0, near.shape.y > y, y >= 0 else {
            labels.update(repeating: Label.background, count: box.x.count)
            return
        }
        let start = near.shape.index(0, y, z)
        let width = near.shape.x
        near.voxels.withUnsafeBufferPointer { near in
            for column in 0..<box.x.count {
                let x = places[0][box.x.lowerBound + column] - corner.x
                if x < 0 || x >= width || near[start + x] == 0 { labels[column] = Label.background }
            }
        }
    }
}

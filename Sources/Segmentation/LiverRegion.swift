import Imaging

/// The box of a CT in which stage 2 looks: the largest liver component of stage 1 brought to the CT's grid (nearest
/// voxel), its z range, and its x-y range grown by `margin`.
///
/// - Parameters:
///   - liver: the component's box on stage 1's grid of spacing `coarse`, in mm.
///   - margin: millimetres on each side in x and y; nil takes whole slices, as the paper did.
/// - Returns: nil if no voxel centre of the CT falls into the box.
func liverRegion(
    of liver: Box, coarse: SIMD3<Double>, shape: Shape, spacing: SIMD3<Double>, margin: Double?
) -> Box? {
    func range(_ coarseRange: Range<Int>, axis: Int, count: Int, coarseCount: Int) -> Range<Int>? {
        let inside = (0..<count).filter { index in
            coarseRange.contains(min(Int((Double(index) + 0.5) * spacing[axis] / coarse[axis]), coarseCount - 1))
        }
        guard let first = inside.first, let last = inside.last else { return nil }
        return first..<last + 1
    }
    func grown(_ range: Range<Int>, axis: Int, count: Int) -> Range<Int> {
        guard let margin else { return 0..<count }
        let voxels = Int((margin / spacing[axis]).rounded(.up))
        return max(0, range.lowerBound - voxels)..<min(count, range.upperBound + voxels)
    }
    let coarseShape = resampledShape(shape, from: spacing, to: coarse)
    guard let x = range(liver.x, axis: 0, count: shape.x, coarseCount: coarseShape.x),
        let y = range(liver.y, axis: 1, count: shape.y, coarseCount: coarseShape.y),
        let z = range(liver.z, axis: 2, count: shape.z, coarseCount: coarseShape.z)
    else { return nil }
    return Box(x: grown(x, axis: 0, count: shape.x), y: grown(y, axis: 1, count: shape.y), z: z)
}

public import Imaging
import Inference

/// What segmenting one scan takes, known before it begins.
public struct ScanCost: Equatable, Sendable {
    /// Bytes at the peak, at most: the scan's volumes, the network's workspace, its weights.
    public let bytes: Int
    /// Work in proportion to time, in millions of voxels.
    public let work: Double
}

extension Segmenter {
    /// The cost of a scan of this grid.
    ///
    /// The peak holds the CT (4 bytes a voxel) and the larger of stage 1's copy (5 bytes a voxel at its own spacing), of
    /// the liver's region, and of stage 2's labels, on its box and on the whole grid (2 bytes a voxel if the box is the whole scan, and as much
    /// again for probabilities). Measured peaks are 0.6 to 0.9 of it: docs/performance.md.
    ///
    /// - Parameters:
    ///   - shape: voxels on canonical axes.
    ///   - spacing: mm on canonical axes.
    ///   - hasReference: whether the result is scored.
    public func cost(
        shape: Shape, spacing: SIMD3<Double>, options: Options, hasReference: Bool
    ) -> ScanCost {
        let coarse = liver.metadata.spacing.map { resampledShape(shape, from: spacing, to: $0) } ?? shape
        let voxels = shape.count
        let region = LiverRegion.memoryBytes(
            coarse: coarse, spacing: (liver.metadata.spacing ?? spacing).z, reach: Self.reach)
        let stages = max(5 * coarse.count, region, voxels * (options.probabilities ? 4 : 2))
        let reference = hasReference ? voxels + voxels / 4 : 0
        let slack = 32 << 20
        let networks = [(liver, coarse), (lesion, shape)].reduce(0) { sum, part in
            let (stage, shape) = part
            let height = (shape.y + 15) / 16 * 16
            let width = (shape.x + 15) / 16 * 16
            return sum + stage.memoryBytes(height: height, width: width)
        }
        // Stage 2 sees the liver's box only: about a third of an abdomen.
        let work =
            (Double(liver.networks.count * coarse.count) + 0.3 * Double(lesion.networks.count * voxels)) / 1e6
        return ScanCost(bytes: 4 * voxels + stages + reference + networks + slack, work: work)
    }
}

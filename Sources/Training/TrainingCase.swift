public import Imaging

/// A CT with its mask, prepared for drawing samples.
public struct TrainingCase: Sendable {
    /// Where a case comes from.
    public enum Kind: Sendable {
        /// A scan whose slices are neighbours.
        case scan
        /// Slices that have nothing to do with one another.
        case singleSlices
        /// A synthetic scan.
        case phantom
    }

    /// The part of the file's name before `_ct`.
    public let name: String
    /// Where it comes from.
    public let kind: Kind
    /// HU rounded to whole numbers, on canonical axes.
    public let ct: Volume<Int16>
    /// The class of each voxel, or ``Batch/ignored``.
    public let labels: Volume<UInt8>
    /// The slices that may be the centre of a sample, ascending.
    public let centres: [Int]
}

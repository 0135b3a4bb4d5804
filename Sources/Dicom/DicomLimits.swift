import Imaging

/// What is accepted before memory, disk or time is spent on files from outside.
public struct DicomLimits: Equatable, Sendable {
    /// The most files, zip entries included, and the most slices in them.
    public var files = 20_000
    /// The most bytes that a zip may really inflate to.
    public var inflatedBytes = 8 << 30
    /// How many times its own size a zip may inflate to; CT slices deflate two to five times.
    public var inflation = 100
    /// The fewest slices of a volume.
    public var slices = 10
    /// The most voxels of the volume that is written.
    public var voxels = VolumeLimits().voxels

    /// The limits of a server.
    public init() {}
}

import Imaging

/// What is accepted before memory, disk or time is spent on files from outside.
public struct DicomLimits: Codable, Equatable, Sendable {
    /// The most files, zip entries included, and the most slices in them.
    public var files = 20_000
    /// The most bytes that a zip may really inflate to.
    public var inflatedBytes = 8 << 30
    /// How many times its own size a zip may inflate to, and all deflated data sets together; CT slices deflate two to
    /// five times.
    public var inflation = 100
    /// The most slices at one position: phases of a perfusion study are some dozens.
    public var slicesAtOnePosition = 128
    /// The fewest slices of a volume.
    public var slices = 10
    /// The most voxels of the volume that is written.
    public var voxels = VolumeLimits().voxels

    /// Inflated bytes are held against ``inflation`` only past this: small files may deflate well.
    private static let freeInflation = 16 << 20

    /// The limits of a server.
    public init() {}

    /// The most bytes that so many may inflate to.
    func inflatedBytes(of bytes: Int) -> Int {
        let (product, overflow) = bytes.multipliedReportingOverflow(by: inflation)
        return min(inflatedBytes, max(Self.freeInflation, overflow ? .max : product))
    }
}

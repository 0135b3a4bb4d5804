public import Foundation

/// What one pass over a file shows.
public struct ScanSummary: Codable, Equatable, Sendable {
    /// The judged header.
    public let header: NIfTIHeader
    /// The lowest and the highest finite value, after scaling: HU in a CT, labels in a mask.
    public let minimum, maximum: Double
    /// Voxels whose value is infinite or no number.
    public let nonFinite: Int
    /// Voxels that are exactly 0 after scaling; not counted in masks.
    public let zeros: Int
    /// Which share of the voxels at the four sides of the axial slices is denser than -200 HU; 0 in masks.
    public let tissueAtSides: Double
    /// Bytes of the file once inflated.
    public let inflatedBytes: Int
}

extension ScanSummary {
    /// Whether ``inspectScan(at:limits:voxels:)`` could have said this of a file: what another process says is to be held
    /// against it before it is computed with.
    public func isPossible(under limits: VolumeLimits) -> Bool {
        let voxels = header.storedShape.count
        return voxels <= limits.voxels && header.fileSize <= limits.inflatedBytes
            && (header.fileSize...header.fileSize + acceptedPadding).contains(inflatedBytes)
            && minimum.isFinite && maximum.isFinite && minimum <= maximum && maximum >= -500
            && (0...voxels).contains(nonFinite) && (0...voxels).contains(zeros) && (0...1).contains(tissueAtSides)
    }
}

/// Judges an uploaded CT without keeping it: one pass over the file in constant memory, whatever it inflates to.
///
/// The name does not matter; the content says whether it is compressed.
///
/// - Parameters:
///   - url: the file.
///   - limits: the most voxels and bytes accepted.
///   - voxels: is shown the voxels' bytes piece by piece as they are stored, so that they can be hashed in the same pass.
/// - Returns: the judged header and the range of its values in HU.
/// - Throws: the ``VolumeError`` of the first fault of header, length, compression or values: a volume is refused
///   whose voxels are all below -500 HU, all the same, or all not finite. One that would inflate too far is refused before
///   it is inflated.
public func inspectScan(
    at url: URL, limits: VolumeLimits = VolumeLimits(), voxels: (UnsafeRawBufferPointer) -> Void = { _ in }
) throws(VolumeError) -> ScanSummary {
    let summary = try inspect(url, limits: limits, asLabels: false, voxels: voxels)
    guard summary.minimum <= summary.maximum else { throw .notFinite }
    guard summary.minimum < summary.maximum || summary.nonFinite > 0 else { throw .constant(value: summary.minimum) }
    guard summary.maximum >= -500 else { throw .allAir(maximum: summary.maximum) }
    return summary
}

/// Judges an uploaded mask as ``inspectScan(at:limits:)`` does a CT, but for its values: each must be 0, 1 or 2. How far
/// it inflates does not matter: an empty mask inflates as far as gzip can.
///
/// - Parameter image: the header of the volume that it must lie on; nil for any. Looked at before any voxel.
/// - Throws: also ``VolumeError/gridMismatch(difference:)``, and ``VolumeError/notALabel(value:)`` with the first value
///   that is no label.
public func inspectMask(
    at url: URL, on image: NIfTIHeader? = nil, limits: VolumeLimits = VolumeLimits()
) throws(VolumeError) -> ScanSummary {
    try inspect(url, limits: limits, asLabels: true, image: image, voxels: { _ in })
}

/// Bytes after the last voxel that are passed over in silence: padding that some programs write.
private let acceptedPadding = 64 << 10

/// Reads as many bytes as a header takes, and no voxel.
func readHeader(from source: ByteSource, limits: VolumeLimits) throws(VolumeError) -> NIfTIHeader {
    let longest = HeaderLayout.two.size
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: longest, alignment: 16)
    defer { buffer.deallocate() }
    let shortest = HeaderLayout.one.size
    var count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<shortest]))
    if count == shortest, buffer.loadUnaligned(as: Int32.self).isNIfTI2 {
        count += try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[shortest...]))
    }
    let bytes = Array(buffer[..<count])
    if count < shortest, source.endedEarly { throw .truncated(expected: shortest, found: count) }
    return try NIfTIHeader(parsing: bytes, limits: limits)
}

extension Int32 {
    fileprivate var isNIfTI2: Bool { self == 540 || byteSwapped == 540 }
}

private func inspect(
    _ url: URL, limits: VolumeLimits, asLabels: Bool, image: NIfTIHeader? = nil,
    voxels show: (UnsafeRawBufferPointer) -> Void
) throws(VolumeError) -> ScanSummary {
    let source = try ByteSource(url)
    let header = try readHeader(from: source, limits: limits)
    if let difference = image.flatMap({ header.gridDifference(from: $0) }) {
        throw .gridMismatch(difference: difference)
    }
    let expected = header.fileSize
    if source.isCompressed, !asLabels, expected > VolumeLimits.freelyInflated {
        let ratio = expected / max(1, source.storedBytes)
        guard ratio <= limits.inflationRatio else { throw .inflatesTooFar(ratio: ratio, limit: limits.inflationRatio) }
    }
    var position = header.bytes.count
    position += try source.skip(header.voxelOffset - position)

    var range = ValueRange()
    var counts = ScanCounts()
    // A multiple of every voxel size, small enough to stay in the second-level cache.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
    defer { buffer.deallocate() }
    while position < expected {
        let wanted = min(buffer.count, expected - position)
        let found = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]))
        let firstVoxel = (position - header.voxelOffset) / header.voxelType.size
        position += found
        guard found == wanted else { throw .truncated(expected: expected, found: position) }
        let voxels = UnsafeRawBufferPointer(rebasing: buffer[..<found])
        show(voxels)
        range = header.voxelType.accept(RangeScan(voxels: voxels, header: header, asLabels: asLabels, before: range))
        if let value = range.notALabel { throw .notALabel(value: value) }
        if !asLabels {
            let scan = CountingScan(voxels: voxels, firstVoxel: firstVoxel, header: header)
            header.voxelType.accept(scan).add(to: &counts)
        }
    }
    guard position == expected else { throw .truncated(expected: expected, found: position) }
    let padding = try source.skip(acceptedPadding + 1)
    guard padding <= acceptedPadding else { throw .longerThanDeclared(expected: expected) }
    guard !source.endedEarly else { throw .truncated(expected: expected, found: position) }
    return ScanSummary(
        header: header, minimum: range.minimum, maximum: range.maximum, nonFinite: range.nonFinite,
        zeros: counts.zeros, tissueAtSides: Double(counts.tissueAtSides) / Double(header.voxelsAtSides),
        inflatedBytes: position + padding)
}

/// What the voxels seen so far span, after scaling.
private struct ValueRange {
    var minimum = Double.infinity
    var maximum = -Double.infinity
    var nonFinite = 0
    var notALabel: Double?
}

/// Widens a range by a piece of the file.
private struct RangeScan: VoxelTypeVisitor {
    let voxels: UnsafeRawBufferPointer
    let header: NIfTIHeader
    let asLabels: Bool
    let before: ValueRange

    func visit<Stored: StoredVoxel>(_ type: Stored.Type) -> ValueRange {
        let voxels = voxels.bindMemory(to: type)
        return asLabels ? labels(voxels) : Stored.isFloat ? floats(voxels) : integers(voxels)
    }

    /// Compares the stored numbers and scales the two ends only.
    private func integers<Stored: StoredVoxel>(_ voxels: UnsafeBufferPointer<Stored>) -> ValueRange {
        guard let first = voxels.first else { return before }
        let swapped = header.isByteSwapped
        var low = swapped ? first.byteSwapped : first
        var high = low
        for raw in voxels {
            let value = swapped ? raw.byteSwapped : raw
            low = value < low ? value : low
            high = value > high ? value : high
        }
        let ends = [low, high].map { $0.real * header.slope + header.intercept }
        // A slope may lift whole numbers beyond single precision: then each is looked at, for they are read as air.
        guard ends.allSatisfy({ Float($0).isFinite }) else { return floats(voxels) }
        var range = before
        range.minimum = min(range.minimum, ends[0], ends[1])
        range.maximum = max(range.maximum, ends[0], ends[1])
        return range
    }

    private func floats<Stored: StoredVoxel>(_ voxels: UnsafeBufferPointer<Stored>) -> ValueRange {
        var range = before
        for raw in voxels {
            let value = (header.isByteSwapped ? raw.byteSwapped : raw).real * header.slope + header.intercept
            guard Float(value).isFinite else {
                range.nonFinite += 1
                continue
            }
            range.minimum = value < range.minimum ? value : range.minimum
            range.maximum = value > range.maximum ? value : range.maximum
        }
        return range
    }

    private func labels<Stored: StoredVoxel>(_ voxels: UnsafeBufferPointer<Stored>) -> ValueRange {
        var range = before
        for raw in voxels {
            let value = (header.isByteSwapped ? raw.byteSwapped : raw).real * header.slope + header.intercept
            guard let label = label(of: value) else {
                range.notALabel = value
                return range
            }
            range.minimum = min(range.minimum, Double(label))
            range.maximum = max(range.maximum, Double(label))
        }
        return range
    }
}

/// The label that a scaled value stands for: 0, 1 or 2, or nil where it is further than 0.001 from each.
///
/// The margin is for masks stored with a slope such as 2/255.
@inline(__always) func label(of value: Double) -> UInt8? {
    let nearest: UInt8 = value < 0.5 ? 0 : value < 1.5 ? 1 : 2
    return abs(value - Double(nearest)) <= 1e-3 ? nearest : nil
}

public import Compute
public import Foundation
import Synchronization

/// A CT in memory.
public struct CTScan: Sendable {
    /// The header of the file it came from.
    public let header: NIfTIHeader
    /// Hounsfield units on canonical axes.
    public var volume: Volume<Float>

    /// A CT of the shape that `header` has on canonical axes.
    public init(header: NIfTIHeader, volume: Volume<Float>) {
        precondition(volume.shape == header.shape, "a volume of \(volume.shape) under a header of \(header.shape)")
        self.header = header
        self.volume = volume
    }
}

/// A label map in memory.
public struct LabelMap: Sendable {
    /// The header of the file it came from.
    public let header: NIfTIHeader
    /// 0, 1 or 2 (``Label``) on canonical axes.
    public var volume: Volume<UInt8>

    /// A label map of the shape that `header` has on canonical axes.
    public init(header: NIfTIHeader, volume: Volume<UInt8>) {
        precondition(volume.shape == header.shape, "a mask of \(volume.shape) under a header of \(header.shape)")
        self.header = header
        self.volume = volume
    }
}

/// Reads a CT as Hounsfield units on canonical axes.
///
/// The header is judged first; voxels then go through libnifti in slabs of a few megabytes that `team` scales and
/// permutes in one pass, so that beside the result only one slab is held. Scan values are not judged: see
/// ``inspectScan(at:limits:)``. The file's name does not matter; its content says whether it is compressed.
///
/// - Parameters:
///   - url: a single-file NIfTI-1 or NIfTI-2, plain or gzip.
///   - limits: the most voxels and bytes accepted.
///   - team: the threads that convert voxels.
/// - Returns: HU; a voxel that is not finite is -1024 HU (air).
/// - Throws: the ``VolumeError`` of the header's first fault, or of a damaged file.
public func readCT(
    at url: URL, limits: VolumeLimits = VolumeLimits(), team: ThreadTeam
) throws(VolumeError) -> CTScan {
    let source = try ByteSource(url)
    let header = try readHeader(from: source, limits: limits)
    let decoder = HounsfieldDecoder(slope: header.slope, intercept: header.intercept)
    let volume = try readVoxels(
        path: url.path, header: header, isCompressed: source.isCompressed, decoder: decoder, team: team)
    return CTScan(header: header, volume: volume)
}

/// Reads a mask as labels on canonical axes.
///
/// - Parameters:
///   - url: a single-file NIfTI-1 or NIfTI-2 of any voxel type, plain or gzip.
///   - limits: the most voxels and bytes accepted.
///   - allowsUnknown: whether ``Label/unknown`` may stand in it.
///   - team: the threads that convert voxels.
/// - Returns: 0, 1 or 2, or 255 where that is allowed; a value after scaling may be 0.001 off a label.
/// - Throws: as ``readCT(at:limits:team:)``, and ``VolumeError/notALabel(value:)`` with the largest such value of the
///   first slab that holds one.
public func readLabels(
    at url: URL, limits: VolumeLimits = VolumeLimits(), allowsUnknown: Bool = false, team: ThreadTeam
) throws(VolumeError) -> LabelMap {
    let source = try ByteSource(url)
    let header = try readHeader(from: source, limits: limits)
    let decoder = LabelDecoder(
        slope: header.slope, intercept: header.intercept, allowsUnknown: allowsUnknown)
    let volume = try readVoxels(
        path: url.path, header: header, isCompressed: source.isCompressed, decoder: decoder, team: team)
    return LabelMap(header: header, volume: volume)
}

/// What a stored voxel becomes in memory.
private protocol VoxelDecoder: Sendable {
    associatedtype Output: BitwiseCopyable & Sendable
    func decode<Stored: StoredVoxel>(_ raw: Stored) -> Output
    /// What is wrong with the voxels decoded so far.
    var fault: VolumeError? { get }
}

struct HounsfieldDecoder: VoxelDecoder {
    let slope, intercept: Double
    var fault: VolumeError? { nil }

    @inline(__always) func decode<Stored: StoredVoxel>(_ raw: Stored) -> Float {
        let value = Float(raw.real * slope + intercept)
        return value.isFinite ? value : -1024
    }
}

private struct LabelDecoder: VoxelDecoder {
    let slope, intercept: Double
    let allowsUnknown: Bool
    private let worst = Worst()
    var fault: VolumeError? { worst.value.withLock { $0 }.map { .notALabel(value: $0) } }

    init(slope: Double, intercept: Double, allowsUnknown: Bool) {
        self.slope = slope
        self.intercept = intercept
        self.allowsUnknown = allowsUnknown
    }

    @inline(__always) func decode<Stored: StoredVoxel>(_ raw: Stored) -> UInt8 {
        let value = raw.real * slope + intercept
        if let label = label(of: value) { return label }
        if allowsUnknown, abs(value - Double(Label.unknown)) <= 0.001 { return Label.unknown }
        worst.note(value)
        return 0
    }

    private final class Worst: Sendable {
        let value = Mutex<Double?>(nil)

        /// Keeps the largest value, so that the answer does not hang on which thread comes first.
        @inline(never) func note(_ found: Double) {
            value.withLock { $0 = $0.map { $0.isNaN || found < $0 ? $0 : found } ?? found }
        }
    }
}

/// Bytes of stored voxels that are held at a time.
let slabBytes = 8 << 20

private func readVoxels<Decoder: VoxelDecoder>(
    path: String, header: NIfTIHeader, isCompressed: Bool, decoder: Decoder, team: ThreadTeam
) throws(VolumeError) -> Volume<Decoder.Output> {
    let stored = header.storedShape
    let sliceBytes = stored.x * stored.y * header.voxelType.size
    let slabDepth = min(stored.z, max(1, slabBytes / sliceBytes))
    let slab = UnsafeMutableRawBufferPointer.allocate(byteCount: slabDepth * sliceBytes, alignment: 64)
    defer { slab.deallocate() }
    var file = try NIfTIVoxels(path: path, header: header, isCompressed: isCompressed)

    /// Fills `output`, slab by slab.
    func load(into output: UnsafeMutablePointer<Decoder.Output>) throws(VolumeError) {
        for first in stride(from: 0, to: stored.z, by: slabDepth) {
            let slices = first..<min(first + slabDepth, stored.z)
            let piece = UnsafeMutableRawBufferPointer(rebasing: slab[..<(slices.count * sliceBytes)])
            try file.fill(piece)
            header.voxelType.accept(
                SlabConversion(
                    slab: UnsafeRawBufferPointer(piece), header: header, slices: slices, decoder: decoder,
                    output: output, team: team))
            if let fault = decoder.fault { throw fault }
        }
        try file.finish()
    }

    var failure: VolumeError?
    let voxels = [Decoder.Output](unsafeUninitializedCapacity: stored.count) { output, count in
        guard let start = output.baseAddress else { return }
        do throws(VolumeError) {
            try load(into: start)
            count = stored.count
        } catch {
            failure = error
        }
    }
    if let failure { throw failure }
    return Volume(shape: header.shape, spacing: header.spacing, voxelShare: header.voxelShare, voxels: voxels)
}

/// Decodes a slab of stored slices into an array on canonical axes.
private struct SlabConversion<Decoder: VoxelDecoder>: VoxelTypeVisitor {
    let slab: UnsafeRawBufferPointer
    let header: NIfTIHeader
    /// The slab's place along the third stored axis.
    let slices: Range<Int>
    let decoder: Decoder
    let output: UnsafeMutablePointer<Decoder.Output>
    let team: ThreadTeam

    func visit<Stored: StoredVoxel>(_ type: Stored.Type) {
        guard let input = slab.bindMemory(to: type).baseAddress else { return }
        let index = CanonicalIndex(axes: header.axes, storedShape: header.storedShape)
        let lengths = [header.storedShape.x, header.storedShape.y, slices.count]
        let inputSteps = [1, lengths[0], lengths[0] * lengths[1]]
        let start = index.base + slices.lowerBound * index.strides[2]
        // Results are written line by line in the order of memory, whatever order the file has.
        let order = [0, 1, 2].sorted { abs(index.strides[$0]) < abs(index.strides[$1]) }
        let (inner, middle, outer) = (order[0], order[1], order[2])

        let lines = lengths[middle] * lengths[outer]
        team.forEachChunk(of: lines, chunk: max(1, (1 << 16) / lengths[inner])) { range in
            for line in range {
                let (o, m) = line.quotientAndRemainder(dividingBy: lengths[middle])
                convert(
                    from: input + o * inputSteps[outer] + m * inputSteps[middle], step: inputSteps[inner],
                    to: output + start + o * index.strides[outer] + m * index.strides[middle],
                    step: index.strides[inner], count: lengths[inner])
            }
        }
    }

    private func convert<Stored: StoredVoxel>(
        from input: UnsafePointer<Stored>, step inputStep: Int, to output: UnsafeMutablePointer<Decoder.Output>,
        step outputStep: Int, count: Int
    ) {
        if header.isByteSwapped {
            for i in 0..<count { output[i * outputStep] = decoder.decode(input[i * inputStep].byteSwapped) }
        } else if inputStep == 1, outputStep == 1 {
            for i in 0..<count { output[i] = decoder.decode(input[i]) }
        } else {
            for i in 0..<count { output[i * outputStep] = decoder.decode(input[i * inputStep]) }
        }
    }
}

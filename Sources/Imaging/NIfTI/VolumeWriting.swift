public import Compute
public import Foundation
import Synchronization

/// Writes a mask on the grid of the file that it belongs to.
///
/// The file holds uint8 voxels with slope 1 in the input's own axes order, and the input's version, byte order, dim,
/// pixdim, units, sform, qform and their codes, byte for byte. Text that may name a patient is blanked, header
/// extensions are left out. It is written to a temporary name in the same folder, brought to disk, read again through
/// libnifti and compared voxel by voxel, and only then renamed; after a failure nothing is left.
///
/// - Parameters:
///   - labels: on canonical axes, of the shape of `header`.
///   - header: of the image that the mask belongs to.
///   - url: the file, replaced if it exists; its name says whether it is compressed (.nii.gz) or not (.nii).
///   - team: the threads that permute and compress.
/// - Throws: ``VolumeError/badOutputName``; ``VolumeError/diskFull``, ``VolumeError/writeFailed(reason:)`` and
///   ``VolumeError/verificationFailed(about:)``, which are not the user's fault.
public func writeLabels(
    _ labels: Volume<UInt8>, like header: NIfTIHeader, to url: URL, team: ThreadTeam
) throws(VolumeError) {
    precondition(labels.shape == header.shape, "a mask of \(labels.shape) does not fit a volume of \(header.shape)")
    try write(labels.voxels, header: header.forOutput(as: .uint8, slope: 1, intercept: 0), to: url, team: team)
}

/// Writes fractions in 255ths as uint8 voxels with slope 1/255, as safely as ``writeLabels(_:like:to:team:)``.
public func writeFractions(
    _ fractions: Volume<UInt8>, like header: NIfTIHeader, to url: URL, team: ThreadTeam
) throws(VolumeError) {
    precondition(fractions.shape == header.shape, "fractions do not fit a volume of \(header.shape)")
    // NIfTI-1 keeps the slope in single precision.
    let slope = Double(Float(1.0 / 255))
    try write(fractions.voxels, header: header.forOutput(as: .uint8, slope: slope, intercept: 0), to: url, team: team)
}

/// Writes a CT, stored as 16-bit integers on the axes of `header`, as safely as ``writeLabels(_:like:to:team:)``.
///
/// - Parameters:
///   - hu: Hounsfield units on canonical axes, of the shape of `header`.
///   - header: of type ``VoxelType/int16``; its slope and intercept say how HU are stored, rounded and clamped.
///   - url: the file, as for ``writeLabels(_:like:to:team:)``.
///   - team: the threads that permute and compress.
/// - Throws: as ``writeLabels(_:like:to:team:)``.
public func writeCT(
    _ hu: Volume<Int16>, header: NIfTIHeader, to url: URL, team: ThreadTeam
) throws(VolumeError) {
    precondition(hu.shape == header.shape, "a volume of \(hu.shape) does not fit a header of \(header.shape)")
    precondition(header.voxelType == .int16, "HU are written as int16, not \(header.voxelType)")
    let (slope, intercept) = (header.slope, header.intercept)
    let output = header.forOutput(as: .int16, slope: slope, intercept: intercept)
    if slope == 1, intercept == 0, !header.isByteSwapped {
        return try write(hu.voxels, header: output, to: url, team: team)
    }
    let stored = hu.voxels.map { value in
        let stored = Int16(min(32767, max(-32768, ((Double(value) - intercept) / slope).rounded())))
        return header.isByteSwapped ? stored.byteSwapped : stored
    }
    try write(stored, header: output, to: url, team: team)
}

extension NIfTIHeader {
    /// All of the header that decides what the stored voxels mean and what a mask on this grid looks like, without
    /// any word about the patient: headers with the same bytes here are of one geometry.
    public var meaning: [UInt8] { forOutput(as: voxelType, slope: slope, intercept: intercept).bytes }

    /// The header of a file on the same grid, of another voxel type, without a word about the patient.
    fileprivate func forOutput(as type: VoxelType, slope: Double, intercept: Double) -> NIfTIHeader {
        do throws(VolumeError) {
            var fields = try HeaderFields(recognising: bytes)
            let layout = fields.layout
            fields.blankDescriptions()
            fields.set(Int16(type.code), at: layout.datatype)
            fields.set(Int16(type.size * 8), at: layout.bitpix)
            fields.set(real: slope, at: layout.slope)
            fields.set(real: intercept, at: layout.intercept)
            let offset = layout.size + 4
            fields.set(voxelOffset: offset)
            return NIfTIHeader(
                fields: fields, storedShape: storedShape, voxelType: type, voxelOffset: offset, slope: slope,
                intercept: intercept, storedAffine: storedAffine)
        } catch {
            preconditionFailure("a judged header is not sound: \(error)")
        }
    }
}

private func write<Voxel: BitwiseCopyable & Sendable>(
    _ voxels: [Voxel], header: NIfTIHeader, to url: URL, team: ThreadTeam
) throws(VolumeError) {
    let name = url.lastPathComponent.lowercased()
    guard name.hasSuffix(".nii") || name.hasSuffix(".nii.gz") else { throw .badOutputName }
    let isCompressed = name.hasSuffix(".gz")
    let folder = url.deletingLastPathComponent()
    let mark = String(UInt64.random(in: .min ... .max), radix: 36)
    // libnifti goes by the name when it reads the file again.
    let temporary = folder.appending(path: ".hepar-\(mark).nii\(isCompressed ? ".gz" : "")")

    var failure: VolumeError?
    voxels.withUnsafeBytes { bytes in
        let rows = StoredRows(voxels: bytes.bindMemory(to: Voxel.self), header: header)
        do throws(VolumeError) {
            try writeFile(rows, header: header, to: temporary.path, isCompressed: isCompressed, team: team)
            try verify(rows, header: header, at: temporary.path, isCompressed: isCompressed, team: team)
            guard rename(temporary.path, url.path) == 0 else { throw writeError() }
        } catch {
            unlink(temporary.path)
            // What would be the sender's fault in a file from outside is ours in one we have just written.
            failure = error.isUsersFault ? .verificationFailed(about: error.code) : error
        }
    }
    if let failure { throw failure }
    try syncFolder(folder.path)
}

/// Voxels on canonical axes, handed out as the file's rows.
struct StoredRows<Voxel: BitwiseCopyable> {
    private let voxels: UnsafeBufferPointer<Voxel>
    private let index: CanonicalIndex
    private let shape: Shape

    init(voxels: UnsafeBufferPointer<Voxel>, header: NIfTIHeader) {
        self.voxels = voxels
        shape = header.storedShape
        index = CanonicalIndex(axes: header.axes, storedShape: shape)
    }

    /// How many rows the file has.
    var count: Int { shape.y * shape.z }
    /// Bytes of a row.
    var bytes: Int { shape.x * MemoryLayout<Voxel>.stride }

    /// Copies some rows, in the file's order.
    func copy(_ rows: Range<Int>, to output: UnsafeMutableRawPointer) {
        guard let input = voxels.baseAddress else { return }
        let step = index.strides[0]
        for (place, row) in rows.enumerated() {
            let (z, y) = row.quotientAndRemainder(dividingBy: shape.y)
            let start = input + index.base + y * index.strides[1] + z * index.strides[2]
            let target = (output + place * bytes).bindMemory(to: Voxel.self, capacity: shape.x)
            if step == 1 {
                target.update(from: start, count: shape.x)
            } else {
                for x in 0..<shape.x { target[x] = start[x * step] }
            }
        }
    }
}

/// Plain bytes of the blocks in which a file is made and compared.
private let blockBytes = 1 << 20

private func writeFile<Voxel>(
    _ rows: StoredRows<Voxel>, header: NIfTIHeader, to path: String, isCompressed: Bool, team: ThreadTeam
) throws(VolumeError) {
    let file = try OutputFile(path)
    let head = header.bytes + [0, 0, 0, 0]  // no header extensions
    if isCompressed {
        try writeGzip(rows, head: head, to: file, team: team)
    } else {
        try file.write(head)
        let rowsPerBlock = max(1, blockBytes / rows.bytes)
        let block = UnsafeMutableRawBufferPointer.allocate(byteCount: rowsPerBlock * rows.bytes, alignment: 64)
        defer { block.deallocate() }
        for first in stride(from: 0, to: rows.count, by: rowsPerBlock) {
            let range = first..<min(first + rowsPerBlock, rows.count)
            if let start = block.baseAddress { rows.copy(range, to: start) }
            try file.write(UnsafeRawBufferPointer(rebasing: block[..<(range.count * rows.bytes)]))
        }
    }
    try file.sync()
}

/// One gzip member, its blocks deflated on all threads. The bytes do not depend on the number of threads.
private func writeGzip<Voxel>(
    _ rows: StoredRows<Voxel>, head: [UInt8], to file: OutputFile, team: ThreadTeam
) throws(VolumeError) {
    let rowsPerBlock = max(1, blockBytes / rows.bytes)
    let plain = UnsafeMutableRawBufferPointer.allocate(
        byteCount: 2 * team.threads * rowsPerBlock * rows.bytes, alignment: 64)
    defer { plain.deallocate() }
    var blocks: [GzipBlock] = []
    // Level 1: masks shrink a hundredfold all the same, and a job waits for it.
    for _ in 0..<2 * team.threads {
        blocks.append(try GzipBlock(capacity: max(head.count, rowsPerBlock * rows.bytes), level: 1))
    }

    var checksum: UInt = 0
    var length = 0
    func append(_ block: GzipBlock, plainBytes: Int) throws(VolumeError) {
        try file.write(block.deflated)
        checksum = GzipBlock.combine(checksum, block.checksum, secondLength: plainBytes)
        length += plainBytes
    }
    try file.write(GzipBlock.header)
    head.withUnsafeBytes { blocks[0].deflate($0) }
    try append(blocks[0], plainBytes: head.count)

    for first in stride(from: 0, to: rows.count, by: blocks.count * rowsPerBlock) {
        let last = min(rows.count, first + blocks.count * rowsPerBlock)
        func range(_ slot: Int) -> Range<Int> {
            let start = min(last, first + slot * rowsPerBlock)
            return start..<min(last, start + rowsPerBlock)
        }
        team.forEach(blocks.count) { slot in
            let rowRange = range(slot)
            guard !rowRange.isEmpty, let start = plain.baseAddress else { return }
            let block = start + slot * rowsPerBlock * rows.bytes
            rows.copy(rowRange, to: block)
            blocks[slot].deflate(UnsafeRawBufferPointer(start: block, count: rowRange.count * rows.bytes))
        }
        for slot in blocks.indices where !range(slot).isEmpty {
            try append(blocks[slot], plainBytes: range(slot).count * rows.bytes)
        }
    }
    let trailer = GzipBlock.trailer(checksum: checksum, length: length)
    try file.write(trailer)
}

/// Reads a file again through libnifti and compares header and voxels with what was to be written.
func verify<Voxel>(
    _ rows: StoredRows<Voxel>, header: NIfTIHeader, at path: String, isCompressed: Bool, team: ThreadTeam
) throws(VolumeError) {
    guard let image = NIfTIImage(reading: path) else { throw .verificationFailed(about: "libnifti cannot read it") }
    guard image.extensions == 0 else { throw .verificationFailed(about: "extensions") }
    if let difference = image.difference(from: header) { throw .verificationFailed(about: difference) }
    let written = try readHeader(from: ByteSource(URL(filePath: path)), limits: .none)
    guard written.bytes == header.bytes else { throw .verificationFailed(about: "header") }

    var file = try NIfTIVoxels(path: path, header: written, isCompressed: isCompressed)
    let rowsPerBlock = max(1, blockBytes / rows.bytes)
    let slots = 2 * team.threads
    let size = slots * rowsPerBlock * rows.bytes
    let found = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
    let expected = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
    defer {
        found.deallocate()
        expected.deallocate()
    }
    let differences = Atomic<Int>(0)
    for first in stride(from: 0, to: rows.count, by: slots * rowsPerBlock) {
        let last = min(rows.count, first + slots * rowsPerBlock)
        try file.fill(UnsafeMutableRawBufferPointer(rebasing: found[..<((last - first) * rows.bytes)]))
        team.forEachChunk(of: last - first, chunk: rowsPerBlock) { range in
            guard let found = found.baseAddress, let expected = expected.baseAddress else { return }
            let offset = range.lowerBound * rows.bytes
            rows.copy(first + range.lowerBound..<first + range.upperBound, to: expected + offset)
            if memcmp(found + offset, expected + offset, range.count * rows.bytes) != 0 {
                differences.wrappingAdd(1, ordering: .relaxed)
            }
        }
        guard differences.load(ordering: .relaxed) == 0 else { throw .verificationFailed(about: "voxels") }
    }
    try file.finish()
}

import CZlib
import Compute
import Foundation
import Imaging

/// Small, so that a header cannot ask for much memory.
private let limits = VolumeLimits(voxels: 1 << 16, inflatedBytes: 1 << 20)

private let team = ThreadTeam(threads: 1)

/// A NIfTI file, plain or as it is: what `inspectScan` and `inspectMask` accept can be read, with the same header and the
/// same values; what is read can be written as a mask again; and no header passes whose numbers could do harm.
func fuzzNIfTI(_ input: UnsafeRawBufferPointer) throws(BrokenPromise) {
    if let header = outcome({ () throws(VolumeError) in try NIfTIHeader(parsing: Array(input), limits: limits) }).value
    {
        try checkHeader(header)
    }
    try Scratch.file(input) { (url) throws(BrokenPromise) in try checkFile(url) }
}

/// The same bytes plain and inside gzip, in one member or two, must be judged and read alike. The first byte says how the
/// gzip file is made; where it is 0 the rest is taken for the gzip file itself.
func fuzzGzip(_ input: UnsafeRawBufferPointer) throws(BrokenPromise) {
    guard let kind = input.first else { return }
    let rest = UnsafeRawBufferPointer(rebasing: input.dropFirst())
    guard kind > 0 else {
        return try Scratch.file(rest) { (url) throws(BrokenPromise) in try checkFile(url) }
    }
    // Plain bytes that are gzip themselves would be inflated on one side only.
    guard !(rest.count >= 2 && rest[0] == 0x1F && rest[1] == 0x8B) else { return }
    let cut = kind.isMultiple(of: 2) ? rest.count : rest.count * Int(kind) / 256
    let members = [rest[..<cut], rest[cut...]].filter { !$0.isEmpty }
    let packed = members.flatMap { gzip(UnsafeRawBufferPointer(rebasing: $0)) }
    guard !packed.isEmpty else { return }
    let plain = Scratch.file(rest) { Readings($0) }
    let inflated = packed.withUnsafeBytes { bytes in Scratch.file(bytes) { Readings($0) } }
    try promise(plain.scan == inflated.scan, "plain: \(plain.scan), gzip: \(inflated.scan)")
    try promise(plain.mask == inflated.mask, "plain: \(plain.mask), gzip: \(inflated.mask)")
    // What one cannot read the other cannot either; how a file that breaks off is described may differ.
    try promise(plain.voxels == inflated.voxels, "plain and gzip give other voxels")
    try promise(plain.labels == inflated.labels, "plain and gzip give other labels")
}

/// All that is read of a file.
private struct Readings {
    let scan, mask: Result<Summary, Refusal>
    let voxels: [Float]?
    let labels: [UInt8]?

    /// What must not depend on compression.
    struct Summary: Equatable {
        let header: NIfTIHeader
        let minimum, maximum, tissueAtSides: Double
        let nonFinite, zeros, inflatedBytes: Int

        init(_ summary: ScanSummary) {
            header = summary.header
            (minimum, maximum, tissueAtSides) = (summary.minimum, summary.maximum, summary.tissueAtSides)
            (nonFinite, zeros, inflatedBytes) = (summary.nonFinite, summary.zeros, summary.inflatedBytes)
        }
    }

    /// An error in words: a number in it may be NaN, which is equal to nothing.
    struct Refusal: Error, Equatable { let words: String }

    init(_ url: URL) {
        scan = outcome { () throws(VolumeError) in Summary(try inspectScan(at: url, limits: limits)) }
            .mapError { Refusal(words: $0.description) }
        mask = outcome { () throws(VolumeError) in Summary(try inspectMask(at: url, limits: limits)) }
            .mapError { Refusal(words: $0.description) }
        voxels =
            outcome { () throws(VolumeError) in try readCT(at: url, limits: limits, team: team) }.value?.volume.voxels
        labels =
            outcome { () throws(VolumeError) in try readLabels(at: url, limits: limits, team: team) }.value?.volume
            .voxels
    }
}

private func checkHeader(_ header: NIfTIHeader) throws(BrokenPromise) {
    let shape = header.storedShape
    try promise((0..<3).allSatisfy { shape[$0] >= 2 } && shape.count <= limits.voxels, "a shape of \(shape)")
    try promise(header.voxelOffset >= header.bytes.count, "voxels at \(header.voxelOffset)")
    try promise(header.fileSize <= limits.inflatedBytes, "a file of \(header.fileSize) bytes")
    try promise(header.slope.isFinite && header.intercept.isFinite && header.slope != 0, "slope \(header.slope)")
    for affine in [header.storedAffine, header.patientAffine] {
        for column in 0..<3 {
            for row in 0..<3 { try promise(affine[column][row].isFinite, "an affine of \(affine)") }
        }
    }
    for axis in 0..<3 { try promise((0.09...20.1).contains(header.spacing[axis]), "a spacing of \(header.spacing)") }
    let again = outcome { () throws(VolumeError) in try NIfTIHeader(parsing: header.meaning, limits: limits) }
    try promise(again.value?.storedAffine == header.storedAffine, "the cleaned header is another: \(again)")
    try promise(again.value?.storedShape == shape && again.value?.slope == header.slope, "the cleaned header differs")
}

private func checkFile(_ url: URL) throws(BrokenPromise) {
    let scan = outcome { () throws(VolumeError) in try inspectScan(at: url, limits: limits) }
    let mask = outcome { () throws(VolumeError) in try inspectMask(at: url, limits: limits) }
    let volume = outcome { () throws(VolumeError) in try readCT(at: url, limits: limits, team: team) }
    let labels = outcome { () throws(VolumeError) in try readLabels(at: url, limits: limits, team: team) }
    if let scan = scan.value {
        try promise(scan.minimum.isFinite && scan.maximum.isFinite, "\(scan.minimum)...\(scan.maximum) HU")
        try promise((0...1).contains(scan.tissueAtSides), "a share of \(scan.tissueAtSides)")
        try promise(scan.nonFinite + scan.zeros <= scan.header.shape.count, "more voxels than there are")
        // The words of the findings are made of these numbers.
        for finding in scan.findings { try promise(!finding.message.isEmpty, "an empty finding") }
        try checkReadable(volume.failure, "the scan")
    }
    if let volume = volume.value {
        try promise(volume.volume.voxels.allSatisfy(\.isFinite), "a voxel that is not finite")
        if let scan = scan.value {
            try promise(scan.header == volume.header, "two headers of one file")
            if scan.nonFinite == 0, let low = volume.volume.voxels.min(), let high = volume.volume.voxels.max() {
                let ends = [Float(scan.minimum), Float(scan.maximum)]
                try promise(ends == [low, high], "inspected \(ends) HU, read \(low)...\(high)")
            }
        }
        try checkSlices(url, volume)
    }
    if let mask = mask.value {
        try checkReadable(labels.failure, "the mask")
        try promise(mask.minimum >= 0 && mask.maximum <= 2, "labels \(mask.minimum)...\(mask.maximum)")
    }
    if let labels = labels.value {
        try promise(labels.volume.voxels.allSatisfy { $0 <= 2 }, "a label above 2")
        let output = url.deletingLastPathComponent().appending(path: "mask.nii")
        let written = outcome { () throws(VolumeError) in
            try writeLabels(labels.volume, like: labels.header, to: output, team: team)
            return try readLabels(at: output, limits: limits, team: team)
        }
        try promise(written.value?.volume.voxels == labels.volume.voxels, "not written as it was read: \(written)")
    }
}

/// What was accepted can be read, but for one reason: libnifti may understand a header otherwise, and then it is refused.
private func checkReadable(_ failure: VolumeError?, _ what: String) throws(BrokenPromise) {
    if case .readersDisagree? = failure { return }
    try promise(failure == nil, "\(what) was accepted and cannot be read: \(failure.map { "\($0)" } ?? "")")
}

private func checkSlices(_ url: URL, _ scan: CTScan) throws(BrokenPromise) {
    let shape = scan.header.shape
    let wanted = [shape.z - 1, 0]
    let read = outcome { () throws(VolumeError) in try readSlices(of: url, limits: limits) { _ in wanted } }
    guard let slices = read.value?.slices else {
        throw BrokenPromise(description: "slices of a readable scan cannot be read: \(read)")
    }
    let size = shape.x * shape.y
    for (slice, z) in zip(slices, wanted) {
        try promise(slice.voxels[...] == scan.volume.voxels[z * size..<(z + 1) * size], "slice \(z) differs")
    }
}

/// One gzip member.
private func gzip(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var stream = z_stream()
    precondition(hepar_deflate_init_gzip(&stream, 1) == Z_OK)
    defer { deflateEnd(&stream) }
    var output = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(bytes.count))) + 32)
    let count = output.withUnsafeMutableBufferPointer { output in
        stream.next_in = UnsafeMutablePointer(mutating: bytes.bindMemory(to: UInt8.self).baseAddress)
        stream.avail_in = UInt32(bytes.count)
        stream.next_out = output.baseAddress
        stream.avail_out = UInt32(output.count)
        precondition(deflate(&stream, Z_FINISH) == Z_STREAM_END)
        return output.count - Int(stream.avail_out)
    }
    return Array(output[..<count])
}

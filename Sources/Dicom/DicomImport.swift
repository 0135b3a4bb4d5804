import Compute
import Foundation

/// What a caller may choose.
public struct DicomOptions: Equatable, Sendable {
    /// SeriesInstanceUID or SeriesNumber of the wanted series; nil leaves the choice to the rule.
    public var series: String?
    /// AcquisitionNumber of the wanted volume.
    public var acquisition: Int?
    /// Whether the report gives UIDs, which lead to the patient in an archive.
    public var includeUIDs: Bool
    /// What is accepted.
    public var limits: DicomLimits

    /// Leaves all to the rule by default.
    public init(
        series: String? = nil, acquisition: Int? = nil, includeUIDs: Bool = false, limits: DicomLimits = DicomLimits()
    ) {
        self.series = series
        self.acquisition = acquisition
        self.includeUIDs = includeUIDs
        self.limits = limits
    }
}

/// Makes one CT volume of DICOM files.
///
/// All headers are read first. Slices are put together by series, grid and orientation, phases at the same positions
/// are separated, and of the sound volumes one is taken: axial before others, portal-venous before others, then the
/// one with most slices, then with the thinnest, then the lowest series and acquisition number. It is written in HU,
/// columns, rows and slices in DICOM's order, slices along their normal.
///
/// Run it through ``DicomImporter`` on files from outside: decoders of old formats are no safe place.
///
/// - Parameters:
///   - files: DICOM files, of which one may be a zip of many.
///   - work: an existing folder where the zip is unpacked; what is made there stays.
///   - output: the NIfTI-1 volume, .nii or .nii.gz; replaced if it exists.
///   - options: the wanted series and acquisition, limits.
///   - team: the threads that compress.
/// - Returns: every volume found, which was taken, and what was left out or changed.
/// - Throws: the ``DicomError`` of the best volume where none is sound.
public func importDicom(
    _ files: [URL], work: URL, output: URL, options: DicomOptions = DicomOptions(), team: ThreadTeam
) throws(DicomError) -> DicomReport {
    let unpacked = try unpack(files, into: work, limits: options.limits)
    var slices: [SliceHeader] = []
    var leftOut: [LeftOutReason: Int] = [:]
    for file in unpacked {
        switch try judge(file, limits: options.limits) {
        case .slices(let found): slices += found
        case .leftOut(let reason): leftOut[reason, default: 0] += 1
        }
        guard slices.count <= options.limits.files else { throw .tooManyFiles(limit: options.limits.files) }
    }
    let counts = LeftOutReason.allCases.compactMap { reason in
        leftOut[reason].map { DicomReport.LeftOut(reason: reason, files: $0) }
    }
    guard !slices.isEmpty else { throw .noCT(files: unpacked.count, leftOut: counts) }

    var digests = VoxelDigests()
    let sorted = sortIntoStacks(slices, limits: options.limits) { digests.areSame($0, $1) }
    let choice = try choose(from: sorted.stacks, options: options)
    let taken = sorted.stacks[choice.taken]
    let notes = try taken.write(to: output, team: team)
    return DicomReport(
        files: unpacked.count,
        volumes: sorted.stacks.enumerated().map { index, stack in
            DicomReport.Volume(stack, number: index + 1, taken: index == choice.taken)
        },
        leftOut: counts,
        findings: findings(
            taken, notes: notes, doubled: sorted.doubled, refused: choice.betterRefused, leftOut: leftOut),
        uids: options.includeUIDs ? DicomReport.UIDs(taken) : nil)
}

/// Compares slices by digests of their voxels, so that each is decoded once however many lie at its position.
private struct VoxelDigests {
    private var known: [URL: [Int: Int?]] = [:]

    mutating func areSame(_ a: SliceHeader, _ b: SliceHeader) -> Bool {
        guard a.slope == b.slope, a.intercept == b.intercept, let first = digest(a) else { return false }
        return first == digest(b)
    }

    /// Nil where the slice cannot be decoded.
    private mutating func digest(_ slice: SliceHeader) -> Int? {
        if let digest = known[slice.file]?[slice.frame] { return digest }
        let digest = (try? slice.decoded())?.hashValue
        known[slice.file, default: [:]][slice.frame] = .some(digest)
        return digest
    }
}

private func unpack(_ files: [URL], into work: URL, limits: DicomLimits) throws(DicomError) -> [URL] {
    guard files.count <= limits.files else { throw .tooManyFiles(limit: limits.files) }
    let zips = files.filter(isZip)
    guard let zip = zips.first else { return files }
    guard zips.count == 1 else { throw .zipNested }
    let folder = work.appending(path: "unpacked-\(UUID().uuidString)")
    do {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
    } catch {
        throw .importFailed(reason: .workFolder)
    }
    let all = try files.filter { $0 != zip } + extractZip(zip, into: folder, limits: limits)
    guard all.count <= limits.files else { throw .tooManyFiles(limit: limits.files) }
    return all
}

extension DicomReport.UIDs {
    fileprivate init(_ stack: Stack) {
        func given(_ uid: String) -> String? { uid.isEmpty ? nil : uid }
        study = given(stack.first.study)
        series = given(stack.first.series)
        frameOfReference = given(stack.first.frameOfReference)
        sopClass = given(stack.first.sopClass)
        instances = stack.slices.map(\.instance)
        let (row, column) = (stack.first.alongRow, stack.first.alongColumn)
        orientation = [row.x, row.y, row.z, column.x, column.y, column.z]
        slices = stack.slices.map { slice in
            let place = slice.position ?? .zero
            return Slice(position: [place.x, place.y, place.z], frame: slice.frames > 1 ? slice.frame + 1 : nil)
        }
    }
}

extension DicomReport.Volume {
    fileprivate init(_ stack: Stack, number: Int, taken: Bool) {
        self.number = number
        seriesNumber = stack.first.seriesNumber
        acquisitionNumber = stack.acquisitionNumber
        phase = stack.phase
        slices = stack.slices.count
        rows = stack.first.rows
        columns = stack.first.columns
        spacingMm = [stack.first.columnSpacing, stack.first.rowSpacing] + [stack.spacing].compactMap { $0 }
        transferSyntax = stack.first.syntax
        self.taken = taken
        refusal = stack.refusal.map { DicomReport.Refusal(code: $0.code, message: $0.description) }
    }
}

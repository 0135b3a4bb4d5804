public import Compute
public import Foundation

/// What a caller may choose.
public struct DicomOptions: Codable, Equatable, Sendable {
    /// StudyInstanceUID of the wanted study, or its number in the report; nil leaves the choice to the rule.
    public var study: String?
    /// SeriesInstanceUID or SeriesNumber of the wanted series.
    public var series: String?
    /// AcquisitionNumber of the wanted slices.
    public var acquisition: Int?
    /// The wanted volume by its number in the report of an import of the same files without ``acquisition``.
    public var volume: Int?
    /// Whether the report gives UIDs, which lead to the patient in an archive.
    public var includeUIDs: Bool
    /// What is accepted.
    public var limits: DicomLimits

    /// Leaves all to the rule by default.
    public init(
        study: String? = nil, series: String? = nil, acquisition: Int? = nil, volume: Int? = nil,
        includeUIDs: Bool = false, limits: DicomLimits = DicomLimits()
    ) {
        self.study = study
        self.series = series
        self.acquisition = acquisition
        self.volume = volume
        self.includeUIDs = includeUIDs
        self.limits = limits
    }
}

/// Makes one CT volume of DICOM files.
///
/// All headers are read first. Slices are put together by patient, study, series, grid and orientation, phases are
/// separated, and of the sound volumes one is taken: measured before computed, of a soft kernel before sharp ones, axial
/// before others, portal-venous before others, then the one with most slices, then with the thinnest, then the lowest
/// series and acquisition number. What is not in Hounsfield units is never taken. It is written in HU, columns, rows and
/// slices in DICOM's order, slices along their normal.
///
/// Run it in a confined process on files from outside: decoders of old formats are no safe place.
///
/// - Parameters:
///   - files: DICOM files, of which one may be a zip of many.
///   - work: an existing folder where the zip is unpacked; what is made there stays.
///   - output: the NIfTI-1 volume, .nii or .nii.gz; replaced if it exists.
///   - options: the wanted study, series and acquisition, or the wanted volume; limits.
///   - team: the threads that compress.
///   - told: told once, before this ends either way, what became of each file; of no file where they could not be read.
/// - Returns: the volumes found, which was taken, and what was left out or changed.
/// - Throws: the ``DicomError`` of the best volume where none is sound.
public func importDicom(
    _ files: [URL], work: URL, output: URL, options: DicomOptions = DicomOptions(), team: ThreadTeam,
    told: ([SentInstance]) -> Void = { _ in }
) throws(DicomError) -> DicomReport {
    var register = FileRegister()
    var fates: [SentInstance]?
    defer { told(fates ?? register.fates(study: options.study)) }
    let unpacked = try unpack(files, into: work, limits: options.limits)
    let budget = InflationBudget(files: unpacked.reduce(0) { $0 + bytes(of: $1) }, limits: options.limits)
    var slices: [SliceHeader] = []
    var leftOut: [LeftOutReason: Int] = [:]
    for file in unpacked {
        var names = FileNames()
        switch try judge(file, limits: options.limits, budget: budget, names: { names = $0 }) {
        case .slices(let found):
            slices += found
            register.add(file.path, names, leftOut: nil)
        case .leftOut(let reason):
            leftOut[reason, default: 0] += 1
            register.add(file.path, names, leftOut: reason)
        }
        guard slices.count <= options.limits.files else { throw .tooManyFiles(limit: options.limits.files) }
    }
    let counts = LeftOutReason.allCases.compactMap { reason in
        leftOut[reason].map { DicomReport.LeftOut(reason: reason, files: $0) }
    }
    guard !slices.isEmpty else {
        if leftOut[.archive] != nil { throw .zipNested }
        if files.count == 1, isOtherArchive(files[0]) { throw .otherArchive }
        throw .noCT(files: unpacked.count, leftOut: counts)
    }

    let owners = Owners(of: slices)
    var digests = VoxelDigests()
    let candidates = try chosen(slices, owners, options)
    let sorted = sortIntoStacks(
        candidates, limits: options.limits, digest: { digests.digest(of: $0) })
    let choice = try choose(from: sorted.stacks, owners, options: options)
    let taken = sorted.stacks[choice.taken]
    let voxels = try taken.write(to: output, team: team)
    fates = register.fates(study: options.study, taken: taken, stacks: sorted.stacks, candidates: candidates)
    let uids = options.includeUIDs ? DicomReport.UIDs(taken) : nil
    let found = Findings(
        stacks: sorted.stacks, choice: choice, owners: owners, voxels: voxels, doubled: sorted.doubled,
        leftOut: leftOut, uids: uids, choosesAcquisition: options.acquisition != nil)
    let listed = sorted.stacks.indices.filter { $0 < Findings.listedVolumes || $0 == choice.taken }
    return DicomReport(
        files: unpacked.count,
        volumes: listed.map { index in
            DicomReport.Volume(sorted.stacks[index], number: index + 1, owners, taken: index == choice.taken)
        },
        leftOut: counts, findings: found.all, uids: uids, slices: DicomReport.SliceNames(taken))
}

/// Digests of slices' voxels, so that each is decoded once.
private struct VoxelDigests {
    private var known: [String: [Int: Int?]] = [:]
    private let reader = PixelReader()

    /// Nil where the slice cannot be decoded.
    mutating func digest(of slice: SliceHeader) -> Int? {
        if let digest = known[slice.file.path]?[slice.frame] { return digest }
        let digest = (try? slice.decoded(by: reader))?.hashValue
        known[slice.file.path, default: [:]][slice.frame] = .some(digest)
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

extension DicomReport.SliceNames {
    /// Nil where no slice has a name.
    fileprivate init?(_ stack: Stack) {
        instanceNumbers = stack.slices.map(\.instanceNumber)
        locationsMm = stack.slices.map(\.location)
        if instanceNumbers.allSatisfy({ $0 == nil }), locationsMm.allSatisfy({ $0 == nil }) { return nil }
    }
}

extension DicomReport.UIDs {
    fileprivate init(_ stack: Stack) {
        /// What all slices have the same, and is no empty text.
        func common(_ uid: KeyPath<SliceHeader, String>) -> String? {
            let first = stack.first[keyPath: uid]
            return !first.isEmpty && stack.slices.allSatisfy { $0[keyPath: uid] == first } ? first : nil
        }
        study = common(\.study)
        series = common(\.series)
        frameOfReference = common(\.frameOfReference)
        sopClass = common(\.sopClass)
        instances = stack.slices.map(\.instance)
        let (row, column) = (stack.first.alongRow, stack.first.alongColumn)
        orientation = [row.x, row.y, row.z, column.x, column.y, column.z]
        slices = stack.slices.map { slice in
            let place = slice.position ?? .zero
            return Slice(position: [place.x, place.y, place.z], frame: slice.frames > 1 ? slice.frame + 1 : nil)
        }
    }

    /// Whether each slice can be told from all others: no two are one frame of one instance.
    var areUnambiguous: Bool {
        let frames = slices?.map { $0.frame ?? 0 } ?? []
        let names = Set(zip(instances, frames).map { "\($0)/\($1)" })
        return frames.count == instances.count && names.count == instances.count
            && instances.allSatisfy { !$0.isEmpty }
    }
}

extension DicomReport.Volume {
    fileprivate init(_ stack: Stack, number: Int, _ owners: Owners, taken: Bool) {
        self.number = number
        patient = owners.patient(of: stack.first)
        study = owners.study(of: stack.first)
        seriesNumber = stack.first.seriesNumber
        acquisitionNumber = stack.acquisitionNumber
        acquisitionNumbers = stack.acquisitionNumbers.count > 1 ? Array(stack.acquisitionNumbers.prefix(20)) : nil
        image = stack.kind
        kernel = stack.kernel
        plane = stack.plane
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

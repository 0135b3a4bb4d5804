public import Foundation
public import Sandbox

/// Imports DICOM files in a confined child process: a file that makes a decoder crash, loop or eat memory ends the
/// child, and is an error like any other here.
public struct DicomImporter: Sendable {
    /// The program: `hepar`, or another with its command `import-dicom`.
    public let executable: URL
    /// What the child may use.
    public let limits: ChildLimits

    /// Imports by means of `executable`.
    public init(executable: URL, limits: ChildLimits = ChildLimits()) {
        self.executable = executable
        self.limits = limits
    }

    /// Does what ``importDicom(_:work:output:options:team:told:)`` does, in a child process, within its own limits.
    ///
    /// Blocks until the child has ended, at most ``ChildLimits/silenceSeconds``. After an error the output is not there,
    /// but a child that was ended may leave its beginnings in the output's folder, and `work` unpacked files: give both
    /// a folder that is removed.
    ///
    /// - Throws: the child's error; ``DicomError/unreadable(signal:)`` where it crashed, ``DicomError/unbelievable``,
    ///   ``DicomError/timeout(seconds:)``, ``DicomError/importFailed(reason:)``.
    public func run(
        _ files: [URL], work: URL, output: URL, options: DicomOptions = DicomOptions(),
        told: (([SentInstance]) -> Void)? = nil
    ) throws(DicomError) -> DicomReport {
        guard !files.isEmpty else { throw .noCT(files: 0, leftOut: []) }
        var arguments = ["import-dicom", "--json", "--limits", limits.text, "--work", work.path]
        arguments += ["--output", output.path]
        // One word each, so that a value that begins with a dash is not taken for an option.
        if let study = options.study { arguments.append("--study=\(study)") }
        if let series = options.series { arguments.append("--series=\(series)") }
        if let acquisition = options.acquisition { arguments.append("--acquisition=\(acquisition)") }
        if let volume = options.volume { arguments.append("--volume=\(volume)") }
        if options.includeUIDs { arguments.append("--uids") }
        if told != nil { arguments.append("--instances") }
        arguments += ["--"] + files.map { $0.absoluteURL.path }

        let child = ChildProcess(executable, arguments, limits: limits)
        var answer = Data()
        // Without `checkStop` nothing throws.
        let end = (try? child.run { answer += $0 }) ?? .notStarted
        switch end {
        case .exited where answer.isEmpty: throw .importFailed(reason: .noAnswer)
        case .exited(0):
            guard var report = try? AnswerReader().read(DicomReport.self, from: answer),
                report.isPossible(voxels: limits.voxels, uids: options.includeUIDs), isFile(output)
            else { throw .unbelievable }
            try tell(report.instances, told)
            report.instances = nil
            return report
        case .exited:
            // The sentence is made anew from the case's numbers: no text of the child is passed on.
            guard let failure = try? AnswerReader(allowsNonFinite: true).read(DicomFailure.self, from: answer),
                failure.error.isPossible
            else { throw .unbelievable }
            try tell(failure.instances, told)
            throw failure.error
        case .notStarted: throw .importFailed(reason: .notStarted)
        case .timedOut: throw .timeout(seconds: limits.silenceSeconds)
        case .tooTalkative, .lied: throw .unbelievable
        case .signalled(let signal):
            if signal == Int(SIGXCPU) { throw .timeout(seconds: limits.cpuSeconds) }
            // Only a zip's entry can be that large: the volume is far smaller.
            if signal == Int(SIGXFSZ) { throw .zipTooLarge(limitMiB: limits.fileMiB) }
            throw .unreadable(signal: signal)
        }
    }
}

/// Passes on what a child said of the files, if it was asked.
private func tell(_ instances: [SentInstance]?, _ told: (([SentInstance]) -> Void)?) throws(DicomError) {
    guard (instances != nil) == (told != nil), (instances?.count ?? 0) <= DicomLimits().files,
        instances?.allSatisfy(\.isPossible) ?? true
    else { throw .unbelievable }
    told?(instances ?? [])
}

/// Whether there is an ordinary file.
private func isFile(_ url: URL) -> Bool {
    var facts = stat()
    return lstat(url.path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFREG
}

extension DicomReport {
    /// Whether an import could have told this: a child's word is held against it before it is computed with, kept and
    /// shown.
    func isPossible(voxels: Int, uids wanted: Bool) -> Bool {
        let most = DicomLimits().files
        let taken = volumes.filter(\.taken)
        guard (1...most).contains(files), volumes.count <= most, taken.count == 1 else { return false }
        return volumes.allSatisfy { $0.isPossible(slices: 1...most) } && taken[0].refusal == nil
            && taken[0].rows * taken[0].columns * taken[0].slices <= voxels && taken[0].spacingMm.count == 3
            && leftOut.allSatisfy { (0...most).contains($0.files) }
            && findings.count <= 100 && findings.allSatisfy { (0...voxels).contains($0.count) }
            && (wanted ? uids?.isPossible(slices: most) ?? true : uids == nil)
            && (slices?.isPossible(slices: taken[0].slices) ?? true)
    }
}

extension DicomReport.SliceNames {
    fileprivate func isPossible(slices count: Int) -> Bool {
        instanceNumbers.count == count && locationsMm.count == count
            && instanceNumbers.allSatisfy { $0.map { Int32(exactly: $0) != nil } ?? true }
            && locationsMm.allSatisfy { $0?.isFinite ?? true }
    }
}

extension DicomError {
    /// Whether a sentence can be made of it that is the child's in nothing but its numbers.
    fileprivate var isPossible: Bool {
        let most = DicomLimits().files
        return switch self {
        case .seriesNotFound(let found), .acquisitionNotFound(let found): found.count <= most
        case .noCT(_, let leftOut): leftOut.count <= LeftOutReason.allCases.count
        case .notWritten(let code):
            code.utf8.count <= 64 && code.utf8.allSatisfy { $0 == UInt8(ascii: "_") || (0x61...0x7A).contains($0) }
        default: true
        }
    }
}

extension DicomReport.Volume {
    fileprivate func isPossible(slices possible: ClosedRange<Int>) -> Bool {
        // Rows and columns are 16-bit in DICOM, IS numbers 32-bit: products of the first three fit.
        possible.contains(slices) && (1...Int(UInt16.max)).contains(rows) && (1...Int(UInt16.max)).contains(columns)
            && (1...possible.upperBound).contains(number) && spacingMm.count <= 3 && spacingMm.allSatisfy(\.isFinite)
            && [seriesNumber, acquisitionNumber].allSatisfy { $0.map { Int32(exactly: $0) != nil } ?? true }
    }
}

extension DicomReport.UIDs {
    fileprivate func isPossible(slices most: Int) -> Bool {
        let all = [study, series, frameOfReference, sopClass].compactMap { $0 } + instances
        return all.allSatisfy(isSoundUID) && instances.count <= most && (slices?.count ?? 0) <= most
            && (orientation.map { $0.count == 6 && $0.allSatisfy(\.isFinite) } ?? true)
            && (slices ?? []).allSatisfy { slice in
                slice.position.count == 3 && slice.position.allSatisfy(\.isFinite)
                    && (slice.frame.map { UInt32(exactly: $0) != nil } ?? true)
            }
    }
}

/// A failed import as JSON: `code` and `message` for people and programs, `error` for ``DicomImporter``.
public struct DicomFailure: Codable, Sendable {
    /// See ``DicomError/code``.
    public let code: String
    /// What was found, what is accepted and what to change.
    public let message: String
    /// The error itself.
    public let error: DicomError
    /// What became of each file, if that was asked for.
    public let instances: [SentInstance]?

    /// The failure by `error`.
    public init(_ error: DicomError, instances: [SentInstance]? = nil) {
        self.instances = instances
        code = error.code
        message = error.description
        self.error = error
    }
}

import Foundation
import Sandbox

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

    /// Does what ``importDicom(_:work:output:options:team:)`` does, in a child process.
    ///
    /// Blocks until the child has ended, at most ``ChildLimits/silenceSeconds``. After an error the output is not there,
    /// but a child that was ended may leave its beginnings in the output's folder, and `work` unpacked files: give both
    /// a folder that is removed.
    ///
    /// - Throws: the child's error; ``DicomError/unreadable(signal:)`` where it crashed,
    ///   ``DicomError/timeout(seconds:)``, ``DicomError/importFailed(reason:)``.
    public func run(
        _ files: [URL], work: URL, output: URL, study: String? = nil, series: String? = nil, acquisition: Int? = nil,
        includeUIDs: Bool = false
    ) throws(DicomError) -> DicomReport {
        guard !files.isEmpty else { throw .noCT(files: 0, leftOut: []) }
        var arguments = ["import-dicom", "--json", "--limits", limits.text, "--work", work.path]
        arguments += ["--output", output.path]
        // One word each, so that a value that begins with a dash is not taken for an option.
        if let study { arguments.append("--study=\(study)") }
        if let series { arguments.append("--series=\(series)") }
        if let acquisition { arguments.append("--acquisition=\(acquisition)") }
        if includeUIDs { arguments.append("--uids") }
        arguments += ["--"] + files.map { $0.absoluteURL.path }

        let child = ChildProcess(executable, arguments, silenceSeconds: limits.silenceSeconds)
        var output = Data()
        // Without `checkStop` nothing throws.
        let end = (try? child.run { output += $0 }) ?? .notStarted
        switch end {
        case .exited(0):
            guard let report = try? JSONDecoder().decode(DicomReport.self, from: output) else {
                throw .importFailed(reason: .noAnswer)
            }
            return report
        case .exited:
            // The sentence is made anew from the case's numbers: no text of the child is passed on.
            guard let failure = try? JSONDecoder().decode(DicomFailure.self, from: output) else {
                throw .importFailed(reason: .noAnswer)
            }
            throw failure.error
        case .notStarted: throw .importFailed(reason: .notStarted)
        case .timedOut: throw .timeout(seconds: limits.silenceSeconds)
        case .tooTalkative: throw .importFailed(reason: .noAnswer)
        case .signalled(let signal):
            if signal == Int(SIGXCPU) { throw .timeout(seconds: limits.cpuSeconds) }
            // Only a zip's entry can be that large: the volume is far smaller.
            if signal == Int(SIGXFSZ) { throw .zipTooLarge(limitMiB: limits.fileMiB) }
            throw .unreadable(signal: signal)
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

    /// The failure by `error`.
    public init(_ error: DicomError) {
        code = error.code
        message = error.description
        self.error = error
    }
}

import Cases
import Dicom
import Foundation
import Imaging
import Sandbox
import Work

/// Has confined children do what reads files, within the limits in force, and keeps a record of files that bring one down.
struct Children: Sendable {
    let workshop: Workshop
    let cores: Cores
    let limits: VolumeLimits
    let incidents: IncidentLog

    /// Runs `body`; where `files` bring its child down, keeps a record of them.
    ///
    /// - Parameter error: what is said of files that brought their child down.
    /// - Throws: what `body` throws. A child that may have ended for want of memory is the server's fault the first time,
    ///   and the file's where it happens to the same bytes again.
    func quarantining<Result>(
        _ call: Call, _ files: [URL], work: String, as error: (WorkerLost) -> any Error = { $0.unreadable },
        _ body: () throws -> Result
    ) throws -> Result {
        func record(_ lost: WorkerLost) throws {
            let isFirst = incidents.add(
                files, work: work, end: lost.word, request: "\(call.request.head.id)", caller: call.caller.name)
            call.logger.warning("upload quarantined", metadata: ["work": "\(work)", "end": "\(lost.word)"])
            if isFirst, lost.mayWantMemory { throw lost.wantOfMemory }
        }
        do {
            return try body()
        } catch let lost as WorkerLost where lost.end != .notStarted {
            try record(lost)
            throw error(lost)
        }
    }

    /// Has `body`'s child make a file in an empty folder of its own, and only then puts it to the job's other files: what
    /// reads a mask must not be able to write a report. Whole or not at all, as another request may make it too.
    func making(_ file: URL, _ body: (URL) throws -> Void) throws {
        let begun = file.deletingLastPathComponent().appending(path: ".hepar-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: begun, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: begun) }
        let made = begun.appending(path: file.lastPathComponent)
        try body(made)
        guard isOrdinaryFile(made) else { throw WorkerLost(end: .lied, silenceSeconds: 0) }
        guard rename(made.path, file.path) == 0 else { throw Problem.storageFull }
    }
}

public import Foundation
internal import Glibc

/// A store that only one process works on at a time, and which can therefore be told at a start that nobody works on what
/// it has as running. A store that several machines share leaves that to its leases.
public protocol SingleHostStore: JobStore {
    /// Queues again what an earlier process left running. The attempts stay counted. To be called through
    /// ``SingleHost/release(_:at:)``.
    ///
    /// - Returns: the jobs that changed.
    @discardableResult
    func releaseAll(at now: Date) throws(JobStoreError) -> [Job]
}

/// The right to be the only process that works on a data folder and its store, and what only such a process may do: all
/// others are kept out until the value is gone, also by a crash.
public final class SingleHost: Sendable {
    /// The folder's files.
    public let spool: Spool
    private let descriptor: Int32

    /// Takes the folder's lock.
    ///
    /// - Throws: ``SpoolError/inUse(folder:)`` if another value holds it, in this process or another.
    public init(of spool: Spool) throws(SpoolError) {
        let descriptor = open(spool.folder.appending(path: "lock").path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SpoolError("lock the data folder", code: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            if code == EWOULDBLOCK { throw .inUse(folder: spool.folder.path) }
            throw SpoolError("lock the data folder", code: code)
        }
        self.spool = spool
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Queues again what an earlier process left running in the store; see ``SingleHostStore/releaseAll(at:)``.
    ///
    /// To be called at start-up, before workers claim jobs.
    ///
    /// - Returns: the jobs that changed.
    @discardableResult
    public func release(_ store: any SingleHostStore, at now: Date) throws(JobStoreError) -> [Job] {
        try store.releaseAll(at: now)
    }

    /// Clears what a crash left behind: removes every upload in flight, the folders of removed jobs and unanswered
    /// uploads, and hidden files in those of known jobs; moves folders that cannot be told to `leftovers`.
    ///
    /// To be called at start-up, before uploads are accepted, with the survey of a store that was found to be sound.
    ///
    /// - Parameter day: under which day folders are set aside.
    public func sweep(_ survey: SpoolSurvey, aside day: Date) throws(SpoolError) -> Swept {
        var swept = Swept()
        for name in try names(in: spool.incoming) {
            try removeTree(spool.incoming.appending(path: name))
            swept.removed += 1
        }
        for id in survey.removed + survey.unanswered {
            try spool.remove(id)
            swept.removed += 1
        }
        for id in survey.lost + survey.unnoted {
            try spool.setAside(id, day: day)
            swept.setAside += 1
        }
        for id in survey.known {
            let found = try names(in: spool.folder(of: id))
            if found.contains(JobNote.unanswered) {
                try spool.accepted(id)
            } else if !found.contains(JobNote.name) {
                swept.unnoted.append(id)
            }
            // What a killed run had begun to write is hidden until it is renamed; no finished file is.
            for name in found where name.hasPrefix(".") && name != JobNote.unanswered {
                try removeTree(spool.folder(of: id).appending(path: name))
                swept.removed += 1
            }
        }
        try syncFolder(spool.incoming)
        try syncFolder(spool.jobs)
        return swept
    }
}

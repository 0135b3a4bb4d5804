import Access
import Foundation
import Jobs
import Logging
import Synchronization

/// What each caller holds of the disk: the files of its jobs, which the store sums.
package final class Storage: Sendable {
    private let store: any JobStore
    private let spool: Spool
    private let standardMiB: Int
    private let logger: Logger
    private let isEnding = Mutex(false)

    /// - Parameter standardMiB: the quota of tokens that have none of their own; 0 takes half of the disk.
    package init(store: any JobStore, spool: Spool, standardMiB: Int, logger: Logger) {
        self.store = store
        self.spool = spool
        self.standardMiB = standardMiB
        self.logger = logger
    }

    /// The most that the files of a caller's jobs may have, in bytes; nil for no limit, as on a server without tokens.
    package func storedLimit(of caller: Caller) -> Int? {
        guard caller != .anonymous else { return nil }
        if let own = caller.quota.storedBytes { return own }
        return standardMiB > 0 ? standardMiB << 20 : spool.diskBytes().map { $0 / 2 }
    }

    /// Says no to an upload that cannot be kept whatever is in it, before it is read by a child. The store has the last
    /// word.
    package func checkRoom(for caller: Caller) throws {
        guard let limit = storedLimit(of: caller) else { return }
        let stored = try store.stored(of: caller.name)
        guard stored < limit else { throw JobStoreError.ownerStorageFull(stored: stored, adding: 0, limit: limit) }
    }

    /// Notes what a job's folder holds now. What was measured and not noted is found at the next start.
    package func measure(_ id: JobID) {
        do {
            try store.setStored(spool.storedBytes(of: id), of: id)
        } catch {
            logger.warning("size of a job not noted", metadata: ["job": "\(id)", "error": "\(type(of: error))"])
        }
    }

    /// Measures every job once, beside all other work: a crash may have come between a file and its note, and earlier
    /// versions noted nothing.
    package func startMeasuring() {
        let thread = Thread { [self] in
            var before: JobID?
            while case let page = (try? store.jobs(JobFilter(before: before, limit: 100))) ?? [], let last = page.last {
                // A running job is measured when its run ends.
                for job in page where job.state != .running {
                    if isEnding.withLock({ $0 }) { return }
                    if spool.storedBytes(of: job.id) != job.storedBytes { measure(job.id) }
                }
                before = last.id
            }
        }
        thread.name = "storage"
        thread.start()
    }

    package func end() { isEnding.withLock { $0 = true } }
}

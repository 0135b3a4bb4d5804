import Access
import Foundation
import HTTPDaemon
import Jobs
import Logging
import Synchronization

/// What each caller holds of the disk: the files of its jobs, which the store sums, and uploads under way, which are counted
/// here while they come.
final class Storage: Sendable {
    private let store: any JobStore
    private let spool: Spool
    private let config: ServiceConfig
    private let logger: Logger
    /// Bytes under way by caller; none are 0.
    private let underWay = Mutex<[String: Int]>([:])
    private let isEnding = Mutex(false)

    init(store: any JobStore, spool: Spool, config: ServiceConfig, logger: Logger) {
        self.store = store
        self.spool = spool
        self.config = config
        self.logger = logger
    }

    // MARK: - Stored

    /// The most that the files of a caller's jobs may have, in bytes; nil for no limit, as on a server without tokens.
    func storedLimit(of caller: Caller) -> Int? {
        guard caller != .anonymous else { return nil }
        if let own = caller.quota.storedBytes { return own }
        return config.storedMiB > 0 ? config.storedMiB << 20 : spool.diskBytes().map { $0 / 2 }
    }

    /// Says no to an upload that cannot be kept whatever is in it, before it is read by a child. The store has the last
    /// word.
    func checkRoom(for caller: Caller) throws {
        guard let limit = storedLimit(of: caller) else { return }
        let stored = try store.stored(of: caller.name)
        guard stored < limit else { throw JobStoreError.ownerStorageFull(stored: stored, adding: 0, limit: limit) }
    }

    /// Notes what a job's folder holds now. What was measured and not noted is found at the next start.
    func measure(_ id: JobID) {
        do {
            try store.setStored(spool.storedBytes(of: id), of: id)
        } catch {
            logger.warning("size of a job not noted", metadata: ["job": "\(id)", "error": "\(type(of: error))"])
        }
    }

    /// Measures every job once, beside all other work: a crash may have come between a file and its note, and earlier
    /// versions noted nothing.
    func startMeasuring() {
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

    func end() { isEnding.withLock { $0 = true } }

    // MARK: - Under way

    /// Counts an upload that begins.
    ///
    /// - Parameter declared: its length, where the client told it: that much is set aside at once.
    /// - Throws: ``Problem`` if it is too much beside what is under way.
    func meter(for caller: Caller, declared: Int?) throws(Problem) -> BodyMeter? {
        guard caller != .anonymous else { return nil }
        let name = caller.name
        let limit = caller.quota.inFlightBytes ?? config.inFlightMiB << 20
        if let refusal = add(declared ?? 0, to: name, limit: limit) { throw refusal }
        let counted = Mutex(declared ?? 0)
        let held = Held(counted)
        return BodyMeter(
            take: { [self] bytes in
                if declared != nil { return nil }
                if let refusal = add(bytes, to: name, limit: limit) { return refusal.response }
                held.bytes.withLock { $0 += bytes }
                return nil
            },
            end: { [self] in
                let bytes = held.bytes.withLock { $0 }
                underWay.withLock { underWay in
                    let left = (underWay[name] ?? 0) - bytes
                    underWay[name] = left > 0 ? left : nil
                }
            })
    }

    private func add(_ bytes: Int, to name: String, limit: Int) -> Problem? {
        underWay.withLock { underWay in
            let now = underWay[name] ?? 0
            guard now > limit - bytes else {
                if bytes > 0 { underWay[name] = now + bytes }
                return nil
            }
            guard now > 0 else {
                return Problem(
                    413, "too_large_in_flight",
                    """
                    The upload has \(bytes) bytes; with this token \(limit) may be under way. Send less, or ask the \
                    server's operator for more (in_flight_bytes).
                    """)
            }
            return Problem(
                429, "in_flight_full",
                """
                Uploads with this token have \(now) bytes under way, and \(bytes) more came; \(limit) may be under way at \
                once. Send one after the other, or ask the server's operator for more (in_flight_bytes).
                """, headers: [("Retry-After", "10")])
        }
    }

    /// What one upload has of its caller's share; a closure cannot keep a lock itself.
    private final class Held: Sendable {
        let bytes: Mutex<Int>

        init(_ bytes: consuming Mutex<Int>) { self.bytes = bytes }
    }
}

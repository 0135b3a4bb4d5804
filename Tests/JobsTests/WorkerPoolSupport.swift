import Foundation
import Jobs
import Logging
import Synchronization

/// Counts over threads.
final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }

    @discardableResult
    func add() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }
}

/// A log handler that keeps what it is given. Copies share what they keep, not what is set on them.
struct CollectedLog: LogHandler {
    private final class Lines: Sendable {
        let all = Mutex<[(message: String, metadata: Logger.Metadata)]>([])
    }

    private let lines = Lines()
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    var messages: [String] { lines.all.withLock { $0.map(\.message) } }
    var lineMetadata: [Logger.Metadata] { lines.all.withLock { $0.map(\.metadata) } }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let merged = metadata.merging(event.metadata ?? [:]) { $1 }
        lines.all.withLock { $0.append((event.message.description, merged)) }
    }
}

/// A store that passes everything on, notes renewals, and can be told not to answer for a while.
final class FaultyStore: JobStore {
    private struct State {
        var renewals: [Date] = []
        var claimFaults = 0
        var finishFaults = 0
    }

    private let base: any JobStore
    private let state = Mutex(State())

    init(_ base: any JobStore) {
        self.base = base
    }

    /// The ends of the renewed leases, in order.
    var renewals: [Date] { state.withLock { $0.renewals } }
    func failClaims(_ count: Int) { state.withLock { $0.claimFaults = count } }
    func failFinishes(_ count: Int) { state.withLock { $0.finishFaults = count } }

    func enqueue(_ new: NewJob, queueLimit: Int) throws(JobStoreError) -> Job {
        try base.enqueue(new, queueLimit: queueLimit)
    }

    func job(_ id: JobID) throws(JobStoreError) -> Job? { try base.job(id) }

    func jobs(_ filter: JobFilter) throws(JobStoreError) -> [Job] { try base.jobs(filter) }

    func claim(
        at now: Date, lease: Duration, maxAttempts: Int, givenUp: (Job) -> Void
    ) throws(JobStoreError) -> ClaimedJob? {
        try answer(\.claimFaults)
        return try base.claim(at: now, lease: lease, maxAttempts: maxAttempts, givenUp: givenUp)
    }

    func renew(
        _ claim: ClaimedJob, stage: String, progress: Double, until: Date
    ) throws(JobStoreError) -> LeaseState {
        state.withLock { $0.renewals.append(until) }
        return try base.renew(claim, stage: stage, progress: progress, until: until)
    }

    func finish(_ claim: ClaimedJob, _ outcome: JobOutcome, at now: Date) throws(JobStoreError) -> Job? {
        try answer(\.finishFaults)
        return try base.finish(claim, outcome, at: now)
    }

    func cancel(_ id: JobID, at now: Date) throws(JobStoreError) -> Job? { try base.cancel(id, at: now) }

    func remove(_ id: JobID) throws(JobStoreError) { try base.remove(id) }

    func counts() throws(JobStoreError) -> [JobState: Int] { try base.counts() }

    func releaseAll(at now: Date) throws(JobStoreError) -> [Job] { try base.releaseAll(at: now) }

    private func answer(_ faults: WritableKeyPath<State, Int>) throws(JobStoreError) {
        let fails = state.withLock { state in
            guard state[keyPath: faults] > 0 else { return false }
            state[keyPath: faults] -= 1
            return true
        }
        if fails { throw .diskFull }
    }
}

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
final class FaultyStore: ForwardingJobStore {
    private struct State {
        var renewals: [Date] = []
        var claims = 0
        var claimFaults = 0
        var finishFaults = 0
    }

    let base: any JobStore
    private let state = Mutex(State())

    init(_ base: any JobStore) {
        self.base = base
    }

    /// The ends of the renewed leases, in order. Copied: ThreadSanitizer does not see the counting of references, and would
    /// take an array that is shared until it changes for a race.
    var renewals: [Date] { state.withLock { $0.renewals.map { $0 } } }
    /// How often somebody asked for a job.
    var claims: Int { state.withLock { $0.claims } }
    func failClaims(_ count: Int) { state.withLock { $0.claimFaults = count } }
    func failFinishes(_ count: Int) { state.withLock { $0.finishFaults = count } }

    func claim(
        at now: Date, lease: Duration, maxAttempts: Int, held: Set<UUID>, alsoChanged: (Job) -> Void
    ) throws(JobStoreError) -> ClaimedJob? {
        state.withLock { $0.claims += 1 }
        try answer(\.claimFaults)
        return try base.claim(at: now, lease: lease, maxAttempts: maxAttempts, held: held, alsoChanged: alsoChanged)
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

    private func answer(_ faults: WritableKeyPath<State, Int>) throws(JobStoreError) {
        let fails = state.withLock { state in
            guard state[keyPath: faults] > 0 else { return false }
            state[keyPath: faults] -= 1
            return true
        }
        if fails { throw .diskFull }
    }
}

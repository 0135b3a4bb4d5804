import Foundation
import Jobs
import Synchronization

/// A store without a disk, for tests: it keeps every promise of ``Store`` but that of durability.
///
/// A call that changes something works on a copy, which takes the place of what was there unless the call throws: each is
/// one transaction. Times are kept as they came.
package final class InMemoryStore: SingleHostStore, Outbox, AuditLog {
    private let state = Mutex(MemoryState())

    /// An empty store.
    package init() {}

    func read<Result: Sendable>(_ body: (MemoryState) throws -> Result) throws(JobStoreError) -> Result {
        try write { try body($0) }
    }

    func write<Result: Sendable>(_ body: (inout MemoryState) throws -> Result) throws(JobStoreError) -> Result {
        do {
            return try state.withLock { state in
                var copy = state
                let result = try body(&copy)
                state = copy
                return result
            }
        } catch let error as JobStoreError {
            throw error
        } catch {
            preconditionFailure("nothing else is thrown here: \(error)")
        }
    }

    // MARK: - Accepting

    package func enqueue(_ new: NewJob, limits: QueueLimits) throws(JobStoreError) -> Job {
        try write { state in
            if let earlier = try state.job(under: new.retryKey) { return earlier }
            try state.checkRoom(in: limits, owner: new.owner, bytes: new.uploadBytes)
            try state.checkStorage(in: limits, of: new)
            return try state.insert(new)
        }
    }

    package func enqueueFinished(
        _ new: NewJob, copying earlier: JobID, limits: QueueLimits
    ) throws(JobStoreError) -> Job? {
        try write { state in
            if let same = try state.job(under: new.retryKey) { return same }
            guard let source = state.rows[earlier]?.job, let finished = Job(new).reusing(source, at: new.createdAt)
            else { return nil }
            try state.checkStorage(in: limits, of: new)
            state.change(try state.insert(new), to: finished, at: new.createdAt)
            return finished
        }
    }

    package func setStored(_ bytes: Int, of id: JobID) throws(JobStoreError) {
        try write { $0.rows[id]?.job.storedBytes = bytes }
    }

    // MARK: - Finding

    package func stored(of owner: String) throws(JobStoreError) -> Int { try read { $0.stored(of: owner) } }

    package func job(_ id: JobID) throws(JobStoreError) -> Job? { try read { try $0.row(id)?.job } }

    package func names() throws(JobStoreError) -> Set<JobID> { try read { Set($0.rows.keys) } }

    package func jobs(_ filter: JobFilter) throws(JobStoreError) -> [Job] {
        let all = try read { $0.rows.values.map(\.job) }
        let wanted = all.filter { job in
            (filter.states.isEmpty || filter.states.contains(job.state)) && filter.owner.map { job.owner == $0 } ?? true
                && filter.priority.map { job.priority == $0 } ?? true && filter.before.map { job.id < $0 } ?? true
                && filter.createdFrom.map { job.id >= JobID.bound(at: $0) } ?? true
                && filter.createdBefore.map { job.id < JobID.bound(at: $0) } ?? true
                && filter.needsReview.map { job.hasDoubts == $0 } ?? true
        }
        return Array(wanted.sorted { $0.id > $1.id }.prefix(max(0, filter.limit)))
    }

    package func succeeded(contentKey: String) throws(JobStoreError) -> Job? {
        try read { $0.jobs(in: .succeeded).filter { $0.contentKey == contentKey }.max { $0.id < $1.id } }
    }

    package func expired(finishedBefore time: Date, limit: Int) throws(JobStoreError) -> [JobID] {
        let ended = try read { state in
            state.rows.values.compactMap { row in row.job.finishedAt.map { (end: $0, id: row.job.id) } }
        }
        return ended.filter { $0.end < time }.sorted(by: <).prefix(max(0, limit)).map(\.id)
    }

    package func check() throws(JobStoreError) {}

    // MARK: - Changing

    package func claim(
        at now: Date, lease: Duration, maxAttempts: Int, held: Set<UUID>, alsoChanged: (Job) -> Void
    ) throws(JobStoreError) -> ClaimedJob? {
        let (claimed, others) = try write { state in
            var others: [JobID: Job] = [:]
            for row in state.rows.values.sorted(by: { $0.job.id < $1.job.id }) {
                guard let until = row.leaseUntil, until <= now, !held.contains(row.token!),
                    let job = row.job.abandoned(at: now, maxAttempts: maxAttempts)
                else { continue }
                state.change(row.job, to: job, at: now)
                others[job.id] = job
            }
            guard !state.isPaused else { return (nil as ClaimedJob?, others) }
            while let next = state.next(at: now) {
                guard next.attempts < maxAttempts, let job = next.claimed(at: now) else {
                    let job = next.givenUp(at: now)!
                    state.change(next, to: job, at: now)
                    others[job.id] = job
                    continue
                }
                let claim = ClaimedJob(
                    job: job, token: UUID(), leaseUntil: now + lease / .seconds(1), maxAttempts: maxAttempts)
                state.change(next, to: job, token: claim.token, leaseUntil: claim.leaseUntil, at: now)
                state.serve(job)
                others[job.id] = nil
                return (claim, others)
            }
            return (nil, others)
        }
        others.values.sorted { $0.id < $1.id }.forEach(alsoChanged)
        return claimed
    }

    package func renew(
        _ claim: ClaimedJob, stage: String, progress: Double, until: Date
    ) throws(JobStoreError) -> LeaseState {
        try write { state in
            guard var row = state.rows[claim.job.id], row.token == claim.token else { return .lost }
            row.job.stage = stage.isEmpty ? nil : stage
            row.job.progress = progress
            row.leaseUntil = until
            state.rows[claim.job.id] = row
            return row.job.cancelRequested ? .cancelRequested : .held
        }
    }

    package func finish(_ claim: ClaimedJob, _ outcome: JobOutcome, at now: Date) throws(JobStoreError) -> Job? {
        try write { state in
            guard let row = state.rows[claim.job.id], row.token == claim.token,
                let job = row.job.finished(outcome, at: now, maxAttempts: claim.maxAttempts)
            else { return nil }
            state.change(row.job, to: job, at: now)
            return job
        }
    }

    package func cancel(_ id: JobID, at now: Date) throws(JobStoreError) -> Job? {
        try write { state in
            guard let row = try state.row(id) else { return nil }
            let job = row.job.cancelling(at: now)
            let isHeld = job.state == .running
            state.change(
                row.job, to: job, token: isHeld ? row.token : nil, leaseUntil: isHeld ? row.leaseUntil : nil, at: now)
            return job
        }
    }

    package func retry(_ id: JobID, limits: QueueLimits, at now: Date) throws(JobStoreError) -> Job? {
        try write { state in
            guard let old = try state.row(id)?.job else { return nil }
            guard let job = old.retried(at: now) else { throw JobStoreError.notRetryable(old.state) }
            try state.checkRoom(in: limits, owner: job.owner, bytes: job.uploadBytes)
            state.change(old, to: job, at: now)
            return job
        }
    }

    package func remove(_ id: JobID, at now: Date) throws(JobStoreError) {
        try write { state in
            guard let job = try state.row(id)?.job else { return }
            guard job.state.isFinal else { throw JobStoreError.notFinished(job.state) }
            state.rows[id] = nil
            state.removed.insert(id)
            state.keys = state.keys.filter { $0.value.job != id }
            state.append(.deleted, of: id, at: now)
        }
    }

    @discardableResult
    package func releaseAll(at now: Date) throws(JobStoreError) -> [Job] {
        try write { state in
            state.jobs(in: .running).sorted { $0.id < $1.id }.compactMap { old in
                guard let job = old.abandoned(at: now, maxAttempts: nil) else { return nil }
                state.change(old, to: job, at: now)
                return job
            }
        }
    }

    // MARK: - The queue

    package func setPaused(_ isPaused: Bool) throws(JobStoreError) { try write { $0.isPaused = isPaused } }

    package func report() throws(JobStoreError) -> QueueReport {
        try read { state in
            var report = QueueReport()
            for job in state.rows.values.map(\.job) { report.counts[job.state]?[job.priority]? += 1 }
            report.oldestWaiting = state.jobs(in: .queued).map(\.queuedAt).min()
            report.isPaused = state.isPaused
            return report
        }
    }

    package func estimate(for id: JobID, workers: Int) throws(JobStoreError) -> Duration? {
        try read { state in
            guard let job = try state.row(id)?.job else { return nil }
            if job.state.isFinal { return .zero }
            guard let pace = JobEstimate.pace(of: state.paces), job.state == .running || !state.isPaused else {
                return nil
            }
            let running = state.jobs(in: .running).reduce(0) { $0 + ($1.cost ?? 0) * (1 - $1.progress) }
            let ahead = job.state == .queued ? state.costBefore(job) + running : 0
            return job.timeLeft(workAhead: ahead, pace: pace, workers: workers)
        }
    }

    // MARK: - Events

    package func events(after sequence: Int, limit: Int) throws(JobStoreError) -> [JobEvent] {
        try read { Array($0.events.filter { $0.sequence > sequence }.prefix(max(0, limit))) }
    }

    package func lastEvent() throws(JobStoreError) -> Int { try read { $0.lastEvent } }

    @discardableResult
    package func trimEvents(olderThan time: Date) throws(JobStoreError) -> Int {
        try write { state in
            let first = state.events.first { $0.time >= time }?.sequence ?? .max
            let before = state.events.count
            state.events.removeAll { $0.sequence < first }
            state.deliveries = state.deliveries.filter { !$0.value.isDead || $0.value.event >= first }
            return before - state.events.count
        }
    }
}

extension Job {
    /// See ``JobFilter/needsReview``.
    fileprivate var hasDoubts: Bool {
        let text = String(decoding: result ?? options, as: UTF8.self)
        return ["warning", "error"].contains { text.contains("\"severity\":\"\($0)\"") }
    }
}

public import Foundation
import GRDB
public import Jobs

/// What changes a job once it was accepted: the rules say what it becomes, and `change` writes it.
extension SQLiteJobStore {
    /// Takes the waiting job whose turn it is, in one transaction that no other claim can overlap.
    public func claim(
        at now: Date, lease: Duration, maxAttempts: Int, held: Set<UUID>, alsoChanged: (Job) -> Void
    ) throws(JobStoreError) -> ClaimedJob? {
        let until = now.addingTimeInterval(lease / .seconds(1))
        let (claimed, others) = try write { db in
            // By name, as a job that is queued again may be claimed, or given up, a moment later.
            var others: [JobID: Job] = [:]
            for row in try JobRow.fetch(db, Self.overdue, [now.milliseconds]) {
                if let lease = row.lease, held.contains(lease.token) { continue }
                guard let job = row.job.abandoned(at: now, maxAttempts: maxAttempts) else { continue }
                others[job.id] = try change(row.job, to: job, at: now, in: db)
            }
            guard try !isPaused(in: db) else { return (nil as ClaimedJob?, others) }
            while let row = try Turns.next(at: now, in: db) {
                guard row.job.attempts < maxAttempts, let job = row.job.claimed(at: now) else {
                    guard let job = row.job.givenUp(at: now) else { throw JobStoreError.damaged(row.job.id) }
                    others[job.id] = try change(row.job, to: job, at: now, in: db)
                    continue
                }
                let token = UUID()
                let lease = JobRow.Lease(token: token, until: until)
                let written = try change(row.job, to: job, lease: lease, at: now, in: db)
                try Turns.served(job, in: db)
                others[job.id] = nil
                return (ClaimedJob(job: written, token: token, leaseUntil: until, maxAttempts: maxAttempts), others)
            }
            return (nil, others)
        }
        others.values.sorted { $0.id < $1.id }.forEach(alsoChanged)
        return claimed
    }

    static let overdue = "SELECT * FROM job WHERE state = 'running' AND lease_until_ms <= ? ORDER BY id"

    /// Reports progress and extends the lease, in one statement whose commit is not synced.
    public func renew(
        _ claim: ClaimedJob, stage: String, progress: Double, until: Date
    ) throws(JobStoreError) -> LeaseState {
        let sql = """
            UPDATE job SET stage = nullif(?, ''), progress = ?, lease_until_ms = ?
            WHERE id = ? AND lease_token = ? RETURNING cancel_requested
            """
        let values: StatementArguments = [
            stage, progress, until.milliseconds, claim.job.id.description, claim.token.uuidString,
        ]
        // All rows are fetched, or an error of the implied commit would not be seen.
        let found = try writeUnsynced { db in try Bool.fetchAll(db, sql: sql, arguments: values).first }
        switch found {
        case nil: return .lost
        case false?: return .held
        case true?: return .cancelRequested
        }
    }

    /// Ends a run, if the row still carries the claim's token.
    public func finish(_ claim: ClaimedJob, _ outcome: JobOutcome, at now: Date) throws(JobStoreError) -> Job? {
        try write { db in
            let sql = "SELECT * FROM job WHERE id = ? AND lease_token = ?"
            let values: StatementArguments = [claim.job.id.description, claim.token.uuidString]
            guard let held = try JobRow.fetch(db, sql, values).first?.job,
                let job = held.finished(outcome, at: now, maxAttempts: claim.maxAttempts)
            else { return nil }
            return try change(held, to: job, at: now, in: db)
        }
    }

    /// Cancels a queued job, or marks a running one; a running job keeps its lease.
    public func cancel(_ id: JobID, at now: Date) throws(JobStoreError) -> Job? {
        try write { db in
            guard let row = try row(id, in: db) else { return nil }
            let job = row.job.cancelling(at: now)
            return job == row.job ? job : try change(row.job, to: job, lease: row.lease, at: now, in: db)
        }
    }

    /// Queues a failed or cancelled job again, if there is room for it.
    public func retry(_ id: JobID, limits: QueueLimits, at now: Date) throws(JobStoreError) -> Job? {
        try write { db in
            guard let old = try row(id, in: db)?.job else { return nil }
            guard let job = old.retried(at: now) else { throw JobStoreError.notRetryable(old.state) }
            try checkRoom(in: limits, owner: job.owner, bytes: job.uploadBytes, in: db)
            return try change(old, to: job, at: now, in: db)
        }
    }

    /// Removes a finished job's row, overwrites its bytes, in the log within seconds, and keeps the name. Deliveries hold no
    /// more of it than ids and states: each stays until it was made or given up.
    public func remove(_ id: JobID, at now: Date) throws(JobStoreError) {
        try write { db in
            guard let job = try row(id, in: db)?.job else { return }
            guard job.state.isFinal else { throw JobStoreError.notFinished(job.state) }
            try db.execute(sql: "INSERT INTO removed_job (id) VALUES (?)", arguments: [id.description])
            try db.execute(sql: "DELETE FROM job WHERE id = ?", arguments: [id.description])
            try EventTable.append(.deleted, of: id, at: now, in: db)
        }
        purgeSoon()
    }

    /// Queues again whatever the table says is running.
    @discardableResult
    public func releaseAll(at now: Date) throws(JobStoreError) -> [Job] {
        try write { db in
            try JobRow.fetch(db, "SELECT * FROM job WHERE state = 'running' ORDER BY id", []).compactMap { row in
                guard let job = row.job.abandoned(at: now, maxAttempts: nil) else { return nil }
                return try change(row.job, to: job, at: now, in: db)
            }
        }
    }

    /// Writes what the rules made of a job, and what follows from it: the event, the webhook's delivery, the measured
    /// run. Returns the job as it is now stored.
    func change(
        _ old: Job, to new: Job, lease: JobRow.Lease? = nil, at now: Date, in db: Database
    ) throws -> Job {
        let job = try JobRow(new, lease: lease).update(in: db)
        guard let kind = JobEvent.Kind(from: old, to: job) else { return job }
        let event = try EventTable.append(kind, of: job.id, at: now, in: db)
        if job.state.isFinal, let webhook = job.webhook {
            try DeliveryTable.insert(webhook, of: job, event: event, at: now, in: db)
        }
        if let pace = job.measuredPace { try keep(pace: pace, in: db) }
        return job
    }
}

import Foundation
import GRDB
import Jobs

/// Jobs in an SQLite database, in WAL mode: status requests read while others write. Every change of state is synced to
/// the disk before its call returns.
public final class SQLiteJobStore: JobStore {
    private let pool: DatabasePool

    /// Opens the database and brings its schema up to date; creates it in a folder that exists. One store a process.
    ///
    /// - Throws: ``JobStoreError/newerSchema`` if a later version of the program wrote it;
    ///   ``JobStoreError/unavailable(code:)`` if it is no database or cannot be written; ``JobStoreError/diskFull``.
    public init(file: URL) throws(JobStoreError) {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        configuration.label = "jobs"
        configuration.prepareDatabase { db in
            // What is deleted may tell of a patient: its bytes are overwritten.
            if !db.configuration.readonly { try db.execute(sql: "PRAGMA secure_delete = ON") }
        }
        pool = try translatingErrors {
            let pool = try DatabasePool(path: file.path, configuration: configuration)
            // GRDB leaves a new pool at NORMAL, where a power loss may take the last commits.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            if try pool.read(jobSchema.hasBeenSuperseded) { throw JobStoreError.newerSchema }
            try jobSchema.migrate(pool)
            return pool
        }
    }

    /// Accepts a job: one row, synced with its commit.
    public func enqueue(_ new: NewJob, queueLimit: Int) throws(JobStoreError) -> Job {
        try write { db in
            if let key = new.retryKey, let earlier = try self.job(under: key, in: db) { return earlier }
            let waiting = try Int.fetchOne(db, sql: "SELECT count(*) FROM job WHERE state = 'queued'") ?? 0
            guard waiting < queueLimit else { throw JobStoreError.queueFull(limit: queueLimit) }
            try self.checkNotRemoved(new.id, in: db)
            guard try !self.exists(new.id, in: db) else { throw JobStoreError.alreadyExists(new.id) }
            let job = try JobRow(Job(new)).insert(in: db)
            if let key = new.retryKey {
                try db.execute(
                    sql: "INSERT INTO retry_key (key, digest, job_id) VALUES (?, ?, ?)",
                    arguments: [key.key, key.digest, job.id.description])
            }
            return job
        }
    }

    /// The job of this name; reads beside a writer without waiting for it.
    public func job(_ id: JobID) throws(JobStoreError) -> Job? {
        try read { db in try self.job(id, in: db) }
    }

    /// A page of jobs, newest first, by the index on names or on states.
    public func jobs(_ filter: JobFilter) throws(JobStoreError) -> [Job] {
        var conditions: [String] = []
        var arguments: [(any DatabaseValueConvertible)?] = []
        if let state = filter.state {
            conditions.append("state = ?")
            arguments.append(state.rawValue)
        }
        if let before = filter.before {
            conditions.append("id < ?")
            arguments.append(before.description)
        }
        arguments.append(max(0, filter.limit))
        let clause = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        let sql = "SELECT * FROM job \(clause) ORDER BY id DESC LIMIT ?"
        let values = StatementArguments(arguments)
        return try read { db in try JobRow.fetch(db, sql, values).map(\.job) }
    }

    /// Takes the oldest job that waits, in one transaction that no other claim can overlap.
    public func claim(
        at now: Date, lease: Duration, maxAttempts: Int, givenUp: (Job) -> Void
    ) throws(JobStoreError) -> ClaimedJob? {
        let until = now.addingTimeInterval(lease / .seconds(1))
        let (claimed, ended) = try write { db in
            var ended: [Job] = []
            let overdue = try JobRow.fetch(
                db, "SELECT * FROM job WHERE state = 'running' AND lease_until_ms <= ? ORDER BY id", [now.milliseconds])
            for row in overdue {
                guard let job = row.job.abandoned(at: now, maxAttempts: maxAttempts) else { continue }
                let written = try JobRow(job).update(in: db)
                if written.state.isFinal { ended.append(written) }
            }
            while let row = try JobRow.fetch(db, Self.oldestWaiting, [now.milliseconds]).first {
                guard row.job.attempts < maxAttempts, let job = row.job.claimed(at: now) else {
                    guard let job = row.job.givenUp(at: now) else { throw JobStoreError.damaged(row.job.id) }
                    ended.append(try JobRow(job).update(in: db))
                    continue
                }
                let token = UUID()
                let written = try JobRow(job, lease: JobRow.Lease(token: token, until: until)).update(in: db)
                let claim = ClaimedJob(job: written, token: token, leaseUntil: until, maxAttempts: maxAttempts)
                return (claim as ClaimedJob?, ended)
            }
            return (nil, ended)
        }
        ended.forEach(givenUp)
        return claimed
    }

    /// Answered by the index alone until the row is found, so that a long queue of jobs put off costs little.
    private static let oldestWaiting = """
        SELECT * FROM job WHERE id =
            (SELECT id FROM job WHERE state = 'queued' AND not_before_ms <= ? ORDER BY id LIMIT 1)
        """

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
        let found = try translatingErrors {
            try pool.writeWithoutTransaction { db in
                // Progress may be lost with the power; the next synced commit syncs it too.
                try db.execute(sql: "PRAGMA synchronous = NORMAL")
                defer { restoreFullSync(db) }
                // All rows are fetched, or an error of the implied commit would not be seen.
                return try Bool.fetchAll(db, sql: sql, arguments: values).first
            }
        }
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
            let held = try JobRow.fetch(db, sql, [claim.job.id.description, claim.token.uuidString]).first
            guard let job = held?.job.finished(outcome, at: now, maxAttempts: claim.maxAttempts) else { return nil }
            return try JobRow(job).update(in: db)
        }
    }

    /// Cancels a queued job, or marks a running one; a running job keeps its lease.
    public func cancel(_ id: JobID, at now: Date) throws(JobStoreError) -> Job? {
        try write { db in
            guard let row = try self.row(id, in: db) else { return nil }
            let job = row.job.cancelling(at: now)
            return job == row.job ? job : try JobRow(job, lease: row.lease).update(in: db)
        }
    }

    /// Removes a finished job's row, overwrites its bytes, and keeps the name.
    public func remove(_ id: JobID) throws(JobStoreError) {
        try write { db in
            guard let job = try self.job(id, in: db) else { return }
            guard job.state.isFinal else { throw JobStoreError.notFinished(job.state) }
            try db.execute(sql: "INSERT INTO removed_job (id) VALUES (?)", arguments: [id.description])
            try db.execute(sql: "DELETE FROM job WHERE id = ?", arguments: [id.description])
        }
    }

    /// How many jobs are in each state, counted over the index on states.
    public func counts() throws(JobStoreError) -> [JobState: Int] {
        try read { db in
            var counts = Dictionary(uniqueKeysWithValues: JobState.allCases.map { ($0, 0) })
            for row in try Row.fetchAll(db, sql: "SELECT state, count(*) FROM job GROUP BY state") {
                guard let state = JobState(rawValue: row[0]) else { throw JobStoreError.damaged(nil) }
                counts[state] = row[1]
            }
            return counts
        }
    }

    /// Queues again whatever the table says is running.
    @discardableResult
    public func releaseAll(at now: Date) throws(JobStoreError) -> [Job] {
        try write { db in
            try JobRow.fetch(db, "SELECT * FROM job WHERE state = 'running' ORDER BY id", []).compactMap { row in
                try row.job.abandoned(at: now, maxAttempts: nil).map { try JobRow($0).update(in: db) }
            }
        }
    }

    /// What `PRAGMA synchronous` says on the writing connection: 2 is FULL.
    func synchronousMode() throws -> Int? {
        try pool.writeWithoutTransaction { try Int.fetchOne($0, sql: "PRAGMA synchronous") }
    }

    // MARK: - Inside a transaction

    private func job(_ id: JobID, in db: Database) throws -> Job? {
        try row(id, in: db)?.job
    }

    /// The row of this name, or nil if there never was one.
    private func row(_ id: JobID, in db: Database) throws -> JobRow? {
        if let row = try JobRow.fetch(db, "SELECT * FROM job WHERE id = ?", [id.description]).first { return row }
        try checkNotRemoved(id, in: db)
        return nil
    }

    /// The job that came of an earlier request with this key, or nil if there is none.
    private func job(under key: RetryKey, in db: Database) throws -> Job? {
        let sql = "SELECT job_id, digest FROM retry_key WHERE key = ?"
        guard let row = try Row.fetchOne(db, sql: sql, arguments: [key.key]) else { return nil }
        guard let id = JobID(row["job_id"]) else { throw JobStoreError.damaged(nil) }
        guard row["digest"] == key.digest else { throw JobStoreError.keyReused(id) }
        return try job(id, in: db)
    }

    private func exists(_ id: JobID, in db: Database) throws -> Bool {
        try Bool.fetchOne(db, sql: "SELECT true FROM job WHERE id = ?", arguments: [id.description]) ?? false
    }

    private func checkNotRemoved(_ id: JobID, in db: Database) throws {
        let sql = "SELECT true FROM removed_job WHERE id = ?"
        if try Bool.fetchOne(db, sql: sql, arguments: [id.description]) ?? false { throw JobStoreError.removed(id) }
    }

    private func read<Value>(_ body: (Database) throws -> Value) throws(JobStoreError) -> Value {
        try translatingErrors { try pool.read(body) }
    }

    private func write<Value>(_ body: (Database) throws -> Value) throws(JobStoreError) -> Value {
        try translatingErrors { try pool.write(body) }
    }
}

/// Without it commits would not be durable: the process must not go on if this fails.
private func restoreFullSync(_ db: Database) {
    do {
        try db.execute(sql: "PRAGMA synchronous = FULL")
    } catch {
        preconditionFailure("the job database cannot be set to sync every commit")
    }
}

/// Runs `body` and turns what the database library throws into our error, which says nothing of the statement's values.
private func translatingErrors<Value>(_ body: () throws -> Value) throws(JobStoreError) -> Value {
    do {
        return try body()
    } catch let error as JobStoreError {
        throw error
    } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
        throw .diskFull
    } catch let error as DatabaseError {
        throw .unavailable(code: Int(error.extendedResultCode.rawValue))
    } catch {
        throw .unavailable(code: 0)
    }
}

import Foundation
import GRDB
public import Jobs

/// What is known of the queue as a whole.
extension SQLiteJobStore {
    // MARK: - Room

    /// Throws if a job may not join those that wait.
    func checkRoom(in limits: QueueLimits, owner: String?, bytes: Int, in db: Database) throws {
        let waiting = try Int.fetchOne(db, sql: Self.waitingCount) ?? 0
        let owned = try owner.flatMap { try Row.fetchOne(db, sql: Self.waitingOfOwner, arguments: [$0]) }
        try limits.check(waiting: waiting, owned: owned.map { ($0[0], $0[1]) }, bytes: bytes)
    }

    static let waitingCount = "SELECT count(*) FROM job WHERE state = 'queued'"
    static let waitingOfOwner =
        "SELECT count(*), coalesce(sum(upload_bytes), 0) FROM job WHERE owner = ? AND state = 'queued'"

    /// Throws if a new job's files may not be kept.
    func checkStorage(in limits: QueueLimits, of new: NewJob, in db: Database) throws {
        guard let owner = new.owner else { return }
        try limits.checkStorage(stored: { try self.stored(of: owner, in: db) }, adding: new.storedBytes)
    }

    /// What an owner's jobs hold on the disk, summed over an index that has both: it cannot differ from the rows.
    public func stored(of owner: String) throws(JobStoreError) -> Int {
        try read { db in try stored(of: owner, in: db) }
    }

    private func stored(of owner: String, in db: Database) throws -> Int {
        try Int.fetchOne(db, sql: Self.storedOfOwner, arguments: [owner]) ?? 0
    }

    static let storedOfOwner = "SELECT coalesce(sum(stored_bytes), 0) FROM job WHERE owner = ?"

    /// One row by its key, written only if the number is another.
    public func setStored(_ bytes: Int, of id: JobID) throws(JobStoreError) {
        let sql = "UPDATE job SET stored_bytes = ? WHERE id = ? AND stored_bytes <> ?"
        try write { db in try db.execute(sql: sql, arguments: [bytes, id.description, bytes]) }
    }

    // MARK: - Pause

    /// Pauses the queue, or lets it go on; kept in the database.
    public func setPaused(_ isPaused: Bool) throws(JobStoreError) {
        try write { db in try db.execute(sql: "UPDATE queue SET is_paused = ?", arguments: [isPaused]) }
    }

    func isPaused(in db: Database) throws -> Bool {
        guard let row = try Row.fetchOne(db, sql: "SELECT * FROM queue") else { throw JobStoreError.damaged(nil) }
        try RowDigests.prove(row)
        return row["is_paused"]
    }

    // MARK: - Report

    /// Counted over the index on states and priorities.
    public func report() throws(JobStoreError) -> QueueReport {
        try read { db in
            var report = QueueReport()
            for row in try Row.fetchAll(db, sql: Self.countsByPriority) {
                guard let state = JobState(rawValue: row[0]), let priority = JobPriority(rawValue: row[1]) else {
                    throw JobStoreError.damaged(nil)
                }
                report.counts[state]?[priority] = row[2]
                let oldest = Date(milliseconds: row[3])
                if state == .queued { report.oldestWaiting = min(report.oldestWaiting ?? oldest, oldest) }
            }
            report.isPaused = try isPaused(in: db)
            return report
        }
    }

    static let countsByPriority =
        "SELECT state, priority, count(*), min(queued_ms) FROM job GROUP BY state, priority"

    // MARK: - Estimate

    /// All that the estimate needs, read from one snapshot.
    public func estimate(for id: JobID, workers: Int) throws(JobStoreError) -> Duration? {
        try read { db in
            guard let job = try row(id, in: db)?.job else { return nil }
            if job.state.isFinal { return .zero }
            let runs = try Row.fetchAll(db, sql: "SELECT * FROM measured_run").map { row -> Double in
                try RowDigests.prove(row)
                return row["seconds_per_cost"]
            }
            guard let pace = JobEstimate.pace(of: runs) else { return nil }
            var ahead = 0.0
            if job.state == .queued {
                if try isPaused(in: db) { return nil }
                ahead = try costBefore(job, in: db) + (Double.fetchOne(db, sql: Self.costRunning) ?? 0)
            }
            return job.timeLeft(workAhead: ahead, pace: pace, workers: workers)
        }
    }

    /// The cost of what is probably started before a waiting job.
    ///
    /// Of other priorities, what has an earlier rank. Of its own: its owner's jobs of an earlier rank, and as many of each
    /// other owner, as owners take turns; which of them is not looked at, so their mean cost is taken.
    private func costBefore(_ job: Job, in db: Database) throws -> Double {
        let place: StatementArguments = [job.rank.milliseconds, job.id.description]
        let others = [JobPriority.stat, .routine, .bulk].filter { $0 != job.priority }
        var cost = 0.0
        for priority in others {
            cost += try Double.fetchOne(db, sql: Self.costOfPriority, arguments: [priority.rawValue] + place) ?? 0
        }
        let own: StatementArguments = [job.priority.rawValue, job.owner]
        let before = try Row.fetchOne(db, sql: Self.ownBefore, arguments: own + place)
        let ownCount = before?[0] as Int? ?? 0
        cost += before?[1] as Double? ?? 0
        for row in try Row.fetchAll(db, sql: Self.waitingOfOthers, arguments: own) {
            let (count, all): (Int, Double) = (row[0], row[1])
            cost += all * min(1, Double(ownCount + 1) / Double(count))
        }
        return cost
    }

    /// The index on ranks alone would be shorter, and would have each row looked up for its priority.
    static let costOfPriority = """
        SELECT total(cost) FROM job INDEXED BY job_by_turn
        WHERE state = 'queued' AND priority = ? AND (rank_ms, id) < (?, ?)
        """
    static let ownBefore = """
        SELECT count(*), total(cost) FROM job
        WHERE state = 'queued' AND priority = ? AND owner IS ? AND (rank_ms, id) < (?, ?)
        """
    /// By way of the owners, so that one's own jobs are not read once more.
    static let waitingOfOthers = """
        SELECT count(*), total(cost)
        FROM turn CROSS JOIN job ON state = 'queued' AND job.priority = turn.priority
            AND job.owner IS nullif(turn.owner, '')
        WHERE turn.priority = ? AND turn.owner <> coalesce(?, '')
        GROUP BY turn.owner
        """
    static let costRunning = "SELECT total(cost * (1 - progress)) FROM job WHERE state = 'running'"

    /// Keeps how fast a run was, and as many of the last as an estimate takes. Not with the job, which may be removed.
    func keep(pace: Double, in db: Database) throws {
        try db.execute(sql: "INSERT INTO measured_run (seconds_per_cost) VALUES (?)", arguments: [pace])
        try db.execute(
            sql: "DELETE FROM measured_run WHERE seq <= ?",
            arguments: [Int(db.lastInsertedRowID) - JobEstimate.runsMeasured])
    }
}

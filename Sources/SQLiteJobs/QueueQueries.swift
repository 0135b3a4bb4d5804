import Foundation
import GRDB
import Jobs

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

    // MARK: - Pause

    /// Pauses the queue, or lets it go on; kept in the database.
    public func setPaused(_ isPaused: Bool) throws(JobStoreError) {
        try write { db in try db.execute(sql: "UPDATE queue SET is_paused = ?", arguments: [isPaused]) }
    }

    func isPaused(in db: Database) throws -> Bool {
        try Bool.fetchOne(db, sql: "SELECT is_paused FROM queue") ?? false
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
            let runs = try Double.fetchAll(db, sql: "SELECT seconds_per_cost FROM measured_run")
            guard let pace = JobEstimate.pace(of: runs) else { return nil }
            var ahead = 0.0
            if job.state == .queued {
                if try isPaused(in: db) { return nil }
                let place: StatementArguments = [job.rank.milliseconds, job.id.description]
                ahead = try Double.fetchOne(db, sql: Self.costBefore, arguments: place) ?? 0
                ahead += try Double.fetchOne(db, sql: Self.costRunning) ?? 0
            }
            return job.timeLeft(workAhead: ahead, pace: pace, workers: workers)
        }
    }

    static let costBefore = "SELECT total(cost) FROM job WHERE state = 'queued' AND (rank_ms, id) < (?, ?)"
    static let costRunning = "SELECT total(cost * (1 - progress)) FROM job WHERE state = 'running'"

    /// Keeps how fast a run was, and as many of the last as an estimate takes. Not with the job, which may be removed.
    func keep(pace: Double, in db: Database) throws {
        try db.execute(sql: "INSERT INTO measured_run (seconds_per_cost) VALUES (?)", arguments: [pace])
        try db.execute(
            sql: "DELETE FROM measured_run WHERE seq <= ?",
            arguments: [Int(db.lastInsertedRowID) - JobEstimate.runsMeasured])
    }
}

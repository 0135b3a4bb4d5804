import Foundation
import GRDB
import Jobs

/// A job and its lease as a row of the table `job`.
struct JobRow {
    struct Lease {
        var token: UUID
        var until: Date
    }

    var job: Job
    var lease: Lease?

    init(_ job: Job, lease: Lease? = nil) {
        self.job = job
        self.lease = lease
    }

    static let byName = "SELECT * FROM job WHERE id = ?"

    /// The rows that `sql` selects, with all their columns.
    static func fetch(_ db: Database, _ sql: String, _ arguments: StatementArguments) throws -> [JobRow] {
        try Row.fetchAll(db, sql: sql, arguments: arguments).map(JobRow.init)
    }

    /// Adds the row; returns the job as it is now stored, with times in whole milliseconds.
    func insert(in db: Database) throws -> Job {
        let names = columns.map(\.name).joined(separator: ", ")
        let marks = columns.map { _ in "?" }.joined(separator: ", ")
        return try write("INSERT INTO job (\(names)) VALUES (\(marks))", columns.map(\.value), in: db)
    }

    /// Overwrites the row of the same name; returns the job as it is now stored.
    func update(in db: Database) throws -> Job {
        let assignments = columns.map { "\($0.name) = ?" }.joined(separator: ", ")
        let values = columns.map(\.value) + [job.id.description]
        return try write("UPDATE job SET \(assignments) WHERE id = ?", values, in: db)
    }

    private func write(_ sql: String, _ values: [(any DatabaseValueConvertible)?], in db: Database) throws -> Job {
        try db.execute(sql: sql, arguments: StatementArguments(values))
        // RETURNING would give the digest of before: triggers run after it.
        guard let row = try Self.fetch(db, Self.byName, [job.id.description]).first else {
            throw JobStoreError.damaged(job.id)
        }
        return row.job
    }

    private var columns: [(name: String, value: (any DatabaseValueConvertible)?)] {
        [
            ("id", job.id.description),
            ("state", job.state.rawValue),
            ("attempts", job.attempts),
            ("created_ms", job.createdAt.milliseconds),
            ("queued_ms", job.queuedAt.milliseconds),
            ("rank_ms", job.rank.milliseconds),
            ("priority", job.priority.rawValue),
            ("started_ms", job.startedAt?.milliseconds),
            ("finished_ms", job.finishedAt?.milliseconds),
            ("not_before_ms", job.notBefore?.milliseconds ?? 0),
            ("stage", job.stage),
            ("progress", job.progress),
            ("cancel_requested", job.cancelRequested),
            ("failure_code", job.failure?.code),
            ("failure_message", job.failure?.message),
            ("has_reference", job.hasReference),
            ("upload_bytes", job.uploadBytes),
            ("stored_bytes", job.storedBytes),
            ("cost", job.cost),
            ("owner", job.owner),
            ("webhook", job.webhook),
            ("request", job.request),
            ("content_key", job.contentKey),
            ("copied_from", job.copiedFrom?.description),
            ("lease_token", lease?.token.uuidString),
            ("lease_until_ms", lease?.until.milliseconds),
            ("options", job.options),
            ("result", job.result),
        ]
    }

    private init(_ row: Row) throws {
        guard let id = JobID(row["id"]) else { throw JobStoreError.damaged(nil) }
        try RowDigests.prove(row, of: id)
        guard let state = JobState(rawValue: row["state"]), let priority = JobPriority(rawValue: row["priority"]) else {
            throw JobStoreError.damaged(id)
        }
        job = Job(
            NewJob(
                id: id, options: row["options"], hasReference: row["has_reference"], uploadBytes: row["upload_bytes"],
                createdAt: Date(milliseconds: row["created_ms"]), priority: priority, cost: row["cost"],
                owner: row["owner"], webhook: row["webhook"], contentKey: row["content_key"], request: row["request"],
                storedBytes: row["stored_bytes"]))
        job.state = state
        job.attempts = row["attempts"]
        job.queuedAt = Date(milliseconds: row["queued_ms"])
        job.startedAt = (row["started_ms"] as Int64?).map(Date.init(milliseconds:))
        job.finishedAt = (row["finished_ms"] as Int64?).map(Date.init(milliseconds:))
        let notBefore: Int64 = row["not_before_ms"]
        job.notBefore = notBefore == 0 ? nil : Date(milliseconds: notBefore)
        job.stage = row["stage"]
        job.progress = row["progress"]
        job.cancelRequested = row["cancel_requested"]
        if let code: String = row["failure_code"], let message: String = row["failure_message"] {
            job.failure = JobFailure(code: code, message: message)
        }
        job.result = row["result"]
        job.copiedFrom = (row["copied_from"] as String?).flatMap(JobID.init)
        if let token = (row["lease_token"] as String?).flatMap(UUID.init(uuidString:)),
            let until = row["lease_until_ms"] as Int64?
        {
            lease = Lease(token: token, until: Date(milliseconds: until))
        }
    }
}

extension Date {
    /// Whole milliseconds since 1970: the nearest, so that what was read is written back unchanged.
    var milliseconds: Int64 { Int64((timeIntervalSince1970 * 1_000).rounded()) }

    init(milliseconds: Int64) {
        self.init(timeIntervalSince1970: Double(milliseconds) / 1_000)
    }
}

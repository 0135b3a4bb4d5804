import Foundation
import GRDB
import Jobs

/// The table `audit`. Its triggers refuse every change and every removal, whoever asks.
extension SQLiteJobStore {
    /// The audit log kept with these jobs.
    public var audit: AuditLog { AuditLog(add: appendAudit, read: audit) }

    private func appendAudit(_ entry: AuditEntry) throws(JobStoreError) -> AuditEntry {
        try write { db in
            try db.execute(
                sql: "INSERT INTO audit (at_ms, actor, action, job_id, outcome, request) VALUES (?, ?, ?, ?, ?, ?)",
                arguments: [
                    entry.time.milliseconds, entry.actor, entry.action, entry.job?.description, entry.outcome,
                    entry.request,
                ])
            var entry = entry
            entry.sequence = Int(db.lastInsertedRowID)
            entry.time = Date(milliseconds: entry.time.milliseconds)
            return entry
        }
    }

    private func audit(after sequence: Int, limit: Int) throws(JobStoreError) -> [AuditEntry] {
        try read { db in try Self.audit(after: sequence, limit: limit, in: db) }
    }

    private static func audit(after sequence: Int, limit: Int, in db: Database) throws -> [AuditEntry] {
        let sql = "SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"
        return try Row.fetchAll(db, sql: sql, arguments: [sequence, max(0, limit)]).map { row in
            var entry = AuditEntry(
                time: Date(milliseconds: row["at_ms"]), actor: row["actor"], action: row["action"],
                job: (row["job_id"] as String?).flatMap(JobID.init), outcome: row["outcome"], request: row["request"])
            entry.sequence = row["seq"]
            return entry
        }
    }

    /// Shows the audit log of a database to `body`, page by page, without writing to it: a server may be at work on it.
    ///
    /// - Parameter sequence: only entries with a greater number.
    /// - Throws: ``JobStoreError/unavailable(code:)`` if it is no database of jobs, or of a version that kept no audit.
    public static func readAudit(
        in file: URL, after sequence: Int, _ body: ([AuditEntry]) throws -> Void
    ) throws {
        let limit = 1_000
        let queue = try translatingErrors(file) {
            var configuration = Configuration()
            configuration.readonly = true
            configuration.busyMode = .timeout(5)
            return try DatabaseQueue(path: file.path, configuration: configuration)
        }
        var last = sequence
        while true {
            let page = try translatingErrors(file) { try queue.read { try audit(after: last, limit: limit, in: $0) } }
            try body(page)
            guard page.count == limit else { return }
            last = page[limit - 1].sequence
        }
    }
}

public import Foundation
import GRDB
public import Jobs

/// The table `audit`. Its triggers refuse every change, and the removal of what was not exported, whoever asks.
extension SQLiteJobStore {
    /// The audit log kept with these jobs.
    public var audit: AuditLog {
        AuditLog(
            add: { (entries) throws(JobStoreError) in try self.write { db in try AuditTable.append(entries, in: db) } },
            read: { (last, limit) throws(JobStoreError) in
                try self.read { db in try AuditTable.entries(after: last, limit: limit, in: db) }
            },
            trim: { (last) throws(JobStoreError) in try self.write { db in try AuditTable.trim(through: last, in: db) }
            })
    }

    /// The audit log of a database that a server may be at work on. Only the export's end writes to it; nothing else does.
    ///
    /// - Throws: ``JobStoreError/newerSchema`` and ``JobStoreError/olderSchema`` if another version of the program wrote
    ///   it; ``JobStoreError/unavailable(code:)`` if it is no database of jobs.
    public static func audit(of file: URL) throws(JobStoreError) -> AuditLog {
        @Sendable func queue(isReadonly: Bool) throws(JobStoreError) -> DatabaseQueue {
            try translatingErrors(file) {
                var configuration = Configuration()
                configuration.readonly = isReadonly
                configuration.busyMode = .timeout(20)
                configuration.prepareDatabase { try $0.execute(sql: "PRAGMA secure_delete = ON") }
                return try DatabaseQueue(path: file.path, configuration: configuration)
            }
        }
        let reading = try queue(isReadonly: true)
        try translatingErrors(file) { try reading.read(checkSchema) }
        return AuditLog(
            add: { (_) throws(JobStoreError) in preconditionFailure("only a server appends") },
            read: { (last, limit) throws(JobStoreError) in
                try translatingErrors(file) {
                    try reading.read { try AuditTable.entries(after: last, limit: limit, in: $0) }
                }
            },
            trim: { (last) throws(JobStoreError) in
                let writing = try queue(isReadonly: false)
                try translatingErrors(file) { try writing.write { try AuditTable.trim(through: last, in: $0) } }
            })
    }
}

private enum AuditTable {
    static func append(_ entries: [AuditEntry], in db: Database) throws -> [AuditEntry] {
        try entries.map { entry in
            try db.execute(
                sql: """
                    INSERT INTO audit (at_ms, actor, action, job_id, outcome, request, count)
                    VALUES (?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    entry.time.milliseconds, entry.actor, entry.action, entry.job?.description, entry.outcome,
                    entry.request, entry.count,
                ])
            var entry = entry
            entry.sequence = Int(db.lastInsertedRowID)
            entry.time = Date(milliseconds: entry.time.milliseconds)
            return entry
        }
    }

    static func entries(after sequence: Int, limit: Int, in db: Database) throws -> [AuditEntry] {
        let sql = "SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT ?"
        return try Row.fetchAll(db, sql: sql, arguments: [sequence, max(0, limit)]).map { row in
            var entry = AuditEntry(
                time: Date(milliseconds: row["at_ms"]), actor: row["actor"], action: row["action"],
                job: (row["job_id"] as String?).flatMap(JobID.init), outcome: row["outcome"], request: row["request"],
                count: row["count"])
            entry.sequence = row["seq"]
            return entry
        }
    }

    /// The trigger lets go what the number says is exported.
    static func trim(through sequence: Int, in db: Database) throws {
        try db.execute(sql: "UPDATE audit_exported SET last = max(last, ?)", arguments: [sequence])
        try db.execute(sql: "DELETE FROM audit WHERE seq <= ?", arguments: [sequence])
    }
}

public import Foundation
import GRDB
public import Jobs

/// The table `audit`. Its triggers refuse every change, and the removal of what was not exported, whoever asks.
extension SQLiteJobStore: AuditLog {
    /// Adds entries in one transaction.
    @discardableResult
    public func append(_ entries: [AuditEntry]) throws(JobStoreError) -> [AuditEntry] {
        try write { db in try AuditTable.append(entries, in: db) }
    }

    /// Entries in their order, by the table's key.
    public func entries(after sequence: Int, limit: Int) throws(JobStoreError) -> [AuditEntry] {
        try read { db in try AuditTable.entries(after: sequence, limit: limit, in: db) }
    }

    /// Removes what was exported.
    public func removeExported(through sequence: Int) throws(JobStoreError) {
        try write { db in try AuditTable.trim(through: sequence, in: db) }
    }
}

/// The audit log in a database's file that a server may be at work on. Reading changes nothing.
public struct AuditFile: AuditLog {
    private let file: URL
    private let reading: DatabaseQueue

    /// Opens the log to read it.
    ///
    /// - Throws: ``JobStoreError/newerSchema`` and ``JobStoreError/olderSchema`` if another version of the program wrote
    ///   it; ``JobStoreError/unavailable(code:)`` if it is no database of jobs.
    public init(_ file: URL) throws(JobStoreError) {
        self.file = file
        reading = try translatingErrors(file) {
            let queue = try Self.queue(file, isReadonly: true)
            try queue.read(checkSchema)
            return queue
        }
    }

    /// Adds entries beside the server's own.
    @discardableResult
    public func append(_ entries: [AuditEntry]) throws(JobStoreError) -> [AuditEntry] {
        try writing { try AuditTable.append(entries, in: $0) }
    }

    /// Entries in their order.
    public func entries(after sequence: Int, limit: Int) throws(JobStoreError) -> [AuditEntry] {
        try translatingErrors(file) {
            try reading.read { try AuditTable.entries(after: sequence, limit: limit, in: $0) }
        }
    }

    /// Removes what was exported.
    public func removeExported(through sequence: Int) throws(JobStoreError) {
        try writing { try AuditTable.trim(through: sequence, in: $0) }
    }

    private func writing<Result>(_ body: (Database) throws -> Result) throws(JobStoreError) -> Result {
        try translatingErrors(file) {
            let queue = try Self.queue(file, isReadonly: false)
            try queue.writeWithoutTransaction(RowDigests.keep)
            return try queue.write(body)
        }
    }

    private static func queue(_ file: URL, isReadonly: Bool) throws -> DatabaseQueue {
        var configuration = settingsToWrite()
        configuration.readonly = isReadonly
        configuration.busyMode = .timeout(20)
        return try DatabaseQueue(path: file.path, configuration: configuration)
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
            try RowDigests.prove(row)
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

public import Foundation
import GRDB
public import Jobs

/// Taking jobs back in when the database has lost them.
extension SQLiteJobStore {
    /// Copies what can be read of a damaged database into this one, which is new: table by table, each from both ends up to
    /// the damage. Rows that break a rule of the schema, or are not what was written by their digest, are left out.
    ///
    /// - Returns: how many rows each table gave, and whether all of it could be read.
    public func salvage(from damaged: URL) throws(JobStoreError) -> (rows: [String: Int], isWhole: Bool) {
        // What cannot even be opened gives nothing.
        guard let source = try? openToRead(damaged) else { return ([:], false) }
        var rows: [String: Int] = [:]
        var isWhole = true
        let tables = try read { db in
            try String.fetchAll(
                db,
                sql: """
                    SELECT name FROM sqlite_schema
                    WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT IN ('grdb_migrations', 'queue', 'audit_exported')
                    ORDER BY name <> 'job', name
                    """)
        }
        for table in tables {
            let own = try read { db in try db.columns(in: table).map(\.name) }
            rows[table] = try write { db in
                for order in ["ASC", "DESC"] {
                    let wasWhole = try Self.copy(table, columns: own, order, from: source, into: db)
                    if wasWhole { break }
                    isWhole = false
                }
                return try Int.fetchOne(db, sql: "SELECT count(*) FROM \(table)")
            }
        }
        let queue = try? source.read { try Row.fetchOne($0, sql: "SELECT * FROM queue") }
        if let queue, RowDigests.isCredible(queue), queue["is_paused"] == true { try setPaused(true) }
        return (rows, isWhole)
    }

    /// - Returns: whether the end was reached, and each row on the way was sound.
    private static func copy(
        _ table: String, columns own: [String], _ order: String, from source: DatabaseQueue, into db: Database
    ) throws -> Bool {
        // Indexes may be what is damaged; a row id, or the key of a table without one, is in the table itself.
        let hasRowID = try Bool.fetchOne(
            db, sql: "SELECT NOT wr FROM pragma_table_list WHERE name = ?", arguments: [table])
        let isByRow = hasRowID ?? true
        let key = isByRow ? "rowid" : try db.primaryKey(table).columns.joined(separator: ", ")
        do {
            return try source.read { old in
                let cursor = try Row.fetchCursor(
                    old, sql: "SELECT * FROM \(table) \(isByRow ? "NOT INDEXED" : "") ORDER BY \(key) \(order)")
                var isWhole = true
                while let row = try cursor.next() {
                    guard RowDigests.isCredible(row) else {
                        isWhole = false
                        continue
                    }
                    let names = row.columnNames.filter(own.contains)
                    let values = names.map { row[$0] as DatabaseValue }
                    let marks = names.map { _ in "?" }.joined(separator: ", ")
                    do {
                        try db.execute(
                            sql: "INSERT OR IGNORE INTO \(table) (\(names.joined(separator: ", "))) VALUES (\(marks))",
                            arguments: StatementArguments(values))
                    } catch let error as DatabaseError where error.resultCode == .SQLITE_CONSTRAINT {
                        // Not what this program writes, or of a job that could not be read.
                    }
                }
                return isWhole
            }
        } catch let error as DatabaseError where error.isDamage || error.resultCode == .SQLITE_ERROR {
            return false
        }
    }

    /// Takes rows out that no longer say what a job is; their folders, which have notes, can then be taken in again.
    ///
    /// - Returns: how many there were.
    @discardableResult
    public func dropUnreadable() throws(JobStoreError) -> Int {
        try write { db in
            var dropped = 0
            for number in try Int64.fetchAll(db, sql: "SELECT rowid FROM job NOT INDEXED") {
                let isReadable = (try? JobRow.fetch(db, "SELECT * FROM job WHERE rowid = ?", [number])) != nil
                guard !isReadable else { continue }
                try db.execute(sql: "DELETE FROM job WHERE rowid = ?", arguments: [number])
                dropped += 1
            }
            return dropped
        }
    }

    /// Accepts a job whose files are there and whose row was lost: waiting, or, with the summary of its result, succeeded.
    ///
    /// - Returns: whether it was; not if the name was removed, or the retry key belongs to another job.
    public func takeIn(_ new: NewJob, result: (summary: Data, at: Date)?) throws(JobStoreError) -> Bool {
        do throws(JobStoreError) {
            guard try enqueue(new, limits: QueueLimits(jobs: .max)).id == new.id else { return false }
        } catch {
            switch error {
            case .removed, .alreadyExists, .keyReused: return false
            default: throw error
            }
        }
        guard let result else { return true }
        try write { db in
            guard let old = try row(new.id, in: db)?.job else { return }
            var job = old
            job.state = .succeeded
            job.attempts = 1
            job.progress = 1
            job.finishedAt = result.at
            job.result = result.summary
            _ = try change(old, to: job, at: Date(), in: db)
        }
        return true
    }
}

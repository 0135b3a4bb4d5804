public import Foundation
import GRDB
public import Jobs

/// The table `job_event`. One writer at a time, so numbers are committed in their order: whoever has read up to one has
/// missed none before it. A transaction that is rolled back gives its numbers back.
enum EventTable {
    /// Adds an event; returns its number.
    @discardableResult
    static func append(_ kind: JobEvent.Kind, of job: JobID, at now: Date, in db: Database) throws -> Int {
        try db.execute(
            sql: "INSERT INTO job_event (job_id, kind, at_ms) VALUES (?, ?, ?)",
            arguments: [job.description, kind.rawValue, now.milliseconds])
        return Int(db.lastInsertedRowID)
    }

    fileprivate static func event(_ row: Row) throws -> JobEvent {
        try RowDigests.prove(row)
        guard let job = JobID(row["job_id"]), let kind = JobEvent.Kind(rawValue: row["kind"]) else {
            throw JobStoreError.damaged(nil)
        }
        return JobEvent(sequence: row["seq"], job: job, kind: kind, time: Date(milliseconds: row["at_ms"]))
    }
}

extension SQLiteJobStore {
    /// Events in their order, by the table's key.
    public func events(after sequence: Int, limit: Int) throws(JobStoreError) -> [JobEvent] {
        try read { db in
            let sql = "SELECT * FROM job_event WHERE seq > ? ORDER BY seq LIMIT ?"
            return try Row.fetchAll(db, sql: sql, arguments: [sequence, max(0, limit)]).map(EventTable.event)
        }
    }

    /// The number of the last event, which SQLite keeps beside the table.
    public func lastEvent() throws(JobStoreError) -> Int {
        try read { db in try Int.fetchOne(db, sql: "SELECT seq FROM sqlite_sequence WHERE name = 'job_event'") ?? 0 }
    }

    /// Drops the oldest events. A clock that was set back does not tear a hole: the first young event ends it.
    @discardableResult
    public func trimEvents(olderThan time: Date) throws(JobStoreError) -> Int {
        try write { db in
            let young = "SELECT seq FROM job_event WHERE at_ms >= ? ORDER BY seq LIMIT 1"
            let first = try Int.fetchOne(db, sql: young, arguments: [time.milliseconds])
            try db.execute(sql: "DELETE FROM job_event WHERE seq < ?", arguments: [first ?? .max])
            let dropped = db.changesCount
            try DeliveryTable.dropDead(ofEventsBefore: first, in: db)
            return dropped
        }
    }
}

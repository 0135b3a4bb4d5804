public import Foundation
internal import GRDB
public import Jobs

/// The table `delivery`: webhooks that were not yet delivered, and dead letters. A row holds ids and states, and outlives
/// its job: who deletes a job does not take from its receiver that it has ended.
enum DeliveryTable {
    /// Adds a delivery, due at once.
    static func insert(_ url: String, of job: Job, event: Int, at now: Date, in db: Database) throws {
        try db.execute(
            sql: """
                INSERT INTO delivery
                    (job_id, state, event_seq, url, receiver, created_ms, since_ms, attempts, due_ms, is_dead)
                VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, false)
                """,
            arguments: [
                job.id.description, job.state.rawValue, event, url, WebhookDelivery.receiver(of: url),
                now.milliseconds, now.milliseconds, now.milliseconds,
            ])
    }

    /// What is due, but not for so many receivers; by an index that has them, as one of them may have thousands.
    static func firstDue(besides receivers: Int) -> String {
        let marks = Array(repeating: "?", count: receivers).joined(separator: ", ")
        return """
            SELECT * FROM delivery WHERE id = (
                SELECT id FROM delivery WHERE is_dead = false AND due_ms <= ? AND receiver NOT IN (\(marks))
                ORDER BY due_ms, id LIMIT 1
            )
            """
    }

    /// Drops what was given up of news that the feed has dropped too; all of it where no event is left.
    static func dropDead(ofEventsBefore event: Int?, in db: Database) throws {
        try db.execute(
            sql: "DELETE FROM delivery WHERE is_dead = true AND event_seq < ?", arguments: [event ?? .max])
    }

    fileprivate static func update(_ delivery: WebhookDelivery, in db: Database) throws {
        try db.execute(
            sql: """
                UPDATE delivery SET attempts = ?, since_ms = ?, due_ms = ?, token = ?, failure = ?, is_dead = ?
                WHERE id = ?
                """,
            arguments: [
                delivery.attempts, delivery.since.milliseconds, delivery.dueAt.milliseconds, delivery.token?.uuidString,
                delivery.failure,
                delivery.isDead, delivery.id,
            ])
    }

    fileprivate static func delivery(_ row: Row) throws -> WebhookDelivery {
        try RowDigests.prove(row)
        guard let job = JobID(row["job_id"]), let state = JobState(rawValue: row["state"]) else {
            throw JobStoreError.damaged(nil)
        }
        var delivery = WebhookDelivery(
            id: row["id"], job: job, state: state, event: row["event_seq"], url: row["url"],
            createdAt: Date(milliseconds: row["created_ms"]))
        delivery.since = Date(milliseconds: row["since_ms"])
        delivery.attempts = row["attempts"]
        delivery.dueAt = Date(milliseconds: row["due_ms"])
        delivery.token = (row["token"] as String?).flatMap(UUID.init(uuidString:))
        delivery.failure = row["failure"]
        delivery.isDead = row["is_dead"]
        return delivery
    }
}

extension SQLiteJobStore: Outbox {
    /// Counted over the whole table, which holds what is not yet delivered only.
    public func deliveryCounts() throws(JobStoreError) -> (pending: Int, dead: Int) {
        try read { db in
            let row = try Row.fetchOne(
                db, sql: "SELECT count(*) - total(is_dead) AS pending, total(is_dead) AS dead FROM delivery")
            return (pending: Int(row?["pending"] as Double? ?? 0), dead: Int(row?["dead"] as Double? ?? 0))
        }
    }

    /// Takes what has been due longest, by an index.
    public func nextDelivery(
        at now: Date, lease: Duration, besides receivers: Set<String>
    ) throws(JobStoreError) -> WebhookDelivery? {
        // A sender asks often and mostly in vain: that needs no transaction that keeps writers out.
        let due = try read { db in try Self.firstDue(at: now, besides: receivers, in: db) }
        guard due != nil else { return nil }
        return try write { db in
            while let delivery = try Self.firstDue(at: now, besides: receivers, in: db) {
                let taken = delivery.taken(at: now, lease: lease)
                try DeliveryTable.update(taken, in: db)
                if !taken.isDead { return taken }
            }
            return nil
        }
    }

    private static func firstDue(
        at now: Date, besides receivers: Set<String>, in db: Database
    ) throws -> WebhookDelivery? {
        let sql = DeliveryTable.firstDue(besides: receivers.count)
        return try Row.fetchOne(db, sql: sql, arguments: [now.milliseconds] + StatementArguments(receivers))
            .map(DeliveryTable.delivery)
    }

    /// Makes dead letters of what no sender holds.
    @discardableResult
    public func giveUp(
        _ receiver: String, triedSince time: Date, _ reason: String
    ) throws(JobStoreError) -> Int {
        try write { db in
            let sql = """
                UPDATE delivery SET is_dead = true, failure = ?
                WHERE is_dead = false AND receiver = ? AND since_ms <= ? AND token IS NULL
                """
            try db.execute(sql: sql, arguments: [reason, receiver, time.milliseconds])
            return db.changesCount
        }
    }

    /// Writes what became of an attempt, if the row still carries its token.
    public func settle(_ delivery: WebhookDelivery, as next: WebhookDelivery?) throws(JobStoreError) -> Bool {
        // The URL may hold a secret of the client.
        defer { if next == nil { purgeSoon() } }
        return try write { db in
            let sql = "SELECT true FROM delivery WHERE id = ? AND token = ?"
            let held = try Bool.fetchOne(db, sql: sql, arguments: [delivery.id, delivery.token?.uuidString])
            guard held == true else { return false }
            if let next {
                try DeliveryTable.update(next, in: db)
            } else {
                try db.execute(sql: "DELETE FROM delivery WHERE id = ?", arguments: [delivery.id])
            }
            return true
        }
    }

    /// Deliveries that were given up, by the table's key.
    public func deadLetters(after id: Int, limit: Int) throws(JobStoreError) -> [WebhookDelivery] {
        try read { db in
            let sql = "SELECT * FROM delivery WHERE is_dead = true AND id > ? ORDER BY id LIMIT ?"
            return try Row.fetchAll(db, sql: sql, arguments: [id, max(0, limit)]).map(DeliveryTable.delivery)
        }
    }

    /// Has a dead letter tried again.
    public func revive(_ id: Int, at now: Date) throws(JobStoreError) -> Bool {
        try write { db in
            let row = try Row.fetchOne(db, sql: "SELECT * FROM delivery WHERE id = ?", arguments: [id])
            guard let delivery = try row.map(DeliveryTable.delivery)?.revived(at: now) else { return false }
            try DeliveryTable.update(delivery, in: db)
            return true
        }
    }
}

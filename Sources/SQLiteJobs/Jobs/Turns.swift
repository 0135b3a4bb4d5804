import Foundation
import GRDB
import Jobs

/// The table `turn`: when each owner was last served at each priority, by a number that grows with every claim. A clock
/// has no part in it. Whoever comes for the first time, which a trigger on the table of jobs notes, comes last. Owners
/// without a name are one, whose name here is empty.
///
/// The job of the earliest rank says which priority is served: so jobs grow old as ``JobPriority`` tells, whoever sent
/// them. Within the priority the owner comes next that was served longest ago, with its own earliest job. So whoever has
/// a job waiting is served once before anybody is served twice, however many jobs the others sent; and the job of the
/// earliest rank, which is its owner's first, starts after at most one job of each other owner.
enum Turns {
    /// The waiting job whose turn it is.
    ///
    /// Answered by indexes until the row is found: as many looks as there are owners, so that a long queue costs little.
    static func next(at now: Date, in db: Database) throws -> JobRow? {
        let due = now.milliseconds
        guard let priority = try String.fetchOne(db, sql: priorityOfEarliest, arguments: [due]) else { return nil }
        return try JobRow.fetch(db, firstOfNextOwner, [priority, due, priority, due]).first
    }

    static let priorityOfEarliest = """
        SELECT priority FROM job WHERE id =
            (SELECT id FROM job WHERE state = 'queued' AND not_before_ms <= ? ORDER BY rank_ms, id LIMIT 1)
        """

    static let firstOfNextOwner = """
        SELECT * FROM job WHERE id = (
            SELECT (
                SELECT id FROM job
                WHERE state = 'queued' AND priority = ? AND owner IS nullif(turn.owner, '') AND not_before_ms <= ?
                ORDER BY rank_ms, id LIMIT 1
            ) AS first
            FROM turn
            WHERE turn.priority = ? AND EXISTS (
                SELECT true FROM job
                WHERE state = 'queued' AND priority = turn.priority AND owner IS nullif(turn.owner, '')
                    AND not_before_ms <= ?
            )
            ORDER BY turn.served, turn.owner LIMIT 1
        )
        """

    /// A job of this owner was started.
    static func served(_ job: Job, in db: Database) throws {
        try db.execute(
            sql: """
                UPDATE turn SET served = 1 + (SELECT max(served) FROM turn WHERE priority = ?)
                WHERE priority = ? AND owner = ?
                """,
            arguments: [job.priority.rawValue, job.priority.rawValue, job.owner ?? ""])
    }
}

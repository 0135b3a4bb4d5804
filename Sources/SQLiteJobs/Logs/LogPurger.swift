import Dispatch
import GRDB
import Synchronization

/// Empties the database's log after rows were deleted.
///
/// A row that is deleted is overwritten in the page it lay in (`secure_delete`), but the log keeps that page as it was
/// before, until it was folded into the database and truncated. That needs a moment without readers of an older state, so it
/// is done off the threads that serve, once for all that was deleted within a second, and again until it succeeds.
final class LogPurger: Sendable {
    private let pool: WeakPool
    private let isDue = Mutex(false)
    private static let pause = DispatchTimeInterval.seconds(1)

    init(_ pool: DatabasePool) { self.pool = WeakPool(pool) }

    /// Purges within seconds. Cheap to call often.
    func purgeSoon() {
        let wasDue = isDue.withLock { isDue in
            defer { isDue = true }
            return isDue
        }
        guard !wasDue else { return }
        DispatchQueue.global(qos: .utility).asyncAfter(deadline: .now() + Self.pause) { [self] in
            isDue.withLock { $0 = false }
            purge()
        }
    }

    /// Purges now if nobody reads an older state, else soon. A store that is closed meanwhile has emptied its log.
    func purge() {
        guard let pool = pool.pool else { return }
        let isEmpty = try? pool.writeWithoutTransaction { db in
            // Waiting for readers here would keep all writers waiting too.
            let timeout = try Int.fetchOne(db, sql: "PRAGMA busy_timeout") ?? 5_000
            try db.execute(sql: "PRAGMA busy_timeout = 0")
            defer { try? db.execute(sql: "PRAGMA busy_timeout = \(timeout)") }
            // The first column says whether somebody was in the way.
            return try Int.fetchOne(db, sql: "PRAGMA wal_checkpoint(TRUNCATE)") == 0
        }
        if isEmpty != true { purgeSoon() }
    }

    private struct WeakPool: Sendable {
        weak let pool: DatabasePool?
        init(_ pool: DatabasePool) { self.pool = pool }
    }
}

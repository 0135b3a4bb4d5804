public import Foundation
import GRDB
public import Jobs
import Synchronization

/// Jobs in an SQLite database, in WAL mode: status requests read while others write. Every change of state is synced to
/// the disk before its call returns.
///
/// This file accepts jobs and finds them; JobChanges.swift has what changes them, QueueQueries.swift what is known of the
/// queue as a whole, and each other table has a file.
public final class SQLiteJobStore: SingleHostStore {
    private let pool: DatabasePool
    private let file: URL
    /// The first damage that was met.
    private let damage = Mutex<JobStoreError?>(nil)
    private let purger: LogPurger

    /// Opens the database, proves that it is sound, and brings its schema up to date; creates it in a folder that exists.
    /// One store a process.
    ///
    /// The proof reads the whole file, each index beside its table, each row beside its digest: 0.2 s for 10,000 jobs, 4 s
    /// for 100,000.
    ///
    /// - Throws: ``JobStoreError/corrupt(file:found:)`` if it is damaged or no database, and then nothing was changed;
    ///   ``JobStoreError/newerSchema`` if a later version of the program wrote it; ``JobStoreError/unavailable(code:)`` if
    ///   it cannot be read or written; ``JobStoreError/diskFull``.
    public init(file: URL) throws(JobStoreError) {
        self.file = file
        var configuration = settingsToWrite()
        configuration.busyMode = .timeout(5)
        configuration.label = "jobs"
        makePrivate(file)
        pool = try translatingErrors(file) {
            let pool = try DatabasePool(path: file.path, configuration: configuration)
            // GRDB leaves a new pool at NORMAL, where a power loss may take the last commits.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            try pool.read { db in
                try proveSound(db, file)
                if try jobSchema.hasBeenSuperseded(db) { throw JobStoreError.newerSchema }
            }
            try jobSchema.migrate(pool)
            try pool.writeWithoutTransaction(RowDigests.keep)
            return pool
        }
        purger = LogPurger(pool)
        // What an earlier process deleted may still be read in the log that it left.
        purger.purge()
    }

    /// Ends the work on the database; then it is one file, which may be moved.
    ///
    /// - Throws: ``JobStoreError/unavailable(code:)`` if somebody else is at work on it.
    public func close() throws(JobStoreError) {
        try translatingErrors(file) {
            // Read-only connections cannot fold the log in: the last to go must be the one that writes.
            pool.invalidateReadOnlyConnections()
            purger.purge()
            try pool.close()
            let log = try? FileManager.default.attributesOfItem(atPath: file.path + "-wal")[.size] as? Int
            guard log ?? 0 == 0 else { throw JobStoreError.unavailable(code: Int(ResultCode.SQLITE_BUSY.rawValue)) }
            for end in ["-wal", "-shm"] { unlink(file.path + end) }
        }
    }

    // MARK: - Accepting

    /// Accepts a job: one row and its event, synced with their commit.
    public func enqueue(_ new: NewJob, limits: QueueLimits) throws(JobStoreError) -> Job {
        try write { db in
            if let key = new.retryKey, let earlier = try self.job(under: key, in: db) { return earlier }
            try self.checkRoom(in: limits, owner: new.owner, bytes: new.uploadBytes, in: db)
            try self.checkStorage(in: limits, of: new, in: db)
            return try self.insert(Job(new), key: new.retryKey, in: db)
        }
    }

    /// Accepts a job that succeeds in the same transaction, with the result that the earlier job has in it.
    public func enqueueFinished(
        _ new: NewJob, copying earlier: JobID, limits: QueueLimits
    ) throws(JobStoreError) -> Job? {
        try write { db in
            if let key = new.retryKey, let same = try self.job(under: key, in: db) { return same }
            let source = try JobRow.fetch(db, JobRow.byName, [earlier.description]).first?.job
            let accepted = Job(new)
            guard let source, let finished = accepted.reusing(source, at: new.createdAt) else { return nil }
            try self.checkStorage(in: limits, of: new, in: db)
            let written = try self.insert(accepted, key: new.retryKey, in: db)
            return try self.change(written, to: finished, at: new.createdAt, in: db)
        }
    }

    private func insert(_ job: Job, key: RetryKey?, in db: Database) throws -> Job {
        try checkNotRemoved(job.id, in: db)
        guard try JobRow.fetch(db, JobRow.byName, [job.id.description]).isEmpty else {
            throw JobStoreError.alreadyExists(job.id)
        }
        let written = try JobRow(job).insert(in: db)
        try EventTable.append(.accepted, of: job.id, at: job.createdAt, in: db)
        if let key {
            try db.execute(
                sql: "INSERT INTO retry_key (key, digest, job_id) VALUES (?, ?, ?)",
                arguments: [key.key, key.digest, job.id.description])
        }
        return written
    }

    /// The job that came of an earlier request with this key, or nil if there is none.
    private func job(under key: RetryKey, in db: Database) throws -> Job? {
        let sql = "SELECT * FROM retry_key WHERE key = ?"
        guard let row = try Row.fetchOne(db, sql: sql, arguments: [key.key]) else { return nil }
        try RowDigests.prove(row)
        guard let id = JobID(row["job_id"]) else { throw JobStoreError.damaged(nil) }
        guard row["digest"] == key.digest else { throw JobStoreError.keyReused(id) }
        return try self.row(id, in: db)?.job
    }

    // MARK: - Finding

    /// The job of this name; reads beside a writer without waiting for it.
    public func job(_ id: JobID) throws(JobStoreError) -> Job? {
        try read { db in try self.row(id, in: db)?.job }
    }

    /// The names of all jobs, read from the table: an index that has lost some would cost their files.
    public func names() throws(JobStoreError) -> Set<JobID> {
        Set(try ids("SELECT id FROM job NOT INDEXED", []))
    }

    /// Asks for what workers and lists ask for, and tells of damage that was met before.
    public func check() throws(JobStoreError) {
        if let met = damage.withLock({ $0 }) { throw met }
        _ = try report()
        _ = try jobs(JobFilter(limit: 1))
        _ = try lastEvent()
        try read { db in
            _ = try Turns.next(at: Date(), in: db)
            _ = try JobRow.fetch(db, Self.overdue, [Date().milliseconds])
        }
    }

    /// The newest job that succeeded with this key.
    public func succeeded(contentKey: String) throws(JobStoreError) -> Job? {
        try read { db in try JobRow.fetch(db, Self.newestWithContent, [contentKey]).first?.job }
    }

    static let newestWithContent =
        "SELECT * FROM job WHERE content_key = ? AND state = 'succeeded' ORDER BY id DESC LIMIT 1"

    /// Names of jobs that ended before a time, by the index on the times of the end.
    public func expired(finishedBefore time: Date, limit: Int) throws(JobStoreError) -> [JobID] {
        try ids(Self.endedBefore, [time.milliseconds, max(0, limit)])
    }

    static let endedBefore = "SELECT id FROM job WHERE finished_ms < ? ORDER BY finished_ms, id LIMIT ?"

    /// The names that `sql` selects.
    private func ids(_ sql: String, _ arguments: StatementArguments) throws(JobStoreError) -> [JobID] {
        try read { db in
            try String.fetchAll(db, sql: sql, arguments: arguments).map { text in
                guard let id = JobID(text) else { throw JobStoreError.damaged(nil) }
                return id
            }
        }
    }

    // MARK: - Inside a transaction

    /// The row of this name, or nil if there never was one.
    func row(_ id: JobID, in db: Database) throws -> JobRow? {
        if let row = try JobRow.fetch(db, JobRow.byName, [id.description]).first { return row }
        try checkNotRemoved(id, in: db)
        return nil
    }

    private func checkNotRemoved(_ id: JobID, in db: Database) throws {
        let sql = "SELECT * FROM removed_job WHERE id = ?"
        guard let row = try Row.fetchOne(db, sql: sql, arguments: [id.description]) else { return }
        try RowDigests.prove(row)
        throw JobStoreError.removed(id)
    }

    /// Runs `body` on a snapshot, beside writers.
    func read<Value>(_ body: (Database) throws -> Value) throws(JobStoreError) -> Value {
        try noting { () throws(JobStoreError) in try translatingErrors(file) { try pool.read(body) } }
    }

    /// Runs `body` in a transaction that no other writer overlaps; synced before it returns.
    func write<Value>(_ body: (Database) throws -> Value) throws(JobStoreError) -> Value {
        try noting { () throws(JobStoreError) in try translatingErrors(file) { try pool.write(body) } }
    }

    /// Has what was deleted leave the log within seconds: until then the log still holds the pages as they were.
    func purgeSoon() { purger.purgeSoon() }

    /// Remembers damage that `body` meets.
    private func noting<Value>(_ body: () throws(JobStoreError) -> Value) throws(JobStoreError) -> Value {
        do throws(JobStoreError) {
            return try body()
        } catch {
            if error.isDamage { damage.withLock { $0 = $0 ?? error } }
            throw error
        }
    }

    /// Runs one statement whose commit is not synced: it may be lost with the power until the next synced one.
    func writeUnsynced<Value>(_ body: (Database) throws -> Value) throws(JobStoreError) -> Value {
        try noting { () throws(JobStoreError) in
            try translatingErrors(file) {
                try pool.writeWithoutTransaction { db in
                    try db.execute(sql: "PRAGMA synchronous = NORMAL")
                    defer { restoreFullSync(db) }
                    return try body(db)
                }
            }
        }
    }

    /// What `PRAGMA synchronous` says on the writing connection: 2 is FULL.
    func synchronousMode() throws -> Int? {
        try pool.writeWithoutTransaction { try Int.fetchOne($0, sql: "PRAGMA synchronous") }
    }
}

/// Without it commits would not be durable: the process must not go on if this fails.
private func restoreFullSync(_ db: Database) {
    do {
        try db.execute(sql: "PRAGMA synchronous = FULL")
    } catch {
        preconditionFailure("the job database cannot be set to sync every commit")
    }
}

/// Makes a database's file, if it is not there, for its owner alone; SQLite gives the files of its log the same mode.
/// A file that is there loses what others may. Opening it tells if that was not possible.
func makePrivate(_ file: URL) {
    // Never opened if it is there: closing it would give up the locks that SQLite holds for this process.
    let descriptor = open(file.path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    if descriptor >= 0 { close(descriptor) }
    for path in [file.path, file.path + "-wal", file.path + "-shm"] { chmod(path, 0o600) }
}

/// For connections that write: what is deleted may tell of a patient, so its bytes are overwritten, and rows have digests.
func settingsToWrite() -> Configuration {
    var configuration = Configuration()
    configuration.prepareDatabase { db in
        guard !db.configuration.readonly else { return }
        try db.execute(sql: "PRAGMA secure_delete = ON")
        RowDigests.addFunctions(to: db)
    }
    return configuration
}

/// Runs `body` and turns what the database library throws into our error, which says nothing of the statement's values.
///
/// - Parameter file: the database, for the error's text.
func translatingErrors<Value>(_ file: URL, _ body: () throws -> Value) throws(JobStoreError) -> Value {
    do {
        return try body()
    } catch let error as JobStoreError {
        throw error
    } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
        throw .diskFull
    } catch let error as DatabaseError where error.isDamage {
        throw .corrupt(file: file.path, found: "error \(error.extendedResultCode.rawValue)")
    } catch let error as DatabaseError {
        throw .unavailable(code: Int(error.extendedResultCode.rawValue))
    } catch {
        throw .unavailable(code: 0)
    }
}

public import Foundation
import GRDB
public import Jobs

/// A copy of a job database as it was at one moment, made beside a server that works on the original.
///
/// The copy is one file that SQLite needs no other for. Nothing is written to the original.
public final class DatabaseCopy {
    /// What a backup has to know of a job.
    public struct Entry: Sendable, Equatable {
        /// The job's name.
        public let id: JobID
        /// Its state at the moment of the copy.
        public let state: JobState
    }

    private let original: DatabaseQueue
    private let copy: DatabaseQueue
    private let file: URL

    /// Copies the database by SQLite's online backup: neither readers nor writers wait for it.
    ///
    /// - Parameters:
    ///   - file: the database.
    ///   - copy: a file that does not exist yet; it is made for its owner alone.
    /// - Throws: ``JobStoreError/corrupt(file:found:)`` if it is not sound, so that no backup of it takes the place of a
    ///   good one; ``JobStoreError/newerSchema`` and ``JobStoreError/olderSchema`` if another version of the program wrote
    ///   it; ``JobStoreError/diskFull``; ``JobStoreError/unavailable(code:)`` if it cannot be read.
    public init(of file: URL, to copy: URL) throws(JobStoreError) {
        self.file = file
        (original, self.copy) = try translatingErrors(file) {
            let original = try openToRead(file)
            try original.read(checkSchema)
            makePrivate(copy)
            let queue = try DatabaseQueue(path: copy.path, configuration: settingsToWrite())
            try original.backup(to: queue)
            try queue.read { try proveSound($0, file) }
            try queue.writeWithoutTransaction(RowDigests.keep)
            return (original, queue)
        }
    }

    /// The jobs of a database that nobody works on, such as a copy.
    ///
    /// - Throws: as ``init(of:to:)``.
    public static func jobs(in file: URL) throws(JobStoreError) -> [Entry] {
        try translatingErrors(file) {
            let queue = try openToRead(file)
            return try queue.read { db in
                try checkSchema(db)
                try proveSound(db, file)
                return try entries(in: db)
            }
        }
    }

    /// The jobs of the copy, oldest first.
    public func jobs() throws(JobStoreError) -> [Entry] {
        try translatingErrors(file) { try copy.read(entries) }
    }

    /// Whether the original still has a job. Its row goes before its files do: while it is there, so are they.
    ///
    /// - Throws: ``JobStoreError/corrupt(file:found:)`` if it has it no more and does not remember its removal either.
    public func originalHas(_ id: JobID) throws(JobStoreError) -> Bool {
        try translatingErrors(file) {
            try original.read { db in
                func has(_ table: String) throws -> Bool {
                    let sql = "SELECT true FROM \(table) WHERE id = ?"
                    return try Bool.fetchOne(db, sql: sql, arguments: [id.description]) ?? false
                }
                if try has("job") { return true }
                guard try has("removed_job") else {
                    throw JobStoreError.corrupt(file: file.path, found: "a job without a row")
                }
                return false
            }
        }
    }

    /// Takes jobs out of the copy, as a request to delete them does, whatever state they were in.
    public func drop(_ jobs: [JobID], at now: Date) throws(JobStoreError) {
        try translatingErrors(file) {
            try copy.write { db in
                for id in jobs {
                    try db.execute(
                        sql: "INSERT OR IGNORE INTO removed_job (id) VALUES (?)", arguments: [id.description])
                    try db.execute(sql: "DELETE FROM job WHERE id = ?", arguments: [id.description])
                    try EventTable.append(.deleted, of: id, at: now, in: db)
                }
            }
        }
    }

    /// Ends the work on the copy: what is in its file then is all there is.
    public func close() throws(JobStoreError) {
        try translatingErrors(file) {
            // The original's journal mode came with it, and would need a log beside it.
            try copy.writeWithoutTransaction { try $0.execute(sql: "PRAGMA journal_mode = DELETE") }
            try copy.close()
            try original.close()
        }
    }
}

func openToRead(_ file: URL) throws -> DatabaseQueue {
    var configuration = Configuration()
    configuration.readonly = true
    configuration.busyMode = .timeout(5)
    return try DatabaseQueue(path: file.path, configuration: configuration)
}

func checkSchema(_ db: Database) throws {
    if try jobSchema.hasBeenSuperseded(db) { throw JobStoreError.newerSchema }
    // Migrating the copy would take away the way back to the version that is at work.
    if try !jobSchema.hasCompletedMigrations(db) { throw JobStoreError.olderSchema }
}

private func entries(in db: Database) throws -> [DatabaseCopy.Entry] {
    try Row.fetchAll(db, sql: "SELECT id, state FROM job ORDER BY id").map { row in
        guard let id = JobID(row[0]), let state = JobState(rawValue: row[1]) else { throw JobStoreError.damaged(nil) }
        return DatabaseCopy.Entry(id: id, state: state)
    }
}

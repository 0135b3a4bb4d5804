public import Foundation
import GRDB
public import Jobs

/// Throws unless SQLite finds every page of the database in order, each index the same as its table, and each value of the
/// type and within the bounds that the schema asks for; and unless each row is what was written, by its digest.
///
/// The shorter `quick_check` does not look whether an index and its table hold the same, and an index that has lost rows is
/// what makes jobs disappear from lists.
func proveSound(_ db: Database, _ file: URL) throws {
    // One finding is enough; of an index that is wrong SQLite would tell each row.
    let found = try String.fetchOne(db, sql: "PRAGMA integrity_check(1)")
    // SQLite's words name tables, indexes, pages and row numbers, never values.
    guard found == "ok" else {
        throw JobStoreError.corrupt(file: file.path, found: found?.split(separator: "\n").last.map(String.init) ?? "")
    }
    try RowDigests.proveAll(in: db, file)
}

extension DatabaseError {
    /// Whether the file is damaged or is no database: no waiting helps.
    var isDamage: Bool {
        switch resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_FORMAT: true
        // The disk itself says that it cannot give back what was written.
        case .SQLITE_IOERR: [.SQLITE_IOERR_DATA, .SQLITE_IOERR_CORRUPTFS].contains(extendedResultCode)
        default: false
        }
    }
}

/// A job database as it lies there, looked at without changing it.
public struct DatabaseSurvey: Sendable {
    /// Whether there is a file with anything in it.
    public let isThere: Bool
    /// Why it cannot be worked with; nil if it is sound.
    public let damage: JobStoreError?
    /// The jobs in it, as far as it is sound.
    public let jobs: Set<JobID>
    /// The names of jobs that were removed, as far as it is sound.
    public let removed: Set<JobID>

    /// Reads a database that no server works on.
    ///
    /// - Throws: ``JobStoreError/newerSchema``; ``JobStoreError/unavailable(code:)``.
    public init(of file: URL) throws(JobStoreError) {
        let bytes = try? FileManager.default.attributesOfItem(atPath: file.path)[.size] as? Int
        isThere = bytes ?? 0 > 0
        guard isThere else {
            (damage, jobs, removed) = (nil, [], [])
            return
        }
        do throws(JobStoreError) {
            (jobs, removed) = try translatingErrors(file) {
                try openToRead(file).read { db in
                    try proveSound(db, file)
                    if try jobSchema.hasBeenSuperseded(db) { throw JobStoreError.newerSchema }
                    // Empty where a first start was broken off.
                    guard try db.tableExists("job") else { return ([], []) }
                    func names(_ table: String) throws -> Set<JobID> {
                        Set(try String.fetchAll(db, sql: "SELECT id FROM \(table)").compactMap(JobID.init))
                    }
                    return (try names("job NOT INDEXED"), try names("removed_job"))
                }
            }
            damage = nil
        } catch {
            guard error.isDamage else { throw error }
            (damage, jobs, removed) = (error, [], [])
        }
    }
}

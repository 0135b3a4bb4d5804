import Foundation
import GRDB
import Jobs

/// A digest in every row of every table, over all its other columns: SQLite keeps no checksums, so that a bit that turns
/// within a value passes for what was written.
///
/// Triggers of the connection that writes set it within the transaction of each change, and do not let a row be changed
/// whose digest is wrong, which would make it right. They are made from the tables as they are, so that no statement and no
/// column of a later version can be forgotten. Whoever reads a row proves it, and a start proves all of them. The schema,
/// which has no rows of its own, has its digest in `PRAGMA user_version`.
///
/// Two tables are left out, as they are not ours: `sqlite_sequence` of SQLite, whose numbers are never below those of the
/// rows, and `grdb_migrations`, where a name that is not known refuses the start.
///
/// Against bits that turn, not against people: whoever may write to the database may compute digests too.
enum RowDigests {
    private static let column = "row_digest"
    private static let function = "digest_of_row"
    private static let proof = "prove_row"

    // MARK: - Reading

    /// Throws unless a row, read with all its columns, is what was written.
    static func prove(_ row: Row, of job: JobID? = nil) throws {
        guard isSound(row) else { throw JobStoreError.damaged(job) }
    }

    /// Whether a row, read with all its columns, is what was written.
    static func isSound(_ row: Row) -> Bool {
        var digest = Digest()
        var known: DatabaseValue?
        for (name, value) in row {
            if name == column { known = value } else { digest.add(value) }
        }
        return known == digest.value.databaseValue
    }

    /// Whether a row has no wrong digest: those of earlier schemas have none.
    static func isCredible(_ row: Row) -> Bool { !row.hasColumn(column) || isSound(row) }

    /// Throws unless the schema and each row of each table are what was written; nothing of a schema before digests is known.
    static func proveAll(in db: Database, _ file: URL) throws {
        let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        let tables = try tables(in: db)
        guard version != 0 || !tables.isEmpty else { return }
        guard try version == schemaDigest(in: db) else {
            throw JobStoreError.corrupt(file: file.path, found: "the schema is not what was written")
        }
        for table in tables {
            let rows = try Row.fetchCursor(db, sql: "SELECT * FROM \(table)")
            while let row = try rows.next() {
                guard isSound(row) else {
                    throw JobStoreError.corrupt(
                        file: file.path, found: "a row of table \(table) is not what was written")
                }
            }
        }
    }

    /// The tables whose rows have a digest.
    static func tables(in db: Database) throws -> [String] {
        try String.fetchAll(
            db,
            sql: """
                SELECT own.name FROM sqlite_schema AS own JOIN pragma_table_info(own.name) AS part
                WHERE own.type = 'table' AND part.name = ? ORDER BY own.name
                """,
            arguments: [column])
    }

    // MARK: - Writing

    /// Adds the SQL functions that triggers and ``sealAll(in:)`` call. For each connection that writes, before all else.
    static func addFunctions(to db: Database) {
        db.add(
            function: DatabaseFunction(function, pure: true) { values in
                var digest = Digest()
                for value in values { digest.add(value) }
                return digest.value
            })
        db.add(
            function: DatabaseFunction(proof, pure: true) { values in
                var digest = Digest()
                for value in values.dropFirst() { digest.add(value) }
                guard values[0] == digest.value.databaseValue else {
                    throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a row is not what was written")
                }
                return nil
            })
    }

    /// From now on each change on this connection sets the digest of its row, or fails with `SQLITE_CORRUPT`.
    static func keep(in db: Database) throws {
        for table in try tables(in: db) {
            let key = try db.primaryKey(table).columns.map { "\($0) = new.\($0)" }.joined(separator: " AND ")
            let columns = try columns(of: table, in: db)
            let names = columns.joined(separator: ", ")
            let old = columns.map { "old.\($0)" }.joined(separator: ", ")
            // Read from the table again: what a statement hands over may be stored as another type.
            let seal = "UPDATE \(table) SET \(column) = \(function)(\(names)) WHERE \(key);"
            try db.execute(
                sql: """
                    CREATE TEMP TRIGGER \(table)_is_proven BEFORE UPDATE OF \(names) ON main.\(table)
                        BEGIN SELECT \(proof)(old.\(column), \(old)); END;
                    CREATE TEMP TRIGGER \(table)_is_added AFTER INSERT ON main.\(table) BEGIN \(seal) END;
                    CREATE TEMP TRIGGER \(table)_is_changed AFTER UPDATE OF \(names) ON main.\(table) BEGIN \(seal) END;
                    """)
        }
    }

    /// Sets the digests of all rows and of the schema, whatever they were: the end of each migration.
    static func sealAll(in db: Database) throws {
        let tables = try tables(in: db)
        guard !tables.isEmpty else { return }
        for table in tables {
            let names = try columns(of: table, in: db).joined(separator: ", ")
            try db.execute(sql: "UPDATE \(table) SET \(column) = \(function)(\(names))")
        }
        try db.execute(sql: "PRAGMA user_version = \(schemaDigest(in: db))")
    }

    /// Adds the column to every table of the schema as it is.
    static func addColumns(in db: Database) throws {
        let own = try String.fetchAll(
            db,
            sql: """
                SELECT name FROM sqlite_schema
                WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name <> 'grdb_migrations'
                """)
        for table in own { try db.execute(sql: "ALTER TABLE \(table) ADD COLUMN \(column) INTEGER") }
    }

    private static func columns(of table: String, in db: Database) throws -> [String] {
        try db.columns(in: table).map(\.name).filter { $0 != column }
    }

    /// 31 bits, never 0, which is the version of a schema before digests.
    private static func schemaDigest(in db: Database) throws -> Int {
        var digest = Digest()
        let sql = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
        for row in try Row.fetchAll(db, sql: sql) { row.databaseValues.forEach { digest.add($0) } }
        return Int(UInt64(bitPattern: digest.value) >> 33) | 1
    }
}

/// FNV-1a over values, 64 bits. Each step is one-to-one in what was there before, so that one byte that is another always gives
/// another digest; two different rows have the same one once in 2^64.
///
/// Source: Fowler, Noll, Vo, Eastlake, The FNV Non-Cryptographic Hash Algorithm, draft-eastlake-fnv.
private struct Digest {
    private var state: UInt64 = 0xcbf2_9ce4_8422_2325

    var value: Int64 { Int64(bitPattern: state) }

    /// Adds a value's type, its length where it has one, and its bytes.
    mutating func add(_ value: DatabaseValue) {
        switch value.storage {
        case .null: add(byte: 0)
        case .int64(let number):
            add(byte: 1)
            add(word: UInt64(bitPattern: number))
        case .double(let number):
            add(byte: 2)
            add(word: number.bitPattern)
        case .string(var text):
            add(byte: 3)
            text.withUTF8 { bytes in
                add(word: UInt64(bytes.count))
                for byte in bytes { add(byte: byte) }
            }
        case .blob(let data):
            add(byte: 4)
            data.withUnsafeBytes { bytes in
                add(word: UInt64(bytes.count))
                for byte in bytes { add(byte: byte) }
            }
        }
    }

    private mutating func add(word: UInt64) {
        for place in 0..<8 { add(byte: UInt8(truncatingIfNeeded: word >> (8 * UInt64(place)))) }
    }

    @inline(__always) private mutating func add(byte: UInt8) {
        state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
    }
}

import Foundation
import GRDB
import Jobs
import TestSupport
import Testing

@testable import SQLiteJobs

/// A value that is not what was written, in any column of any table, is told as damage, and never written over as if it was.
@Suite struct RowDigestTests {
    private static let tables = [
        "audit", "audit_exported", "delivery", "job", "job_event", "measured_run", "queue", "removed_job", "retry_key",
        "turn",
    ]

    /// Closed, with rows in every table: one job that succeeded, one that waits, one that was removed.
    private func database(in folder: URL) throws -> (file: URL, done: JobID, queued: JobID) {
        let file = folder.appending(path: "jobs.sqlite")
        let store = try SQLiteJobStore(file: file)
        func accept(_ number: Int) throws -> JobID {
            let new = NewJob(
                options: Data("{\"full\":false}".utf8), hasReference: false, uploadBytes: 7,
                retryKey: RetryKey(key: "key-\(number)", digest: "d"), cost: 2, owner: "pacs",
                webhook: "https://a.example/hook",
                contentKey: "content", request: "r")
            return try store.enqueue(new, queueLimit: 9).id
        }
        let done = try accept(1)
        let claim = try #require(try store.claimOne(at: 10))
        _ = try store.finish(claim, .succeeded(result: Data(#"{"mask_sha256":"00ff"}"#.utf8)), at: time(20))
        let removed = try accept(2)
        _ = try store.cancel(removed, at: time(21))
        try store.remove(removed)
        let queued = try accept(3)
        _ = try store.append([AuditEntry(actor: "a", action: "job.submit", outcome: "ok", request: "r")])
        try store.close()
        return (file, done, queued)
    }

    /// Changes the database as a program that knows nothing of digests: the `sqlite3` command line would do the same.
    private func spoil(_ file: URL, _ sql: String) throws {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        let queue = try DatabaseQueue(path: file.path, configuration: configuration)
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA ignore_check_constraints = ON")
            // The triggers of the schema refuse changes of the audit; made again, they are what they were.
            let triggers = try String.fetchAll(db, sql: "SELECT sql FROM sqlite_schema WHERE type = 'trigger'")
            for name in try String.fetchAll(db, sql: "SELECT name FROM sqlite_schema WHERE type = 'trigger'") {
                try db.execute(sql: "DROP TRIGGER \(name)")
            }
            try db.execute(sql: sql)
            #expect(db.changesCount > 0, "\(sql) changes nothing")
            for trigger in triggers { try db.execute(sql: trigger) }
        }
        try queue.close()
    }

    private func isDamage(_ body: () throws -> Void) -> Bool {
        do {
            try body()
            return false
        } catch {
            return (error as? JobStoreError)?.isDamage == true
        }
    }

    @Test func everyTableHasDigests() throws {
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
            let (own, sealed) = try store.read { db in
                (
                    try String.fetchAll(
                        db,
                        sql: """
                            SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'
                                AND name <> 'grdb_migrations' ORDER BY name
                            """), try RowDigests.tables(in: db)
                )
            }
            #expect(own == sealed && own == Self.tables)
        }
    }

    /// What nobody spoiled is sound, also with the triggers dropped and made again.
    @Test func whatWasWrittenIsSound() throws {
        try withTemporaryFolder { folder in
            let (file, done, queued) = try database(in: folder)
            try spoil(file, "UPDATE queue SET is_paused = is_paused")
            let survey = try DatabaseSurvey(of: file)
            #expect(survey.damage == nil && survey.jobs == [done, queued])
            #expect(try SQLiteJobStore(file: file).names() == [done, queued])
        }
    }

    /// Another letter or number, or a value where there was none; the digest itself too.
    @Test(arguments: tables)
    func aBitInAnyColumnRefusesTheStart(table: String) throws {
        try withTemporaryFolder { folder in
            let (file, _, _) = try database(in: folder)
            let whole = try Data(contentsOf: file)
            let columns = try DatabaseQueue(path: file.path).read { try $0.columns(in: table) }
            for column in columns {
                try whole.write(to: file)
                let name = column.name
                let other =
                    switch column.type {
                    case "TEXT": "coalesce('~' || substr(\(name), 2), '~')"
                    case "BLOB": "coalesce(CAST(replace(\(name), 'f', 'g') AS BLOB), x'00')"
                    case "REAL": "coalesce(\(name) + 0.5, 0)"
                    default: "coalesce(\(name) + 1048576, 0)"
                    }
                try spoil(file, "UPDATE \(table) SET \(name) = \(other)")
                let error = #expect(throws: JobStoreError.self, "\(table).\(name)") { try SQLiteJobStore(file: file) }
                guard case .corrupt? = error else {
                    Issue.record("\(table).\(name): \(String(describing: error))")
                    continue
                }
                #expect(try DatabaseSurvey(of: file).damage == error)
            }
        }
    }

    @Test func aBitInTheSchemaRefusesTheStart() throws {
        try withTemporaryFolder { folder in
            let (file, _, _) = try database(in: folder)
            let queue = try DatabaseQueue(path: file.path)
            try queue.writeWithoutTransaction { db in
                try db.execute(
                    sql: """
                        PRAGMA writable_schema = ON;
                        UPDATE sqlite_schema SET sql = replace(sql, 'are never changed', 'are nevar changed');
                        """)
                #expect(db.changesCount > 0)
            }
            try queue.close()
            let found = "the schema is not what was written"
            #expect(throws: JobStoreError.corrupt(file: file.path, found: found)) { try SQLiteJobStore(file: file) }
        }
    }

    /// A row that goes bad under a running store is not answered, and no change makes it right.
    @Test func aBitThatTurnsLaterIsTold() throws {
        try withTemporaryFolder { folder in
            let (file, done, queued) = try database(in: folder)
            let store = try SQLiteJobStore(file: file)
            let claim = try #require(try store.claimOne(at: 30))
            #expect(claim.job.id == queued)
            try store.check()
            try spoil(
                file,
                """
                UPDATE job SET options = CAST(replace(options, 'false', 'falsd') AS BLOB);
                UPDATE job_event SET kind = replace(kind, 'accepted', 'removed');
                UPDATE delivery SET url = replace(url, 'hook', 'hooj');
                UPDATE audit SET actor = 'b';
                UPDATE retry_key SET digest = 'e';
                UPDATE queue SET is_paused = 1;
                """)
            #expect(throws: JobStoreError.damaged(done)) { try store.job(done) }
            #expect(throws: JobStoreError.damaged(queued)) { try store.jobs(JobFilter()) }
            #expect(isDamage { _ = try store.finish(claim, .cancelled, at: time(31)) })
            // These do not read the row before they change it.
            #expect(isDamage { _ = try store.renew(claim, stage: "liver", progress: 0.5, until: time(99)) })
            #expect(isDamage { try store.setStored(99, of: done) })
            #expect(isDamage { try store.setPaused(false) })
            #expect(isDamage { _ = try store.giveUp("https://a.example", triedSince: time(1e6), "x") })
            #expect(isDamage { _ = try store.cancel(queued, at: time(31)) })
            #expect(isDamage { try store.remove(done) })
            #expect(isDamage { _ = try store.events(after: 0, limit: 9) })
            #expect(isDamage { _ = try store.entries() })
            #expect(isDamage { _ = try store.nextDelivery(at: time(1e6), lease: .seconds(60)) })
            #expect(isDamage { _ = try store.report() })
            let again = NewJob(
                options: Data(), hasReference: false, uploadBytes: 1, retryKey: RetryKey(key: "key-1", digest: "d"))
            #expect(isDamage { _ = try store.enqueue(again, queueLimit: 99) })
            #expect(isDamage { try store.check() })
            try store.close()
            #expect(isDamage { _ = try SQLiteJobStore(file: file) })
        }
    }

    /// `hepar recover` leaves out what is not what was written, so that the job's folder can be taken in again.
    @Test func salvageLeavesSpoiledRowsOut() throws {
        try withTemporaryFolder { folder in
            let (file, done, queued) = try database(in: folder)
            try spoil(
                file, "UPDATE job SET result = CAST(replace(result, 'ff', 'fe') AS BLOB) WHERE id = '\(done)'")
            let new = try SQLiteJobStore(file: folder.appending(path: "new.sqlite"))
            let salvaged = try new.salvage(from: file)
            #expect(!salvaged.isWhole && salvaged.rows["job"] == 1 && salvaged.rows["audit"] == 1)
            #expect(try new.names() == [queued] && new.job(queued)?.owner == "pacs")
            #expect(try new.dropUnreadable() == 0)
            let note = NewJob(id: done, options: Data("{}".utf8), hasReference: false, uploadBytes: 1)
            #expect(try new.takeIn(note, result: (summary: Data("r".utf8), at: time())))
            try new.close()
            #expect(try SQLiteJobStore(file: folder.appending(path: "new.sqlite")).names() == [done, queued])
        }
    }

    /// Rows of every earlier schema have digests once they were brought up to date.
    @Test(arguments: SchemaFixture.all)
    func rowsOfEarlierSchemasGetDigests(fixture: SchemaFixture) throws {
        try withTemporaryFolder { folder in
            let file = try fixture.copy(into: folder)
            try SQLiteJobStore(file: file).close()
            #expect(try DatabaseSurvey(of: file).damage == nil)
            try spoil(file, "UPDATE job SET options = CAST(replace(options, 'full', 'fulm') AS BLOB)")
            let found = "a row of table job is not what was written"
            #expect(throws: JobStoreError.corrupt(file: file.path, found: found)) { try SQLiteJobStore(file: file) }
        }
    }

    /// The digest is that of the published algorithm, over types, lengths and bytes as the text here says: rows that were
    /// written by one version are read by the next.
    @Test func theDigestIsFNV1a() throws {
        var expected: UInt64 = 0xcbf2_9ce4_8422_2325
        let bytes: [UInt8] =
            [3, 3, 0, 0, 0, 0, 0, 0, 0] + Array("abc".utf8) + [0] + [1, 0xfe] + Array(repeating: 0xff, count: 7)
        for byte in bytes { expected = (expected ^ UInt64(byte)) &* 1_099_511_628_211 }
        try withTemporaryFolder { folder in
            let path = folder.appending(path: "one.sqlite").path
            let digest = try DatabaseQueue(path: path, configuration: settingsToWrite()).read { db in
                try Int64.fetchOne(db, sql: "SELECT digest_of_row('abc', NULL, -2)")
            }
            #expect(digest == Int64(bitPattern: expected))
        }
    }
}

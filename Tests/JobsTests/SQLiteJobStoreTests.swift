import Foundation
import GRDB
import Jobs
import TestSupport
import Testing

@testable import SQLiteJobs

/// What only the SQLite store has to show.
@Suite struct SQLiteJobStoreTests {
    private func database(in folder: URL) -> URL { folder.appending(path: "jobs.sqlite") }

    /// 2 is FULL; GRDB leaves a pool at NORMAL (1). Renewals go without a sync and must put it back.
    @Test func commitsAreSynced() throws {
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: database(in: folder))
            #expect(try store.synchronousMode() == 2)
            try store.enqueueOne()
            let claim = try #require(try store.claimOne())
            _ = try store.renew(claim, stage: "s", progress: 0.5, until: time(90))
            #expect(try store.synchronousMode() == 2)
            #expect(FileManager.default.fileExists(atPath: database(in: folder).path + "-wal"))
        }
    }

    @Test func deletedBytesAreOverwritten() throws {
        try withTemporaryFolder { folder in
            let marker = "3f1c-marker"
            do {
                let store = try SQLiteJobStore(file: database(in: folder))
                let new = NewJob(options: Data(marker.utf8), hasReference: false, uploadBytes: 1)
                let id = try store.enqueue(new, queueLimit: 1).id
                _ = try store.cancel(id, at: time())
                try store.remove(id)
            }
            // The store is closed: its log was folded into the database.
            let bytes = try Data(contentsOf: database(in: folder))
            #expect(bytes.count > 4_096)
            #expect(bytes.range(of: Data(marker.utf8)) == nil)
        }
    }

    @Test func refusesTheSchemaOfALaterVersion() throws {
        try withTemporaryFolder { folder in
            do { _ = try SQLiteJobStore(file: database(in: folder)) }
            let queue = try DatabaseQueue(path: database(in: folder).path)
            try queue.write { try $0.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('99: later')") }
            try queue.close()
            #expect(throws: JobStoreError.newerSchema) { try SQLiteJobStore(file: database(in: folder)) }
        }
    }

    @Test func refusesWhatIsNoDatabase() throws {
        try withTemporaryFolder { folder in
            try Data(repeating: 65, count: 8_192).write(to: database(in: folder))
            // 26 is SQLITE_NOTADB.
            #expect(throws: JobStoreError.unavailable(code: 26)) { try SQLiteJobStore(file: database(in: folder)) }
        }
    }

    /// Claim and list must stay quick with thousands of rows: no full scan, no sorting.
    @Test(arguments: [
        "SELECT id FROM job WHERE state = 'queued' AND not_before_ms <= 5 ORDER BY id LIMIT 1",
        "SELECT * FROM job WHERE state = 'running' AND lease_until_ms <= 5 ORDER BY id",
        "SELECT * FROM job WHERE state = 'queued' AND id < 'x' ORDER BY id DESC LIMIT 50",
        "SELECT * FROM job WHERE id < 'x' ORDER BY id DESC LIMIT 50",
        "SELECT count(*) FROM job WHERE state = 'queued'",
    ])
    func queriesUseAnIndex(sql: String) throws {
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: database(in: folder))
            let queue = try DatabaseQueue(path: database(in: folder).path)
            let plan = try queue.read { db in
                try Row.fetchAll(db, sql: "EXPLAIN QUERY PLAN " + sql).map { $0["detail"] as String }
            }
            #expect(plan.allSatisfy { $0.hasPrefix("SEARCH job USING") }, "\(plan)")
            withExtendedLifetime(store) {}
        }
    }

    /// A process that is killed right after it accepted a job, with nothing closed, has lost nothing.
    @Test func acceptedJobSurvivesTheKillOfItsProcess() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "hepar-kill-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.path
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
            let folder = URL(filePath: path)
            let spool = try Spool(folder: folder)
            let store = try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
            for text in ["first", "second"] {
                let upload = spool.incoming.appending(path: text)
                try Data(text.utf8).write(to: upload)
                let id = JobID()
                try spool.adopt(files: [(upload, "image.nii")], for: id)
                let new = NewJob(
                    id: id, options: Data(text.utf8), hasReference: false, uploadBytes: text.utf8.count)
                _ = try store.enqueue(new, queueLimit: 9)
            }
            _ = try store.claim(at: Date(), lease: .seconds(600), maxAttempts: 3)
            try Data().write(to: spool.incoming.appending(path: "half an upload"))
            kill(getpid(), SIGKILL)
        }

        let spool = try Spool(folder: folder)
        let store = try SQLiteJobStore(file: database(in: folder))
        #expect(try spool.sweep(keeping: store.contains) == 1)
        #expect(try store.releaseAll(at: Date()).count == 1)
        for (text, attempt) in [("first", 2), ("second", 1)] {
            let claim = try #require(try store.claim(at: Date(), lease: .seconds(60), maxAttempts: 3))
            #expect(claim.job.attempts == attempt)
            #expect(claim.job.options == Data(text.utf8))
            let image = spool.folder(of: claim.job.id).appending(path: "image.nii")
            #expect(try Data(contentsOf: image) == Data(text.utf8))
        }
        #expect(try store.claim(at: Date(), lease: .seconds(60), maxAttempts: 3) == nil)
    }
}

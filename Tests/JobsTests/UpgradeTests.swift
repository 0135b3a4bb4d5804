import Foundation
import GRDB
import Jobs
import TestSupport
import Testing

@testable import SQLiteJobs

/// Databases of every earlier version are opened, keep all that was in them, and are worked on.
@Suite struct UpgradeTests {
    /// Not a test: makes the fixtures that are missing. Tests/Fixtures/jobs/make.sh runs it.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["MAKE_JOB_FIXTURES"] != nil))
    func makeFixtures() throws {
        for fixture in SchemaFixture.all where !FileManager.default.fileExists(atPath: fixture.file.path) {
            try fixture.make()
        }
        guard !FileManager.default.fileExists(atPath: SchemaFixture.later.path) else { return }
        let queue = try DatabasePool(path: SchemaFixture.later.path)
        try jobSchema.migrate(queue)
        try queue.write { try $0.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('99: later')") }
        try queue.close()
    }

    @Test(arguments: SchemaFixture.all)
    func theFixtureIsOfItsVersion(fixture: SchemaFixture) throws {
        try withTemporaryFolder { folder in
            let queue = try DatabaseQueue(path: fixture.copy(into: folder).path)
            #expect(
                try queue.read(jobSchema.appliedMigrations) == Array(jobSchema.migrations.prefix(fixture.version)))
        }
    }

    /// A migrated database has the schema of a new one, and it is sound.
    @Test(arguments: SchemaFixture.all)
    func theSchemaBecomesThePresentOne(fixture: SchemaFixture) throws {
        func schema(_ store: SQLiteJobStore) throws -> [String] {
            try store.read { db in
                #expect(try String.fetchAll(db, sql: "PRAGMA integrity_check") == ["ok"])
                #expect(try Row.fetchAll(db, sql: "PRAGMA foreign_key_check").isEmpty)
                // Of a table that was altered the text differs from that of one made at once, its columns do not.
                return try String.fetchAll(
                    db,
                    sql: """
                        SELECT m.type || ' ' || m.name || ' ' || coalesce(c.name || ' ' || c.type, '')
                        FROM sqlite_master m LEFT JOIN pragma_table_info(m.name) c ORDER BY 1
                        """)
            }
        }
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: fixture.copy(into: folder))
            let new = try SQLiteJobStore(file: folder.appending(path: "new.sqlite"))
            #expect(try schema(store) == schema(new))
        }
    }

    @Test(arguments: SchemaFixture.all)
    func everythingIsKept(fixture: SchemaFixture) throws {
        try withTemporaryFolder { folder in
            let file = try fixture.copy(into: folder)
            for _ in 1...2 {
                let store = try SQLiteJobStore(file: file)
                let jobs = try store.jobs(JobFilter(limit: 99))
                #expect(jobs == fixture.jobs.sorted { $0.id > $1.id })
                for job in fixture.jobs { #expect(try store.job(job.id) == job) }
                #expect(throws: JobStoreError.removed(SchemaFixture.removed)) {
                    try store.job(SchemaFixture.removed)
                }
                #expect(try store.events(after: 0, limit: 99) == fixture.events)
                #expect(try store.lastEvent() == (fixture.events.last?.sequence ?? 0))
                #expect(try store.entries() == fixture.audit)
                #expect(try store.deadLetters() == fixture.deliveries.filter(\.isDead))
                let counts = try store.deliveryCounts()
                #expect(counts.pending == fixture.deliveries.count { !$0.isDead })
                #expect(try store.isPaused() == (fixture.version >= 4))
            }
        }
    }

    @Test(arguments: SchemaFixture.all)
    func workGoesOn(fixture: SchemaFixture) throws {
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: fixture.copy(into: folder))
            // As at a start: the job that ran is queued again, its attempt counted.
            #expect(try store.releaseAll(at: time(100)).map(\.id) == [SchemaFixture.running])
            try store.setPaused(false)
            let new = try store.enqueueOne(at: 101, .stat)
            if fixture.version >= 2 {
                let again = NewJob(
                    options: Data(), hasReference: false, uploadBytes: 1, retryKey: SchemaFixture.retryKey)
                #expect(try store.enqueue(again, queueLimit: 99).id == SchemaFixture.queued)
            }
            // Jobs of before version 4 are routine: a new one that is urgent comes before them.
            var order: [JobID] = []
            while let claim = try store.claimOne(at: 200) {
                order.append(claim.job.id)
                let report = JobOutcome.succeeded(result: Data("{}".utf8))
                #expect(try store.finish(claim, report, at: time(201))?.state == .succeeded)
            }
            let old = [SchemaFixture.queued, SchemaFixture.putOff, SchemaFixture.running]
            #expect(
                order
                    == (fixture.version < 4 ? [new.id] + old : [old[1], new.id, old[2], old[0]]))
            if fixture.version >= 4 {
                // The paces of before still count: 2, 3 and 10 s, and one for each job of a known cost.
                #expect(try store.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM measured_run") } == 6)
                #expect(try store.succeeded(contentKey: "key-3")?.id == SchemaFixture.copied)
            }

            let failed = try #require(
                try store.retry(SchemaFixture.failed, limits: QueueLimits(jobs: 9), at: time(202)))
            #expect(failed.state == .queued)
            try store.remove(SchemaFixture.succeeded)
            // What is still to be told of the job outlives it.
            #expect(try store.deliveryCounts().pending == fixture.deliveries.count { !$0.isDead })
            #expect(try store.deadLetters() == fixture.deliveries.filter(\.isDead))
            #expect(
                try store.append([AuditEntry(actor: "a", action: "b", outcome: "ok")]).first?.sequence
                    == fixture.audit.count + 1)

            let first = try #require(try store.events(after: fixture.events.last?.sequence ?? 0, limit: 1).first)
            #expect(first.job == SchemaFixture.running && first.kind == .requeued)
            let kinds = try store.events(after: first.sequence, limit: 99).map(\.kind)
            #expect(kinds.count { $0 == .succeeded } == 4 && kinds.suffix(2) == [.retried, .deleted])
        }
    }

    @Test(arguments: SchemaFixture.all.filter { $0.version >= 5 })
    func aWaitingDeliveryIsTaken(fixture: SchemaFixture) throws {
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: fixture.copy(into: folder))
            let taken = try #require(try store.nextDelivery(at: time(71), lease: .seconds(60)))
            #expect(taken.id == 1 && taken.attempts == 2 && taken.url == fixture.deliveries[0].url)
            #expect(taken.since == fixture.deliveries[0].since && taken.receiver == "https://receiver.example")
            // The column says the same as the URL does.
            #expect(try store.nextDelivery(at: time(1e6), lease: .seconds(60), besides: [taken.receiver]) == nil)
            #expect(try store.delivered(taken))
            #expect(try store.revive(2, at: time(72)))
            // Numbers go on, also where the last one was dropped before the upgrade.
            let new = NewJob(options: Data(), hasReference: false, uploadBytes: 1, webhook: "https://a.example/")
            _ = try store.enqueue(new, queueLimit: 99)
            _ = try store.cancel(new.id, at: time(73))
            #expect(try store.nextDelivery(at: time(73), lease: .seconds(60), besides: [taken.receiver])?.id == 3)
        }
    }

    /// The schema stays as it is: the version that wrote it can still open it.
    @Test func aLaterSchemaIsRefused() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "jobs.sqlite")
            try FileManager.default.copyItem(at: SchemaFixture.later, to: file)
            func schema() throws -> [Row] {
                try DatabaseQueue(path: file.path).read { db in
                    try Row.fetchAll(db, sql: "SELECT sql FROM sqlite_master ORDER BY name")
                        + Row.fetchAll(db, sql: "SELECT * FROM grdb_migrations")
                }
            }
            let before = try schema()
            #expect(throws: JobStoreError.newerSchema) { try SQLiteJobStore(file: file) }
            #expect(try schema() == before)
        }
    }
}

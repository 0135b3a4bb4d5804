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

    @Test func filesAreForTheirOwnerOnly() throws {
        try withTemporaryFolder { folder in
            let paths = ["", "-wal", "-shm"].map { database(in: folder).path + $0 }
            func modes() throws -> [Int?] {
                try paths.map { try FileManager.default.attributesOfItem(atPath: $0)[.posixPermissions] as? Int }
            }
            let store = try SQLiteJobStore(file: database(in: folder))
            #expect(try modes() == [0o600, 0o600, 0o600])
            // As an earlier version left them.
            for path in paths { chmod(path, 0o644) }
            let again = try SQLiteJobStore(file: database(in: folder))
            #expect(try modes() == [0o600, 0o600, 0o600])
            try again.enqueueOne()
            #expect(try store.jobs(JobFilter()).count == 1)
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
            let file = database(in: folder)
            #expect(throws: JobStoreError.corrupt(file: file.path, found: "error 26")) {
                try SQLiteJobStore(file: file)
            }
        }
    }

    /// What is asked often must stay quick with thousands of rows: no full scan of the table, no sorting.
    @Test(arguments: [
        (Turns.priorityOfEarliest, ["job_by_rank", "sqlite_autoindex_job_1"]),
        (Turns.firstOfNextOwner, ["turn_by_served", "job_by_turn", "sqlite_autoindex_job_1"]),
        (SQLiteJobStore.overdue, ["job_by_state"]),
        (SQLiteJobStore.waitingCount, ["job_by_"]),
        (SQLiteJobStore.waitingOfOwner, ["COVERING INDEX job_by_owner_state"]),
        (SQLiteJobStore.storedOfOwner, ["COVERING INDEX job_by_owner_stored"]),
        (SQLiteJobStore.costOfPriority, ["COVERING INDEX job_by_turn"]),
        (SQLiteJobStore.ownBefore, ["COVERING INDEX job_by_turn"]),
        (SQLiteJobStore.waitingOfOthers, ["COVERING INDEX job_by_turn"]),
        (SQLiteJobStore.costRunning, ["job_by_"]),
        (SQLiteJobStore.countsByPriority, ["COVERING INDEX job_by_priority"]),
        (SQLiteJobStore.newestWithContent, ["job_by_content"]),
        (SQLiteJobStore.endedBefore, ["COVERING INDEX job_by_finish"]),
        (SQLiteJobStore.page(JobFilter(before: JobID())).sql, ["sqlite_autoindex_job_1"]),
        (SQLiteJobStore.page(JobFilter(state: .queued, before: JobID())).sql, ["job_by_state"]),
        (SQLiteJobStore.page(JobFilter(owner: "a", before: JobID())).sql, ["job_by_owner "]),
        (SQLiteJobStore.page(JobFilter(state: .queued, owner: "a")).sql, ["job_by_owner_state"]),
        (SQLiteJobStore.page(filter { $0.priority = .bulk }).sql, ["job_by_priority_age"]),
        (
            SQLiteJobStore.page(filter { ($0.createdFrom, $0.createdBefore) = (time(0), time(9)) }).sql,
            ["autoindex_job_1"]
        ),
        (SQLiteJobStore.page(filter { ($0.needsReview, $0.before) = (true, JobID()) }).sql, ["job_with_doubts"]),
        (SQLiteJobStore.page(filter { ($0.needsReview, $0.before) = (false, JobID()) }).sql, ["autoindex_job_1"]),
        (DeliveryTable.firstDue(besides: 0), ["COVERING INDEX delivery_by_due"]),
        (DeliveryTable.firstDue(besides: 2), ["COVERING INDEX delivery_by_due"]),
    ])
    func queriesUseAnIndex(sql: String, indexes: [String]) throws {
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: database(in: folder))
            let plan = try store.read { db in
                let values = StatementArguments(Array(repeating: 1, count: sql.count { $0 == "?" }))
                return try Row.fetchAll(db, sql: "EXPLAIN QUERY PLAN " + sql, arguments: values)
                    .map { $0["detail"] as String }
            }
            #expect(plan.allSatisfy { !$0.contains("TEMP B-TREE") }, "\(plan)")
            let reads = plan.filter { $0.contains("SCAN") || $0.contains("SEARCH") }
            #expect(reads.allSatisfy { $0.contains("INDEX") || $0.contains("PRIMARY KEY") }, "\(plan)")
            for index in indexes { #expect(reads.contains { $0.contains(index) }, "\(plan)") }
            // Only the report reads all of an index.
            if sql != SQLiteJobStore.countsByPriority {
                #expect(reads.allSatisfy { $0.hasPrefix("SEARCH") }, "\(plan)")
            }
        }
    }

    /// A database as the first release left it, with a job in it.
    @Test func jobsOfTheFirstSchemasAreKept() throws {
        try withTemporaryFolder { folder in
            let ids = [JobID(), JobID()]
            let queue = try DatabaseQueue(path: database(in: folder).path)
            try jobSchema.migrate(queue, upTo: "2: retry keys")
            try queue.write { db in
                for (id, state) in zip(ids, ["queued", "succeeded"]) {
                    try db.execute(
                        sql: """
                            INSERT INTO job (id, state, attempts, created_ms, finished_ms, not_before_ms, progress,
                                cancel_requested, has_reference, upload_bytes, options, result)
                            VALUES (?, ?, 1, 1767268800000, ?, 0, 0, false, true, 7, x'7b7d', ?)
                            """,
                        arguments: [
                            id.description, state, state == "succeeded" ? 1_767_268_860_000 : nil,
                            state == "succeeded" ? Data("r".utf8) : nil,
                        ])
                }
            }
            try queue.close()

            let store = try SQLiteJobStore(file: database(in: folder))
            let waiting = try #require(try store.job(ids[0]))
            #expect(waiting.state == .queued && waiting.options == Data("{}".utf8) && waiting.uploadBytes == 7)
            #expect(waiting.priority == .routine && waiting.queuedAt == time() && waiting.owner == nil)
            #expect(try store.events(after: 0, limit: 9).isEmpty && store.lastEvent() == 0)
            #expect(try store.expired(finishedBefore: time(61), limit: 9) == [ids[1]])
            // Its place is that of a routine job of its time.
            let early = try store.enqueueOne(at: -1)
            let stat = try store.enqueueOne(at: 7_199, .stat)
            let order = try (0..<3).map { _ in try store.claimOne(at: 9_000)?.job.id }
            #expect(order == [early.id, stat.id, waiting.id])
        }
    }

    @Test(arguments: ["UPDATE audit SET actor = 'b'", "DELETE FROM audit"])
    func auditRefusesWhatIsNoAppending(sql: String) throws {
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: database(in: folder))
            try store.append([AuditEntry(time: time(), actor: "a", action: "job.delete", outcome: "ok")])
            // 1811 is SQLITE_CONSTRAINT_TRIGGER.
            #expect(throws: JobStoreError.unavailable(code: 1_811)) { try store.write { try $0.execute(sql: sql) } }
            #expect(try store.entries().map(\.actor) == ["a"])
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
        let host = try SingleHost(of: spool)
        let survey = try spool.survey(names: store.names()) { _ in false }
        #expect(try host.sweep(survey, aside: time()).setAside == 0)
        #expect(try host.release(store, at: Date()).count == 1)
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

private func filter(_ change: (inout JobFilter) -> Void) -> JobFilter {
    var filter = JobFilter()
    change(&filter)
    return filter
}

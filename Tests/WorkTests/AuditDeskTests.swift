import Foundation
import Jobs
import Logging
import SQLiteJobs
import Synchronization
import TestSupport
import Testing

@testable import Work

/// What is written into the audit table, when, and by whom; and where it goes.
@Suite struct AuditDeskTests {
    private let noon = Date(timeIntervalSince1970: 1_767_268_800)
    private static let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    private func entry(
        _ actor: String = "a", _ action: String = "result.read", job: JobID? = nil, _ outcome: String = "ok",
        at seconds: Double = 0, count: Int = 1
    ) -> AuditEntry {
        AuditEntry(
            time: noon + seconds, actor: actor, action: action, job: job, outcome: outcome, request: "r", count: count)
    }

    // MARK: - The rule

    @Test func whatComesTooOftenIsCounted() {
        var tally = AuditTally()
        let job = JobID()
        #expect(tally.due(at: noon).isEmpty)
        let admitted = (0..<25).map { tally.admits(entry(job: job, at: Double($0))) }
        #expect(admitted == (0..<25).map { $0 < AuditTally.individually })
        // Another job, action or caller is not touched by it.
        let free = [
            entry(job: JobID()), entry("a", "job.cancel", job: job), entry("b", job: job),
            entry("a", "result.read", job: job, "404"),
        ].map { tally.admits($0) }
        #expect(free == [true, true, true, true])
        #expect(tally.due(at: noon + 59).isEmpty)
        var expected = entry(job: job, at: 10, count: 15)
        expected.request = nil
        #expect(tally.due(at: noon + 60) == [expected])
        #expect(tally.due(at: noon + 60).isEmpty && tally.isEmpty)
        let next = tally.admits(entry(job: job, at: 60))
        #expect(next)
    }

    /// Who is refused can name jobs and addresses without end: all of it is one budget, and an entry a kind.
    @Test func refusalsShareABudget() {
        var tally = AuditTally()
        let actions = ["job.delete", "queue.pause"]
        let admitted = (0..<1_000).count { tally.admits(entry("a", actions[$0 % 2], job: JobID(), "403")) }
        #expect(admitted == AuditTally.individually)
        let counted = tally.due(at: noon + 60)
        #expect(counted.map(\.count).reduce(0, +) == 1_000 - admitted)
        #expect(counted.map(\.action).sorted() == actions && counted.allSatisfy { $0.job == nil })
    }

    /// The clock may be set back or forth: nothing is lost, whatever it says.
    @Test func aClockThatJumpsLosesNothing() {
        var tally = AuditTally()
        var told = 0
        for step in 0..<500 {
            let time = noon + [0, 86_400, -86_400, 30][step % 4] * Double(step)
            told += tally.due(at: time).map(\.count).reduce(0, +)
            var one = entry("a", "x", "403")
            one.time = time
            if tally.admits(one) { told += 1 }
        }
        told += tally.due(at: noon, all: true).map(\.count).reduce(0, +)
        #expect(told == 500)
    }

    // MARK: - The desk

    /// Whoever waits finds the entry on the disk; who does not is served by the next batch; the end writes the counts.
    @Test func entriesAreWrittenTogether() throws {
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
            let log = FaultyLog(store)
            let desk = AuditDesk(log, keepDays: 0, folder: folder, logger: Self.quiet)
            let now = Date()
            func noted(_ index: Int) -> AuditEntry {
                AuditEntry(time: now, actor: "actor-\(index)", action: "x", outcome: "403")
            }
            // Handed over before there is a thread: nobody waits.
            for index in 0..<300 { desk.note(noted(index)) }
            for _ in 0..<50 { desk.note(noted(0)) }
            desk.start()
            desk.keep(AuditEntry(time: now, actor: "waits", action: "job.delete", outcome: "ok"))
            #expect(try store.entries().contains { $0.actor == "waits" })
            desk.flush()
            #expect(log.batches.max() ?? 0 >= 300, "one sync for what had come")
            desk.end()
            let entries = try store.entries()
            #expect(entries.map(\.count).reduce(0, +) == 351)
            #expect(entries.filter { $0.actor == "actor-0" }.count == AuditTally.individually + 1)
        }
    }

    /// A table that cannot be written holds nobody up.
    @Test func aBrokenTableLetsWhoWaitsGo() throws {
        try withTemporaryFolder { folder in
            let log = FaultyLog(try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite")), fault: .appending)
            let desk = AuditDesk(log, keepDays: 0, folder: folder, logger: Self.quiet)
            desk.start()
            desk.keep(entry())
            desk.flush()
            desk.end()
            desk.keep(entry())
        }
    }

    // MARK: - Keeping time

    @Test func oldEntriesAreMovedIntoAFileOfLines() throws {
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
            let day = 86_400.0
            let days = Array(0..<40)
            try store.append(days.map { entry("actor-\($0)", at: Double($0) * day) })
            let desk = AuditDesk(store, keepDays: 30, folder: folder, logger: Self.quiet)
            // 30.5 days after the first: it is old, but by less than a day.
            desk.moveOldEntries(at: noon + 30.5 * day)
            #expect(try store.entries().count == 40)
            desk.moveOldEntries(at: noon + 35 * day)
            #expect(try store.entries().map(\.sequence) == Array(6...40))
            let file = folder.appending(path: "audit-000000000001.jsonl")
            let decoder = JSONDecoder()
            decoder.dateDecodingStrategy = .iso8601
            let moved = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map {
                try decoder.decode(AuditEntry.self, from: Data($0.utf8))
            }
            #expect(moved.map(\.sequence) == Array(1...5) && moved.map(\.actor) == (0..<5).map { "actor-\($0)" })
            let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            // Numbers go on after what was removed.
            #expect(try store.append([entry()]).first?.sequence == 41)
            desk.moveOldEntries(at: noon + 37 * day)
            #expect(FileManager.default.fileExists(atPath: folder.appending(path: "audit-000000000006.jsonl").path))
        }
    }

    /// A crash after the file and before the removal: the next export has the same entries in the same file.
    @Test func anExportThatWasCutOffIsMadeAgain() throws {
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
            try store.append((0..<2_500).map { entry("actor-\($0)", at: Double($0)) })
            let cut = FaultyLog(store, fault: .removing)
            #expect(throws: JobStoreError.diskFull) { try cut.export(olderThan: noon + 1_500, to: folder) }
            #expect(try store.entries(after: 0, limit: 9_999).count == 2_500)
            let done = try #require(try store.export(olderThan: noon + 2_400, to: folder))
            #expect(done.entries == 2_400)
            let lines = try String(contentsOf: done.file, encoding: .utf8).split(separator: "\n")
            #expect(lines.count == 2_400)
            #expect(try store.entries(after: 0, limit: 9_999).count == 100)
            let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(files.count { $0.contains("audit-") } == 1, "\(files)")
        }
    }

    /// A new database counts from 1 again: the file of the old one stays.
    @Test func aFileOfAnotherDatabaseIsNotReplaced() throws {
        try withTemporaryFolder { folder in
            for actor in ["old", "new"] {
                let store = try SQLiteJobStore(file: folder.appending(path: "\(actor).sqlite"))
                try store.append([entry(actor)])
                _ = try store.export(olderThan: noon + 9, to: folder)
            }
            for (name, actor) in [("audit-000000000001.jsonl", "old"), ("audit-000000000001-2.jsonl", "new")] {
                let text = try String(contentsOf: folder.appending(path: name), encoding: .utf8)
                #expect(text.contains("\"actor\":\"\(actor)\""))
            }
        }
    }
}

/// A log that notes how many entries come together, and that can do one thing no longer.
private final class FaultyLog: AuditLog {
    enum Fault { case none, appending, removing }

    private let base: any AuditLog
    private let fault: Fault
    private let appended = Mutex<[Int]>([])

    init(_ base: any AuditLog, fault: Fault = .none) {
        self.base = base
        self.fault = fault
    }

    var batches: [Int] { appended.withLock { $0 } }

    func append(_ entries: [AuditEntry]) throws(JobStoreError) -> [AuditEntry] {
        if fault == .appending { throw .diskFull }
        appended.withLock { $0.append(entries.count) }
        return try base.append(entries)
    }

    func entries(after sequence: Int, limit: Int) throws(JobStoreError) -> [AuditEntry] {
        try base.entries(after: sequence, limit: limit)
    }

    func removeExported(through sequence: Int) throws(JobStoreError) {
        if fault == .removing { throw .diskFull }
        try base.removeExported(through: sequence)
    }
}

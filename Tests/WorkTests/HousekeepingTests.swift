import Foundation
import Jobs
import Logging
import SQLiteJobs
import Synchronization
import TestSupport
import Testing

@testable import Work

/// What is kept long enough goes, with every file; the rest stays.
@Suite struct HousekeepingTests {
    private static let day = 86_400.0

    @Test(arguments: [0, 30])
    func oldJobsGoWithTheirFiles(keepDays: Int) throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            let store = try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
            let now = Date()
            // Ended 31 days ago, ended 29 days ago, and still waiting since 40 days.
            let ended = try [31.0, 29].map { days in
                let job = try Self.accept(at: now - days * Self.day, store, spool)
                let claim = try #require(
                    try store.claim(at: now - days * Self.day, lease: .seconds(60), maxAttempts: 3) { _ in })
                _ = try store.finish(claim, .succeeded(result: Data("{}".utf8)), at: now - days * Self.day)
                return job
            }
            let waiting = try Self.accept(at: now - 40 * Self.day, store, spool)

            try Self.housekeeping(store, spool, keepDays: keepDays, kept: now) { now }.round()

            let isKept = { (id: JobID) in FileManager.default.fileExists(atPath: spool.folder(of: id).path) }
            #expect(isKept(ended[0]) == (keepDays == 0))
            #expect(isKept(ended[1]) && isKept(waiting))
            if keepDays > 0 { #expect(throws: JobStoreError.self) { _ = try store.job(ended[0]) } }
            #expect(try store.job(ended[1])?.state == .succeeded)
            #expect(try store.job(waiting)?.state == .queued)
        }
    }

    /// Its clock was at `kept` when the last process ended.
    private static func housekeeping(
        _ store: any JobStore, _ spool: Spool, keepDays: Int, kept: Date, now: @escaping @Sendable () -> Date
    ) throws -> Housekeeping {
        let file = spool.incoming.appending(path: "../retention.clock").standardizedFileURL
        try Data("\(Int64(kept.timeIntervalSince1970 * 1_000))\n".utf8).write(to: file)
        return Housekeeping(
            store: store, spool: spool, clock: RetentionClock(file: file, lastEvent: nil, now: now()),
            resultsKeepDays: keepDays, eventsKeepDays: 35,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }), now: now)
    }

    /// A clock that jumps by 100 days, before a start or during the run, costs no result; one that went there by itself does.
    @Test func aClockThatJumpedRemovesNothing() throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            let store = try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
            let start = Date()
            let id = try Self.accept(at: start, store, spool)
            let claim = try #require(try store.claim(at: start, lease: .seconds(60), maxAttempts: 3))
            _ = try store.finish(claim, .succeeded(result: Data("{}".utf8)), at: start)
            let later = start + 100 * Self.day

            let wall = Mutex(later)
            try Self.housekeeping(store, spool, keepDays: 30, kept: start) { wall.withLock { $0 } }.round()
            #expect(try store.job(id) != nil)
            wall.withLock { $0 = start }
            let running = try Self.housekeeping(store, spool, keepDays: 30, kept: start) { wall.withLock { $0 } }
            running.round()
            wall.withLock { $0 = later }
            for _ in 0..<3 { running.round() }
            #expect(try store.job(id) != nil && store.events(after: 0, limit: 9).count == 3)

            try Self.housekeeping(store, spool, keepDays: 30, kept: later - Self.day) { later }.round()
            #expect(throws: JobStoreError.removed(id)) { try store.job(id) }
            #expect(!FileManager.default.fileExists(atPath: spool.folder(of: id).path))
        }
    }

    /// A list that an index gives is not believed without the row, and a job that somebody else removes or runs again does
    /// not end the round.
    @Test func onlyTheRowSaysThatAJobIsOld() throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            let store = try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
            let now = Date()
            var ids: [JobID] = []
            for days in [40.0, 39, 1] {
                ids.append(try Self.accept(at: now - days * Self.day, store, spool))
                let claim = try #require(
                    try store.claim(at: now - days * Self.day, lease: .seconds(60), maxAttempts: 3))
                _ = try store.finish(claim, .failed(JobFailure(code: "x", message: "x")), at: now - days * Self.day)
            }
            let lying = LyingStore(store, listed: ids)
            try Self.housekeeping(lying, spool, keepDays: 30, kept: now) { now }.round()
            // The first was run again just before its turn; the last is young.
            #expect(try store.job(ids[0])?.state == .queued && store.job(ids[2])?.state == .failed)
            #expect(throws: JobStoreError.removed(ids[1])) { try store.job(ids[1]) }
            for (id, isThere) in zip(ids, [true, false, true]) {
                #expect(FileManager.default.fileExists(atPath: spool.folder(of: id).path) == isThere)
            }
        }
    }

    private static func accept(at time: Date, _ store: SQLiteJobStore, _ spool: Spool) throws -> JobID {
        let upload = spool.incoming.appending(path: UUID().uuidString)
        try Data("scan".utf8).write(to: upload)
        let new = NewJob(options: Data("{}".utf8), hasReference: false, uploadBytes: 4, createdAt: time)
        try spool.adopt(files: [(upload, "image.nii")], of: new)
        return try store.enqueue(new, limits: QueueLimits(jobs: 9)).id
    }
}

/// A store whose list of old jobs is wrong, and whose first job is run again when it is looked at.
private struct LyingStore: ForwardingJobStore {
    let base: any JobStore
    private let listed: [JobID]

    init(_ base: any JobStore, listed: [JobID]) {
        self.base = base
        self.listed = listed
    }

    func expired(finishedBefore time: Date, limit: Int) throws(JobStoreError) -> [JobID] {
        // Until it was removed, as the real list.
        let isFirst = (try? base.job(listed[1])) != nil
        return isFirst ? listed : []
    }

    func job(_ id: JobID) throws(JobStoreError) -> Job? {
        let job = try base.job(id)
        if id == listed[0] { _ = try base.retry(id, limits: QueueLimits(jobs: 9), at: Date()) }
        return job
    }
}

import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

@testable import Jobs

@Suite struct WorkerPoolTests {
    /// A store, a spool and a pool over a temporary folder, with short waits so that the tests are quick.
    private func withPool(
        _ kind: StoreKind, workers: Int = 1, maxAttempts: Int = 3, lease: Duration = .seconds(60),
        grace: Duration = .seconds(5),
        now: @escaping @Sendable () -> Date = { Date() }, log: CollectedLog = CollectedLog(),
        work: @escaping WorkerPool.Work,
        _ body: (WorkerPool, FaultyStore, Spool) throws -> Void
    ) throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            let store = FaultyStore(try kind.open(in: folder))
            let settings = Crew.Settings(
                workers: workers, lease: lease, maxAttempts: maxAttempts, poll: .milliseconds(50),
                tick: .milliseconds(20), grace: grace, finishPause: .milliseconds(10), now: now)
            let logger = Logger(label: "test") { _ in log }
            let pool = WorkerPool(
                crew: Crew(store: store, spool: spool, settings: settings, logger: logger, work: work))
            try body(pool, store, spool)
            pool.stop(timeout: .seconds(10))
        }
    }

    /// Puts a job and its folder where a worker finds them.
    private func submit(_ store: any JobStore, _ spool: Spool) throws -> JobID {
        let id = JobID()
        let upload = spool.incoming.appending(path: id.description)
        try Data("image".utf8).write(to: upload)
        try spool.adopt(files: [(upload, "image.nii")], for: id)
        return try store.enqueue(
            NewJob(id: id, options: Data(), hasReference: false, uploadBytes: 5), queueLimit: 100
        ).id
    }

    /// Waits until the job is as asked, for at most ten seconds, and returns it.
    private func wait(
        _ store: any JobStore, _ id: JobID, _ place: SourceLocation = #_sourceLocation,
        until isReached: (Job) -> Bool
    ) throws -> Job {
        for _ in 0..<2_000 {
            if let job = try store.job(id), isReached(job) { return job }
            Thread.sleep(forTimeInterval: 0.005)
        }
        let last = try store.job(id)
        return try #require(nil as Job?, "the job is \(String(describing: last))", sourceLocation: place)
    }

    @Test(arguments: StoreKind.whole)
    func runsJobsAndKeepsTheirResults(kind: StoreKind) throws {
        try withPool(kind, workers: 2) { job, folder, context in
            context.report(stage: "reading", progress: 0.5)
            let image = try Data(contentsOf: folder.appending(path: "image.nii"))
            try image.write(to: folder.appending(path: "mask.nii.gz"))
            return Data("\(job.attempts)".utf8)
        } _: { pool, store, spool in
            let early = try submit(store, spool)
            pool.start()
            let late = try (0..<5).map { _ in try submit(store, spool) }
            pool.wake()
            for id in [early] + late {
                let job = try wait(store, id) { $0.state == .succeeded }
                #expect(job.result == Data("1".utf8) && job.attempts == 1)
                let mask = spool.folder(of: id).appending(path: "mask.nii.gz")
                #expect(FileManager.default.fileExists(atPath: mask.path))
            }
        }
    }

    @Test(arguments: StoreKind.whole)
    func permanentFailureIsNotTriedAgain(kind: StoreKind) throws {
        try withPool(kind) { _, _, _ in
            throw broken
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            pool.start()
            let job = try wait(store, id) { $0.state == .failed }
            #expect(job.attempts == 1 && job.failure == broken)
        }
    }

    private struct Secret: Error, CustomStringConvertible {
        let description = "cannot read /data/DOE^JOHN.nii"
    }

    @Test(arguments: StoreKind.whole)
    func internalErrorIsTriedThreeTimesAndTellsNothing(kind: StoreKind) throws {
        let runs = Counter()
        try withPool(kind) { _, _, _ in
            runs.add()
            throw Secret()
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            pool.start()
            let job = try wait(store, id) { $0.state == .failed }
            #expect(job.attempts == 3 && runs.value == 3)
            #expect(job.failure?.code == "internal_error")
            #expect(job.failure?.message.contains("DOE") == false)
        }
    }

    /// More often than there are attempts: a full disk is no fault of the job.
    @Test(arguments: StoreKind.whole, [true, false])
    func fullDiskIsWaitedFor(kind: StoreKind, isSpool: Bool) throws {
        let runs = Counter()
        try withPool(kind, maxAttempts: 1) { job, _, _ in
            #expect(job.attempts == 1)
            guard runs.add() > 4 else {
                throw RetryableFailure(code: "disk_full", message: "Full.", delay: .milliseconds(10))
            }
            if isSpool && runs.value == 5 { throw SpoolError.diskFull }
            return Data()
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            pool.start()
            if isSpool {
                let waiting = try wait(store, id) { runs.value == 5 && $0.state == .queued }
                #expect(waiting.failure?.code == "disk_full" && waiting.notBefore != nil && waiting.attempts == 0)
            } else {
                #expect(try wait(store, id) { $0.state == .succeeded }.attempts == 1)
            }
        }
    }

    @Test(arguments: StoreKind.whole)
    func cancelReachesARunningJob(kind: StoreKind) throws {
        let started = Counter()
        try withPool(kind) { _, _, context in
            started.add()
            while true {
                try context.checkCancelled()
                Thread.sleep(forTimeInterval: 0.001)
            }
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            pool.start()
            _ = try wait(store, id) { _ in started.value == 1 }
            _ = try store.cancel(id, at: Date())
            pool.wake()
            let job = try wait(store, id) { $0.state == .cancelled }
            #expect(job.failure == nil && job.finishedAt != nil)
        }
    }

    @Test(arguments: StoreKind.whole)
    func cancellationErrorWithoutARequestIsAnInternalError(kind: StoreKind) throws {
        try withPool(kind) { _, _, _ in
            throw CancellationError()
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            pool.start()
            #expect(try wait(store, id) { $0.state == .failed }.failure?.code == "internal_error")
        }
    }

    @Test(arguments: StoreKind.whole)
    func keeperCarriesProgressAndHoldsTheLeaseOfASilentStep(kind: StoreKind) throws {
        let release = Counter()
        try withPool(kind, lease: .milliseconds(300)) { _, _, context in
            context.report(stage: "stage 2", progress: 0.75)
            while release.value == 0 { Thread.sleep(forTimeInterval: 0.001) }
            return Data()
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            pool.start()
            let job = try wait(store, id) { $0.stage != nil }
            #expect(job.stage == "stage 2" && job.progress == 0.75)
            // Nothing new is reported: these renewals are made for the lease's sake.
            _ = try wait(store, id) { _ in store.renewals.count >= 4 }
            #expect(zip(store.renewals, store.renewals.dropFirst()).allSatisfy { $0 < $1 })
            release.add()
            #expect(try wait(store, id) { $0.state == .succeeded }.attempts == 1)
        }
    }

    @Test(arguments: StoreKind.whole)
    func lostLeaseStopsTheWorkAndItsResultIsRefused(kind: StoreKind) throws {
        let stopped = Counter()
        try withPool(kind, lease: .milliseconds(300)) { job, _, context in
            guard job.attempts == 1 else { return Data("second".utf8) }
            while !context.isCancelled { Thread.sleep(forTimeInterval: 0.001) }
            stopped.add()
            return Data("first".utf8)
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            pool.start()
            _ = try wait(store, id) { $0.state == .running }
            let thief = try #require(
                try store.claim(at: Date() + 120, lease: .seconds(60), maxAttempts: 3))
            #expect(thief.job.id == id && thief.job.attempts == 2)
            // Renewed every 100 ms, so the worker soon learns that it is late.
            for _ in 0..<2_000 where stopped.value == 0 { Thread.sleep(forTimeInterval: 0.005) }
            #expect(stopped.value == 1)
            pool.stop(timeout: .seconds(10))
            let job = try #require(try store.finish(thief, .succeeded(result: Data("thief".utf8)), at: Date()))
            #expect(job.result == Data("thief".utf8))
        }
    }

    /// Leases are written by the wall clock; a job that this process runs is not lost because that is set.
    @Test(arguments: StoreKind.whole, [600.0, -600.0])
    func aClockThatIsSetCostsNoJobItsRun(kind: StoreKind, jump: Double) throws {
        let clock = Mutex(Date())
        let runs = Counter()
        let release = Counter()
        try withPool(kind, workers: 3, now: { clock.withLock { $0 } }) { _, _, _ in
            runs.add()
            while release.value == 0 { Thread.sleep(forTimeInterval: 0.001) }
            return Data()
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            pool.start()
            _ = try wait(store, id) { _ in runs.value == 1 }
            for _ in 0..<3 {
                clock.withLock { $0 += jump }
                // Each idle worker looks for a job at the new time.
                let seen = store.claims
                _ = try wait(store, id) { _ in store.claims >= seen + 6 }
            }
            let job = try #require(try store.job(id))
            #expect(job.state == .running && job.attempts == 1 && runs.value == 1)
            release.add()
            #expect(try wait(store, id) { $0.state.isFinal }.state == .succeeded)
            #expect(runs.value == 1)
        }
    }

    @Test(arguments: StoreKind.whole)
    func stopLetsAJobEnd(kind: StoreKind) throws {
        let started = Counter()
        try withPool(kind) { _, _, _ in
            started.add()
            Thread.sleep(forTimeInterval: 0.2)
            return Data()
        } _: { pool, store, spool in
            let first = try submit(store, spool)
            let second = try submit(store, spool)
            pool.start()
            _ = try wait(store, first) { _ in started.value == 1 }
            #expect(pool.stop(timeout: .seconds(10)))
            #expect(try store.job(first)?.state == .succeeded)
            #expect(try store.job(second)?.state == .queued)
        }
    }

    @Test(arguments: StoreKind.whole)
    func stopQueuesAgainWhatTakesTooLong(kind: StoreKind) throws {
        let started = Counter()
        try withPool(kind) { _, _, context in
            started.add()
            while true {
                try context.checkCancelled()
                Thread.sleep(forTimeInterval: 0.001)
            }
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            pool.start()
            _ = try wait(store, id) { _ in started.value == 1 }
            #expect(pool.stop(timeout: .milliseconds(50)))
            let job = try #require(try store.job(id))
            #expect(job.state == .queued && job.attempts == 0 && job.notBefore == nil && job.failure == nil)
        }
    }

    @Test(arguments: StoreKind.whole)
    func stopQueuesAgainWhatDoesNotListen(kind: StoreKind) throws {
        let release = Counter()
        let returned = Counter()
        try withPool(kind, grace: .milliseconds(50)) { _, _, _ in
            while release.value == 0 { Thread.sleep(forTimeInterval: 0.001) }
            returned.add()
            return Data("late".utf8)
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            pool.start()
            _ = try wait(store, id) { $0.state == .running }
            #expect(!pool.stop(timeout: .milliseconds(50)))
            #expect(try store.job(id)?.state == .queued)
            #expect(try store.job(id)?.attempts == 0)
            release.add()
            // Its late result changes nothing.
            _ = try wait(store, id) { _ in returned.value == 1 }
            #expect(pool.stop(timeout: .seconds(10)))
            #expect(try store.job(id)?.state == .queued)
        }
    }

    @Test(arguments: StoreKind.whole)
    func resultWaitsForAStoreThatDoesNotAnswer(kind: StoreKind) throws {
        let runs = Counter()
        let log = CollectedLog()
        try withPool(kind, log: log) { _, _, _ in
            runs.add()
            return Data()
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            store.failFinishes(5)
            pool.start()
            #expect(try wait(store, id) { $0.state == .succeeded }.attempts == 1)
            #expect(runs.value == 1)
        }
        // One line when it stopped answering, one when it answered again.
        #expect(
            log.messages == ["job started", "job store does not answer", "job store answers again", "job succeeded"])
    }

    @Test(arguments: StoreKind.whole)
    func workersOutliveAStoreThatDoesNotAnswer(kind: StoreKind) throws {
        try withPool(kind, workers: 2) { _, _, _ in
            Data()
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            store.failClaims(6)
            pool.start()
            #expect(try wait(store, id) { $0.state == .succeeded }.attempts == 1)
        }
    }

    @Test(arguments: StoreKind.whole)
    func logHasOneLineForEachChangeAndNothingOfTheUpload(kind: StoreKind) throws {
        let log = CollectedLog()
        try withPool(kind, maxAttempts: 2, log: log) { _, _, _ in
            throw Secret()
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            pool.start()
            _ = try wait(store, id) { $0.state == .failed }
            pool.stop(timeout: .seconds(10))
            #expect(
                log.messages == [
                    "job started", "job met an internal error", "job queued again",
                    "job started", "job met an internal error", "job failed",
                ])
            #expect(log.lineMetadata.allSatisfy { $0["job"] == "\(id)" })
            #expect(log.lineMetadata.map { $0["attempt"]?.description } == ["1", "1", "1", "2", "2", "2"])
            #expect(!"\(log.lineMetadata)".contains("DOE"))
        }
    }

    /// A job given up without a run of ours is logged all the same.
    @Test(arguments: StoreKind.whole)
    func logTellsOfJobsGivenUp(kind: StoreKind) throws {
        let log = CollectedLog()
        try withPool(kind, maxAttempts: 1, log: log) { _, _, _ in
            Data()
        } _: { pool, store, spool in
            let id = try submit(store, spool)
            _ = try store.claim(at: Date() - 100, lease: .seconds(1), maxAttempts: 1)
            pool.start()
            _ = try wait(store, id) { $0.state == .failed }
            pool.stop(timeout: .seconds(10))
            #expect(log.messages == ["job failed"])
            #expect(log.lineMetadata.first?["code"] == "attempts_exhausted")
        }
    }

    @Test func reportIsClampedAndOnlyNewOnce() {
        let context = JobContext()
        #expect(!context.takeReport().isNew)
        context.report(stage: "a", progress: .nan)
        #expect(context.takeReport() == (JobContext.Report(stage: "a", progress: 0), true))
        context.report(stage: "a", progress: 0)
        #expect(!context.takeReport().isNew)
        context.report(stage: "a", progress: 7)
        #expect(context.takeReport().report.progress == 1)
        #expect(throws: Never.self) { try context.checkCancelled() }
        context.requestStop(.cancelled)
        #expect(throws: CancelledError.self) { try context.checkCancelled() }
    }
}

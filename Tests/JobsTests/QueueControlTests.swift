import Foundation
import Jobs
import TestSupport
import Testing

/// Order, retry, pause, keeping time and reports, over every store.
@Suite struct QueueControlTests {
    private let plenty = QueueLimits(jobs: 100)

    // MARK: - Order

    @Test(arguments: StoreKind.allCases)
    func urgentFirstAndThenByAge(kind: StoreKind) throws {
        try kind.withStore { store in
            let bulk = try store.enqueueOne(at: 0, .bulk)
            let routine = try store.enqueueOne(at: 10, .routine)
            let later = try store.enqueueOne(at: 20)
            let stat = try store.enqueueOne(at: 30, .stat)
            #expect(later.priority == .routine)
            let order = try (0..<4).map { _ in try store.claimOne(at: 40)?.job.id }
            #expect(order == [stat.id, routine.id, later.id, bulk.id])
        }
    }

    /// Two hours for a stat job before a routine one, 24 for a stat job before a bulk one, 22 for a routine one.
    @Test(
        arguments: StoreKind.allCases,
        [
            (JobPriority.routine, JobPriority.stat, 7_200.0), (.bulk, .stat, 86_400), (.bulk, .routine, 79_200),
        ])
    func whoWaitsLongEnoughIsNotPassed(
        kind: StoreKind, pair: (slow: JobPriority, quick: JobPriority, head: Double)
    ) throws {
        try kind.withStore { store in
            let old = try store.enqueueOne(at: 0, pair.slow)
            let passing = try store.enqueueOne(at: pair.head - 0.001, pair.quick)
            // Of equal rank: the one that was named first.
            let equal = try store.enqueueOne(at: pair.head, pair.quick)
            let order = try (0..<3).map { _ in try store.claimOne(at: 90_000)?.job.id }
            #expect(order == [passing.id, old.id, equal.id])
        }
    }

    /// Stat jobs come without end, two an hour, and are more than the worker can do: the bulk job still has its turn.
    @Test(arguments: StoreKind.whole)
    func nothingStarves(kind: StoreKind) throws {
        try kind.withStore { store in
            let bulk = try store.enqueueOne(at: 0, .bulk)
            for step in 1...60 { try store.enqueueOne(at: Double(step) * 1_800, .stat) }
            let turn = try (0..<61).firstIndex { _ in try store.claimOne(at: 200_000)?.job.id == bulk.id }
            // 47 came within 24 hours; the 48th has the same rank and a later name.
            #expect(turn == 47)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func requeuedJobKeepsItsPlace(kind: StoreKind) throws {
        try kind.withStore { store in
            let first = try store.enqueueOne(at: 0)
            try store.enqueueOne(at: 1)
            try store.runOne(.retry(reason: broken), from: 2, to: 3)
            #expect(try store.claimOne(at: 4)?.job.id == first.id)
        }
    }

    // MARK: - Retry

    @Test(arguments: StoreKind.allCases, [JobOutcome.failed(broken), .cancelled])
    func endedJobRunsAgainAsIfNew(kind: StoreKind, outcome: JobOutcome) throws {
        try kind.withStore { store in
            let first = try store.enqueueOne(at: 0)
            let claim = try #require(try store.claimOne())
            _ = try store.renew(claim, stage: "s", progress: 0.5, until: time(60))
            if outcome == .cancelled { _ = try store.cancel(first.id, at: time(1)) }
            _ = try store.finish(claim, outcome, at: time(2))

            let other = try store.enqueueOne(at: 50)
            let again = try #require(try store.retry(first.id, limits: plenty, at: time(100)))
            var expected = first
            expected.queuedAt = time(100)
            #expect(again == expected)
            #expect(try store.job(first.id) == again)
            #expect(try store.expired(finishedBefore: time(1_000), limit: 9).isEmpty)
            // The old claim is void, and others came first.
            #expect(try store.finish(claim, .succeeded(result: Data()), at: time(101)) == nil)
            #expect(try store.claimOne(at: 102)?.job.id == other.id)
            #expect(try store.claimOne(at: 102)?.job.id == first.id)
            #expect(try store.job(first.id)?.attempts == 1)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func onlyWhatFailedOrWasCancelledIsRetried(kind: StoreKind) throws {
        try kind.withStore { store in
            let id = try store.enqueueOne().id
            let limits = plenty
            #expect(throws: JobStoreError.notRetryable(.queued)) { try store.retry(id, limits: limits, at: time()) }
            let claim = try #require(try store.claimOne())
            #expect(throws: JobStoreError.notRetryable(.running)) { try store.retry(id, limits: limits, at: time()) }
            _ = try store.finish(claim, .succeeded(result: Data()), at: time(1))
            #expect(throws: JobStoreError.notRetryable(.succeeded)) { try store.retry(id, limits: limits, at: time()) }
            try store.remove(id)
            #expect(throws: JobStoreError.removed(id)) { try store.retry(id, limits: limits, at: time()) }
            #expect(try store.retry(JobID(), limits: limits, at: time()) == nil)

            let failed = try store.enqueueOne().id
            try store.runOne(.failed(broken))
            try store.enqueueOne()
            #expect(throws: JobStoreError.queueFull(limit: 1)) {
                try store.retry(failed, limits: QueueLimits(jobs: 1), at: time())
            }
        }
    }

    // MARK: - Pause

    @Test(arguments: StoreKind.allCases)
    func pausedQueueStartsNothingAndRunningJobsGoOn(kind: StoreKind) throws {
        try withTemporaryFolder { folder in
            let store = try kind.open(in: folder)
            try store.enqueueOne()
            let waiting = try store.enqueueOne().id
            let claim = try #require(try store.claimOne())
            #expect(try !store.isPaused())
            try store.setPaused(true)
            try store.setPaused(true)
            #expect(try store.isPaused())
            #expect(try store.claimOne(at: 1) == nil)
            #expect(try store.renew(claim, stage: "s", progress: 0.5, until: time(90)) == .held)
            #expect(try store.finish(claim, .succeeded(result: Data()), at: time(2))?.state == .succeeded)
            #expect(try store.enqueueOne().state == .queued)

            let restarted = try kind.open(in: folder)
            #expect(try restarted.isPaused())
            #expect(try restarted.claimOne(at: 3) == nil)
            try restarted.setPaused(false)
            #expect(try restarted.claimOne(at: 4)?.job.id == waiting)
        }
    }

    // MARK: - Keeping time and report

    @Test(arguments: StoreKind.allCases)
    func expiredAreThoseThatEndedBefore(kind: StoreKind) throws {
        try kind.withStore { store in
            let ids = try (0..<3).map { try store.enqueueOne(at: Double($0)).id }
            try store.enqueueOne(at: 3)
            let claims = try ids.map { _ in try #require(try store.claimOne(at: 5)) }
            _ = try store.finish(claims[2], .succeeded(result: Data()), at: time(10))
            _ = try store.finish(claims[0], .failed(broken), at: time(20))
            _ = try store.finish(claims[1], .cancelled, at: time(30))

            #expect(try store.expired(finishedBefore: time(10), limit: 9).isEmpty)
            #expect(try store.expired(finishedBefore: time(30), limit: 9) == [ids[2], ids[0]])
            #expect(try store.expired(finishedBefore: time(31), limit: 2) == [ids[2], ids[0]])
            for id in try store.expired(finishedBefore: time(31), limit: 9) { try store.remove(id) }
            #expect(try store.expired(finishedBefore: time(31), limit: 9).isEmpty)
            #expect(try store.jobs(JobFilter()).count == 1)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func reportCountsByStateAndPriority(kind: StoreKind) throws {
        try kind.withStore { store in
            #expect(try store.report() == QueueReport())
            try store.enqueueOne(at: 5, .stat)
            try store.enqueueOne(at: 4, .bulk)
            try store.enqueueOne(at: 6, .bulk)
            let failed = try store.enqueueOne(at: 3, .routine)
            try store.runOne(.succeeded(result: Data()), from: 7, to: 8)
            try store.runOne(.failed(broken), from: 7, to: 9)
            var expected = QueueReport()
            expected.counts[.succeeded]?[.stat] = 1
            expected.counts[.failed]?[.routine] = 1
            expected.counts[.queued]?[.bulk] = 2
            expected.oldestWaiting = time(4)
            #expect(try store.report() == expected)
            #expect(expected.counts.values.allSatisfy { $0.count == 3 } && expected.counts.count == 5)
            #expect(try store.counts() == [.queued: 2, .running: 0, .succeeded: 1, .failed: 1, .cancelled: 0])
            // A retried job waits since then, not since it came.
            _ = try store.retry(failed.id, limits: plenty, at: time(50))
            for job in try store.jobs(JobFilter(state: .queued)) where job.priority == .bulk {
                _ = try store.cancel(job.id, at: time(51))
            }
            #expect(try store.report().oldestWaiting == time(50))
        }
    }

    // MARK: - Estimate

    @Test func paceIsTheMedian() {
        #expect(JobEstimate.pace(of: []) == nil)
        #expect(JobEstimate.pace(of: [3]) == 3)
        #expect(JobEstimate.pace(of: [9, 1, 2]) == 2)
        #expect(JobEstimate.pace(of: [4, 100, 1, 2]) == 3)
    }

    @Test(arguments: StoreKind.allCases)
    func timeLeftIsWorkAheadSharedAndOwnWork(kind: StoreKind) throws {
        try kind.withStore { store in
            try store.enqueueOne(at: 0, cost: 10)
            let unknown = try store.enqueueOne(at: 1).id
            #expect(try store.estimate(for: unknown, workers: 1) == nil)
            // 20 s for a cost of 10: a pace of 2 s, kept also when the job is gone.
            let measured = try store.runOne(.succeeded(result: Data()), from: 0, to: 20)
            #expect(try store.estimate(for: measured.id, workers: 1) == .zero)
            try store.remove(measured.id)
            _ = try store.cancel(unknown, at: time(21))

            let running = try store.enqueueOne(at: 30, cost: 8)
            let claim = try #require(try store.claimOne(at: 40))
            _ = try store.renew(claim, stage: "s", progress: 0.75, until: time(100))
            let bulk = try store.enqueueOne(at: 31, .bulk, cost: 3)
            let routine = try store.enqueueOne(at: 32, cost: 5)
            let stat = try store.enqueueOne(at: 33, .stat, cost: 1)
            let costless = try store.enqueueOne(at: 34)
            // Left of the running job: 8 × 0.25 = 2.
            #expect(try store.estimate(for: running.id, workers: 4) == .seconds(2 * 2))
            #expect(try store.estimate(for: stat.id, workers: 1) == .seconds(2 * (2 + 1)))
            #expect(try store.estimate(for: routine.id, workers: 1) == .seconds(2 * (2 + 1 + 5)))
            #expect(try store.estimate(for: bulk.id, workers: 1) == .seconds(2 * (2 + 1 + 5 + 3)))
            #expect(try store.estimate(for: bulk.id, workers: 2) == .seconds(2 * 8 / 2 + 2 * 3))
            #expect(try store.estimate(for: costless.id, workers: 1) == nil)
            #expect(try store.estimate(for: JobID(), workers: 1) == nil)

            try store.setPaused(true)
            #expect(try store.estimate(for: stat.id, workers: 1) == nil)
            #expect(try store.estimate(for: running.id, workers: 1) == .seconds(4))
        }
    }

    /// 25 runs, the last 20 of which count: their median is 15.5 s, that of all would be 13 s.
    @Test(arguments: StoreKind.allCases)
    func paceFollowsTheLastTwentyRuns(kind: StoreKind) throws {
        try kind.withStore { store in
            for seconds in 1...25 {
                try store.enqueueOne(cost: 1)
                try store.runOne(.succeeded(result: Data()), from: 0, to: Double(seconds))
            }
            // What did not succeed, or had no cost, is no measure.
            try store.enqueueOne(cost: 1)
            try store.runOne(.failed(broken), from: 0, to: 1_000)
            try store.enqueueOne()
            try store.runOne(.succeeded(result: Data()), from: 0, to: 1_000)
            let job = try store.enqueueOne(cost: 2)
            #expect(try store.estimate(for: job.id, workers: 1) == .seconds(31))
        }
    }
}

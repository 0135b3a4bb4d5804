import Foundation
import Jobs
import Synchronization
import TestSupport
import Testing

/// What every store promises, whatever it is built on.
@Suite struct JobStoreContractTests {
    // MARK: - Accepting and listing

    @Test(arguments: StoreKind.allCases)
    func acceptedJobIsKeptAsItCame(kind: StoreKind) throws {
        try kind.withStore { store in
            let new = NewJob(options: Data([0, 255, 10]), hasReference: true, uploadBytes: 1 << 40, createdAt: time())
            let accepted = try store.enqueue(new, queueLimit: 1)
            #expect(accepted == Job(new))
            #expect(accepted.state == .queued && accepted.attempts == 0 && accepted.progress == 0)
            #expect(try store.job(new.id) == accepted)
            #expect(throws: JobStoreError.alreadyExists(new.id)) { try store.enqueue(new, queueLimit: 9) }
        }
    }

    @Test(arguments: StoreKind.allCases)
    func fullQueueRefuses(kind: StoreKind) throws {
        try kind.withStore { store in
            try store.enqueueOne(limit: 2)
            try store.enqueueOne(limit: 2)
            #expect(throws: JobStoreError.queueFull(limit: 2)) { try store.enqueueOne(limit: 2) }
            #expect(throws: JobStoreError.queueFull(limit: 0)) { try store.enqueueOne(limit: 0) }
            // A running job no longer waits.
            _ = try store.claimOne()
            try store.enqueueOne(limit: 2)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func requestSentAgainUnderItsKeyIsTheSameJob(kind: StoreKind) throws {
        func new(_ key: String, digest: String) -> NewJob {
            NewJob(
                options: Data(), hasReference: false, uploadBytes: 1, retryKey: RetryKey(key: key, digest: digest))
        }
        try kind.withStore { store in
            let first = try store.enqueue(new("a", digest: "1"), queueLimit: 2)
            #expect(try store.enqueue(new("b", digest: "1"), queueLimit: 2).id != first.id)
            // A full queue is no reason to refuse what was accepted before.
            #expect(try store.enqueue(new("a", digest: "1"), queueLimit: 2) == first)
            #expect(throws: JobStoreError.keyReused(first.id)) {
                try store.enqueue(new("a", digest: "2"), queueLimit: 2)
            }
            #expect(try store.jobs(JobFilter()).count == 2)

            let claim = try #require(try store.claimOne())
            #expect(claim.job.id == first.id)
            let done = try store.finish(claim, .succeeded(result: Data()), at: time(1))
            #expect(try store.enqueue(new("a", digest: "1"), queueLimit: 2) == done)
            try store.remove(first.id)
            #expect(try store.enqueue(new("a", digest: "2"), queueLimit: 9).state == .queued)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func listsNewestFirstInPages(kind: StoreKind) throws {
        try kind.withStore { store in
            let ids = try (0..<7).map { _ in try store.enqueueOne().id }
            let running = try #require(try store.claimOne()).job.id
            #expect(running == ids[0])
            #expect(try store.jobs(JobFilter()).map(\.id) == ids.reversed())
            #expect(try store.jobs(JobFilter(limit: 3)).map(\.id) == [ids[6], ids[5], ids[4]])
            #expect(try store.jobs(JobFilter(before: ids[4], limit: 3)).map(\.id) == [ids[3], ids[2], ids[1]])
            #expect(try store.jobs(JobFilter(before: ids[0])).isEmpty)
            #expect(try store.jobs(JobFilter(state: .running)).map(\.id) == [ids[0]])
            #expect(try store.jobs(JobFilter(state: .queued, before: ids[2])).map(\.id) == [ids[1]])
            #expect(try store.jobs(JobFilter(limit: 0)).isEmpty)
            #expect(
                try store.counts() == [.queued: 6, .running: 1, .succeeded: 0, .failed: 0, .cancelled: 0])
        }
    }

    /// Each filter alone, all together, and page by page.
    @Test(arguments: StoreKind.allCases)
    func listsWhatAFilterLetsThrough(kind: StoreKind) throws {
        try kind.withStore { store in
            let severities = ["info", "warning", "error", "info", "warning", "info"]
            let priorities: [JobPriority] = [.stat, .routine, .bulk, .bulk, .bulk, .routine]
            // A second from name to name.
            let ids = (0..<6).map { JobID.bound(at: time(Double($0))) }
            for (index, id) in ids.enumerated() {
                let options = #"{"findings":[{"severity":"\#(severities[index])"}],"label":"\"severity\":\"error\""}"#
                let new = NewJob(
                    id: id, options: Data(options.utf8), hasReference: false, uploadBytes: 1,
                    createdAt: time(Double(index)), priority: priorities[index])
                _ = try store.enqueue(new, queueLimit: 9)
            }
            func listed(_ change: (inout JobFilter) -> Void) throws -> [Int] {
                var filter = JobFilter()
                change(&filter)
                return try store.jobs(filter).compactMap { ids.firstIndex(of: $0.id) }
            }
            _ = try store.cancel(ids[4], at: time(9))
            _ = try store.cancel(ids[1], at: time(9))
            let claim = try #require(try store.claimOne())
            #expect(claim.job.id == ids[0])
            #expect(try listed { $0.states = [.cancelled, .running] } == [4, 1, 0])
            #expect(try listed { ($0.states, $0.limit) = ([.cancelled, .running, .queued], 2) } == [5, 4])
            #expect(try listed { ($0.states, $0.before) = ([.cancelled, .running], ids[4]) } == [1, 0])
            #expect(try listed { $0.priority = .bulk } == [4, 3, 2])
            #expect(try listed { $0.createdFrom = time(3) } == [5, 4, 3])
            #expect(try listed { $0.createdBefore = time(3) } == [2, 1, 0])
            #expect(try listed { ($0.createdFrom, $0.createdBefore) = (time(0.5), time(3.001)) } == [3, 2, 1])
            #expect(try listed { $0.needsReview = true } == [4, 2, 1])
            #expect(try listed { $0.needsReview = false } == [5, 3, 0])
            #expect(
                try listed { ($0.needsReview, $0.states, $0.priority) = (true, [.queued, .cancelled], .bulk) } == [
                    4, 2,
                ])
            // What a result finds counts instead of what the scan did.
            let result = Data(#"{"findings":[{"severity":"warning"}]}"#.utf8)
            _ = try store.finish(claim, .succeeded(result: result), at: time(10))
            #expect(try listed { $0.needsReview = true } == [4, 2, 1, 0])
        }
    }

    @Test(arguments: StoreKind.allCases)
    func unknownJob(kind: StoreKind) throws {
        try kind.withStore { store in
            let id = JobID()
            #expect(try store.job(id) == nil)
            #expect(try store.cancel(id, at: time()) == nil)
            #expect(try !store.names().contains(id))
            try store.remove(id)
            #expect(try store.job(id) == nil)
            #expect(try store.claimOne() == nil)
        }
    }

    // MARK: - A run

    @Test(arguments: StoreKind.allCases)
    func runWithProgressAndResult(kind: StoreKind) throws {
        try kind.withStore { store in
            let first = try store.enqueueOne().id
            try store.enqueueOne()
            let claim = try #require(try store.claimOne(at: 5))
            #expect(claim.job.id == first)
            #expect(claim.job.state == .running && claim.job.attempts == 1 && claim.job.startedAt == time(5))
            #expect(claim.leaseUntil == time(65))

            #expect(try store.renew(claim, stage: "stage 1", progress: 0.25, until: time(70)) == .held)
            let running = try #require(try store.job(first))
            #expect(running.stage == "stage 1" && running.progress == 0.25)

            let done = try #require(try store.finish(claim, .succeeded(result: Data("{1}".utf8)), at: time(9)))
            #expect(done.state == .succeeded && done.progress == 1 && done.finishedAt == time(9))
            #expect(done.result == Data("{1}".utf8) && done.failure == nil)
            #expect(try store.job(first) == done)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func permanentFailureKeepsItsReason(kind: StoreKind) throws {
        try kind.withStore { store in
            try store.enqueueOne()
            let claim = try #require(try store.claimOne())
            let failed = try #require(try store.finish(claim, .failed(broken), at: time(1)))
            #expect(failed.state == .failed && failed.failure == broken && failed.finishedAt == time(1))
            #expect(try store.claimOne(at: 1_000) == nil)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func retryUsesAttemptsAndThenFails(kind: StoreKind) throws {
        try kind.withStore { store in
            let id = try store.enqueueOne().id
            for attempt in 1...3 {
                let claim = try #require(try store.claimOne())
                #expect(claim.job.attempts == attempt)
                let job = try #require(try store.finish(claim, .retry(reason: broken), at: time(1)))
                #expect(job.state == (attempt < 3 ? .queued : .failed))
                #expect(job.failure == broken)
                #expect(job.startedAt == nil || job.state == .failed)
            }
            #expect(try store.job(id)?.state == .failed)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func postponedWaitsAndKeepsItsAttempt(kind: StoreKind) throws {
        try kind.withStore { store in
            let id = try store.enqueueOne().id
            for round in 0..<5 {
                let now = Double(round) * 30
                let claim = try #require(try store.claimOne(at: now))
                #expect(claim.job.attempts == 1)
                let job = try store.finish(claim, .postponed(reason: broken, until: time(now + 30)), at: time(now))
                #expect(job?.state == .queued && job?.attempts == 0 && job?.notBefore == time(now + 30))
                #expect(try store.claimOne(at: now + 29.999) == nil)
            }
            // Those put off do not stand in the way of others.
            let other = try store.enqueueOne().id
            #expect(try store.claimOne(at: 149)?.job.id == other)
            #expect(try store.claimOne(at: 150)?.job.id == id)
        }
    }

    // MARK: - Leases

    @Test(arguments: StoreKind.allCases)
    func runningJobIsNotClaimedWhileItsLeaseLasts(kind: StoreKind) throws {
        try kind.withStore { store in
            try store.enqueueOne()
            let claim = try #require(try store.claimOne())
            #expect(try store.claimOne(at: 59.999) == nil)
            #expect(try store.renew(claim, stage: "", progress: 0, until: time(120)) == .held)
            #expect(try store.claimOne(at: 119.999) == nil)
            #expect(try store.claimOne(at: 120) != nil)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func lateWorkerChangesNothing(kind: StoreKind) throws {
        try kind.withStore { store in
            let id = try store.enqueueOne().id
            let late = try #require(try store.claimOne())
            let current = try #require(try store.claimOne(at: 60))
            #expect(current.job.id == id && current.job.attempts == 2)
            #expect(current.token != late.token)

            let before = try store.job(id)
            #expect(try store.renew(late, stage: "late", progress: 0.9, until: time(1_000)) == .lost)
            for outcome in [
                JobOutcome.succeeded(result: Data()), .failed(broken), .retry(reason: broken), .cancelled,
                .postponed(reason: nil, until: time(90)),
            ] {
                #expect(try store.finish(late, outcome, at: time(61)) == nil)
            }
            #expect(try store.job(id) == before)
            #expect(try store.finish(current, .succeeded(result: Data()), at: time(62))?.state == .succeeded)
            // A second end of the same run is late, too.
            #expect(try store.finish(current, .failed(broken), at: time(63)) == nil)
            #expect(try store.renew(current, stage: "", progress: 0, until: time(99)) == .lost)
            #expect(try store.job(id)?.state == .succeeded)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func expiredLeaseCanBeRenewedUntilAnotherTakesIt(kind: StoreKind) throws {
        try kind.withStore { store in
            try store.enqueueOne()
            let claim = try #require(try store.claimOne())
            #expect(try store.renew(claim, stage: "", progress: 0, until: time(200)) == .held)
            #expect(try store.claimOne(at: 150) == nil)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func threeLostWorkersFailTheJobWithAReason(kind: StoreKind) throws {
        try kind.withStore { store in
            let poison = try store.enqueueOne().id
            for attempt in 0..<3 { #expect(try store.claimOne(at: Double(attempt) * 60)?.job.id == poison) }
            let next = try store.enqueueOne().id

            var givenUp: [Job] = []
            let claim = try store.claim(at: time(180), lease: .seconds(60), maxAttempts: 3) { givenUp.append($0) }
            #expect(claim?.job.id == next)
            let failed = try #require(try store.job(poison))
            #expect(failed.state == .failed && failed.attempts == 3 && failed.finishedAt == time(180))
            #expect(failed.failure?.code == "attempts_exhausted")
            #expect(failed.failure?.message.contains("3 times") == true)
            #expect(givenUp == [failed])
        }
    }

    @Test(arguments: StoreKind.allCases)
    func claimTellsOfEachOtherJobThatChanged(kind: StoreKind) throws {
        try kind.withStore { store in
            let ids = try (0..<3).map { _ in try store.enqueueOne().id }
            for _ in ids { _ = try store.claimOne() }
            _ = try store.cancel(ids[1], at: time(1))
            var others: [Job] = []
            let claim = try store.claim(at: time(60), lease: .seconds(60), maxAttempts: 3) { others.append($0) }
            #expect(claim?.job.id == ids[0])
            #expect(others.map(\.id) == [ids[1], ids[2]] && others.map(\.state) == [.cancelled, .queued])
        }
    }

    @Test(arguments: StoreKind.whole)
    func releaseAllQueuesAgainAndCountsTheAttempt(kind: StoreKind) throws {
        try kind.withWholeStore { store in
            let id = try store.enqueueOne().id
            let unwanted = try store.enqueueOne().id
            let waiting = try store.enqueueOne().id
            let old = try #require(try store.claimOne())
            _ = try store.claimOne()
            _ = try store.cancel(unwanted, at: time(1))

            let changed = try store.releaseAll(at: time(2))
            #expect(changed.map(\.id) == [id, unwanted])
            #expect(changed.map(\.state) == [.queued, .cancelled])
            #expect(changed[0].attempts == 1 && changed[0].failure?.code == "interrupted")
            #expect(try store.renew(old, stage: "", progress: 0, until: time(99)) == .lost)
            #expect(try store.claimOne(at: 3)?.job.id == id)
            #expect(try store.claimOne(at: 3)?.job.id == waiting)
            #expect(try store.claimOne(at: 3) == nil)
        }
    }

    @Test(arguments: StoreKind.whole)
    func releasedJobWithoutAttemptsLeftFails(kind: StoreKind) throws {
        try kind.withWholeStore { store in
            let id = try store.enqueueOne().id
            for attempt in 1...3 {
                #expect(try store.claimOne()?.job.attempts == attempt)
                try store.releaseAll(at: time())
            }
            var givenUp: [JobID] = []
            #expect(try store.claim(at: time(), lease: .seconds(1), maxAttempts: 3) { givenUp.append($0.id) } == nil)
            #expect(givenUp == [id])
            #expect(try store.job(id)?.failure?.code == "attempts_exhausted")
        }
    }

    // MARK: - Cancelling and removing

    @Test(arguments: StoreKind.allCases)
    func cancelWaitingAndRunning(kind: StoreKind) throws {
        try kind.withStore { store in
            let running = try store.enqueueOne().id
            let waiting = try store.enqueueOne().id
            let claim = try #require(try store.claimOne())

            let cancelled = try #require(try store.cancel(waiting, at: time(4)))
            #expect(cancelled.state == .cancelled && cancelled.finishedAt == time(4) && cancelled.cancelRequested)
            let asked = try #require(try store.cancel(running, at: time(4)))
            #expect(asked.state == .running && asked.cancelRequested && asked.finishedAt == nil)
            #expect(try store.renew(claim, stage: "", progress: 0, until: time(70)) == .cancelRequested)
            #expect(try store.finish(claim, .cancelled, at: time(5))?.state == .cancelled)
            // Nothing changes once a job is finished.
            #expect(try store.cancel(running, at: time(6))?.finishedAt == time(5))
        }
    }

    @Test(arguments: StoreKind.allCases)
    func cancelledJobIsNeverQueuedAgain(kind: StoreKind) throws {
        try kind.withStore { store in
            for outcome in [JobOutcome.retry(reason: broken), .postponed(reason: broken, until: time(9))] {
                let id = try store.enqueueOne().id
                let claim = try #require(try store.claimOne())
                _ = try store.cancel(id, at: time(1))
                #expect(try store.finish(claim, outcome, at: time(2))?.state == .cancelled)
            }
            let lost = try store.enqueueOne().id
            _ = try store.claimOne()
            _ = try store.cancel(lost, at: time(1))
            #expect(try store.claimOne(at: 60) == nil)
            #expect(try store.job(lost)?.state == .cancelled)
        }
    }

    /// Also where it could not be queued again anyway: the user asked for the end, and it is no failure.
    @Test(arguments: StoreKind.allCases)
    func cancelOutweighsTheLastAttempt(kind: StoreKind) throws {
        try kind.withStore { store in
            let thrown = try store.enqueueOne().id
            let claim = try #require(try store.claim(at: time(), lease: .seconds(60), maxAttempts: 1))
            _ = try store.cancel(thrown, at: time(1))
            #expect(try store.finish(claim, .retry(reason: broken), at: time(2))?.state == .cancelled)

            let lost = try store.enqueueOne().id
            _ = try store.claim(at: time(), lease: .seconds(60), maxAttempts: 1)
            _ = try store.cancel(lost, at: time(1))
            #expect(try store.claim(at: time(60), lease: .seconds(60), maxAttempts: 1) == nil)
            #expect(try store.job(lost)?.state == .cancelled)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func resultThatComesBeforeTheCancelIsNoticedIsKept(kind: StoreKind) throws {
        try kind.withStore { store in
            let id = try store.enqueueOne().id
            let claim = try #require(try store.claimOne())
            _ = try store.cancel(id, at: time(1))
            #expect(try store.finish(claim, .succeeded(result: Data()), at: time(2))?.state == .succeeded)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func removedJobLeavesItsNameOnly(kind: StoreKind) throws {
        try kind.withStore { store in
            let id = try store.enqueueOne().id
            #expect(throws: JobStoreError.notFinished(.queued)) { try store.remove(id) }
            let claim = try #require(try store.claimOne())
            #expect(throws: JobStoreError.notFinished(.running)) { try store.remove(id) }
            _ = try store.finish(claim, .failed(broken), at: time(1))
            #expect(try store.names() == [id])

            try store.remove(id)
            #expect(try !store.names().contains(id))
            #expect(throws: JobStoreError.removed(id)) { try store.job(id) }
            #expect(throws: JobStoreError.removed(id)) { try store.cancel(id, at: time()) }
            #expect(throws: JobStoreError.removed(id)) { try store.remove(id) }
            let again = NewJob(id: id, options: Data(), hasReference: false, uploadBytes: 0)
            #expect(throws: JobStoreError.removed(id)) { try store.enqueue(again, queueLimit: 9) }
            #expect(try store.jobs(JobFilter()).isEmpty)
            #expect(try store.counts().values.allSatisfy { $0 == 0 })
        }
    }

    /// A lease that ran out by the wall clock is not lost while its holder says that it is at work.
    @Test(arguments: StoreKind.allCases)
    func heldClaimsAreNotLost(kind: StoreKind) throws {
        try kind.withStore { store in
            let id = try store.enqueueOne().id
            let claim = try #require(try store.claimOne())
            for _ in 0..<3 {
                let other = try store.claim(
                    at: time(6_000), lease: .seconds(60), maxAttempts: 3, held: [claim.token], alsoChanged: { _ in })
                #expect(other == nil)
            }
            #expect(try store.job(id) == claim.job)
            let thief = try store.claim(
                at: time(6_000), lease: .seconds(60), maxAttempts: 3, held: [UUID()], alsoChanged: { _ in })
            #expect(thief?.job.id == id && thief?.job.attempts == 2)
        }
    }

    // MARK: - Threads and restarts

    @Test(arguments: StoreKind.allCases)
    func threadsThatClaimAtOnceGetEachJobOnce(kind: StoreKind) throws {
        try kind.withStore { store in
            let ids = try (0..<60).map { _ in try store.enqueueOne().id }
            let claimed = Claimed()
            DispatchQueue.concurrentPerform(iterations: 6) { _ in
                while let claim = try? store.claimOne() { claimed.add(claim) }
            }
            #expect(claimed.all.map(\.job.id).sorted() == ids)
            #expect(Set(claimed.all.map(\.token)).count == ids.count)
        }
    }

    private final class Claimed: Sendable {
        private let claims = Mutex<[ClaimedJob]>([])
        var all: [ClaimedJob] { claims.withLock { $0 } }
        func add(_ claim: ClaimedJob) { claims.withLock { $0.append(claim) } }
    }

    /// The first store is not closed: as after a crash, its log is still there beside the database.
    @Test(arguments: StoreKind.whole)
    func secondInstanceFindsEverything(kind: StoreKind) throws {
        try withTemporaryFolder { folder in
            let crashed = try kind.openWhole(in: folder)
            let running = try crashed.enqueueOne().id
            let waiting = try crashed.enqueueOne()
            let removed = try crashed.enqueueOne().id
            let old = try #require(try crashed.claimOne())
            _ = try crashed.cancel(removed, at: time(1))
            try crashed.remove(removed)

            let store = try kind.openWhole(in: folder)
            #expect(try store.job(running) == old.job)
            #expect(try store.job(waiting.id) == waiting)
            #expect(throws: JobStoreError.removed(removed)) { try store.job(removed) }
            #expect(try store.releaseAll(at: time(2)).map(\.id) == [running])
            let claim = try #require(try store.claimOne(at: 3))
            #expect(claim.job.id == running && claim.job.attempts == 2)
            #expect(try crashed.finish(old, .succeeded(result: Data()), at: time(4)) == nil)
            #expect(try store.finish(claim, .succeeded(result: Data()), at: time(5))?.state == .succeeded)
        }
    }
}

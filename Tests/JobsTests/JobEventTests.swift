import Foundation
import Jobs
import Synchronization
import TestSupport
import Testing

/// The feed of events that every store keeps.
@Suite struct JobEventTests {
    @Test func kindOfEachChange() throws {
        let queued = Job(NewJob(options: Data(), hasReference: false, uploadBytes: 1, createdAt: time()))
        let running = try #require(queued.claimed(at: time(1)))
        let asked = running.cancelling(at: time(2))
        let failed = try #require(running.finished(.failed(broken), at: time(2), maxAttempts: 3))
        let done = try #require(running.finished(.succeeded(result: Data()), at: time(2), maxAttempts: 3))
        var progressed = running
        progressed.progress = 0.5
        let cases: [(Job, Job, JobEvent.Kind?)] = [
            (queued, running, .started), (running, progressed, nil), (running, asked, .cancelRequested),
            (asked, asked, nil), (running, try #require(running.abandoned(at: time(2), maxAttempts: 3)), .requeued),
            (running, failed, .failed), (running, done, .succeeded),
            (queued, queued.cancelling(at: time(2)), .cancelled),
            (failed, try #require(failed.retried(at: time(3))), .retried),
            (queued, try #require(queued.reusing(done, at: time(3))), .succeeded),
        ]
        for (old, new, kind) in cases {
            #expect(JobEvent.Kind(from: old, to: new) == kind)
            if let kind { #expect(kind.state == new.state) }
        }
        #expect(JobEvent.Kind.deleted.state == nil)
    }

    @Test(arguments: StoreKind.allCases)
    func everyChangeHasItsEvent(kind: StoreKind) throws {
        try kind.withStore { store in
            #expect(try store.lastEvent() == 0)
            let id = try store.enqueueOne(at: 0).id
            let claim = try #require(try store.claimOne(at: 1))
            _ = try store.renew(claim, stage: "s", progress: 0.5, until: time(61))
            _ = try store.finish(claim, .retry(reason: broken), at: time(2))
            _ = try store.claimOne(at: 3)
            // The lease runs out, and the same call starts the job again.
            let last = try #require(try store.claimOne(at: 70))
            _ = try store.cancel(id, at: time(71))
            _ = try store.cancel(id, at: time(72))
            _ = try store.finish(last, .cancelled, at: time(73))
            _ = try store.finish(last, .cancelled, at: time(74))
            _ = try store.retry(id, limits: QueueLimits(jobs: 9), at: time(75))
            try store.runOne(.failed(broken), from: 76, to: 77)
            try store.remove(id, at: time(78))

            let events = try store.events(after: 0, limit: 100)
            #expect(
                events.map(\.kind) == [
                    .accepted, .started, .requeued, .started, .requeued, .started, .cancelRequested, .cancelled,
                    .retried, .started, .failed, .deleted,
                ])
            #expect(events.map(\.time) == [0, 1, 2, 3, 70, 70, 71, 73, 75, 76, 77, 78].map { time($0) })
            #expect(events.map(\.sequence) == Array(1...12))
            #expect(events.allSatisfy { $0.job == id })
            #expect(try store.lastEvent() == 12)
            #expect(try store.events(after: 10, limit: 100).map(\.kind) == [.failed, .deleted])
            #expect(try store.events(after: 3, limit: 2).map(\.sequence) == [4, 5])
            #expect(try store.events(after: 12, limit: 9).isEmpty)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func whatWasRefusedHasNoEvent(kind: StoreKind) throws {
        try kind.withStore { store in
            let job = try store.enqueueOne(limit: 1)
            _ = try? store.enqueueOne(limit: 1)
            _ = try? store.remove(job.id)
            _ = try? store.retry(job.id, limits: QueueLimits(jobs: 9), at: time())
            let again = NewJob(id: job.id, options: Data(), hasReference: false, uploadBytes: 1)
            #expect(throws: JobStoreError.alreadyExists(job.id)) { try store.enqueue(again, queueLimit: 9) }
            // The number of the refused event is not lost.
            try store.enqueueOne()
            #expect(try store.events(after: 0, limit: 9).map(\.sequence) == [1, 2])
        }
    }

    @Test(arguments: StoreKind.allCases)
    func feedGoesOnAfterARestartAndAfterTrimming(kind: StoreKind) throws {
        try withTemporaryFolder { folder in
            let crashed = try kind.open(in: folder)
            for second in 0..<5 { try crashed.enqueueOne(at: Double(second)) }

            let store = try kind.open(in: folder)
            #expect(try store.lastEvent() == 5)
            #expect(try store.trimEvents(olderThan: time(3)) == 3)
            #expect(try store.events(after: 0, limit: 9).map(\.sequence) == [4, 5])
            // A clock set back tears no hole: an old event behind a young one stays.
            try store.enqueueOne(at: 1)
            #expect(try store.trimEvents(olderThan: time(3)) == 0)
            #expect(try store.events(after: 0, limit: 9).map(\.sequence) == [4, 5, 6])
            #expect(try store.trimEvents(olderThan: time(100)) == 3)
            #expect(try store.lastEvent() == 6)
            try store.enqueueOne(at: 7)
            #expect(try kind.open(in: folder).events(after: 6, limit: 9).map(\.sequence) == [7])
        }
    }

    /// Whoever reads after each notice has all events up to the job's last, and no job changes without a notice.
    @Test(arguments: StoreKind.whole)
    func watcherIsToldAfterTheEventIsThere(kind: StoreKind) throws {
        final class Seen: Sendable {
            let store = Mutex<(any JobStore)?>(nil)
            let told = Mutex<[(job: JobID, last: JobEvent.Kind?)]>([])
        }
        try kind.withStore { base in
            let seen = Seen()
            let store = WatchedJobStore(base) { job in
                let last = try? base.events(after: 0, limit: 100).last { $0.job == job }
                seen.told.withLock { $0.append((job, last?.kind)) }
            }
            let key = String(repeating: "a", count: 64)
            let new = NewJob(options: Data(), hasReference: false, uploadBytes: 1, createdAt: time(), contentKey: key)
            let first = try store.enqueue(new, queueLimit: 9).id
            try store.runOne(.succeeded(result: Data()))
            let copy = try #require(
                try store.enqueueFinished(
                    NewJob(options: Data(), hasReference: false, uploadBytes: 1, createdAt: time(1)), copying: first,
                    limits: QueueLimits(jobs: 9))
            ).id
            let other = try store.enqueueOne().id
            let late = try #require(try store.claimOne(at: 0))
            // Its lease runs out while the queue is paused: it changes, and no one claims it.
            try store.setPaused(true)
            #expect(try store.claimOne(at: 60) == nil)
            _ = try store.cancel(other, at: time(61))
            _ = try store.retry(other, limits: QueueLimits(jobs: 9), at: time(62))
            #expect(try store.finish(late, .cancelled, at: time(63)) == nil)
            try store.remove(first)

            let told = seen.told.withLock { $0 }
            #expect(
                told.map(\.job) == [first, first, first, copy, other, other, other, other, other, first])
            #expect(
                told.map(\.last) == [
                    .accepted, .started, .succeeded, .succeeded, .accepted, .started, .requeued, .cancelled, .retried,
                    .deleted,
                ])
        }
    }
}

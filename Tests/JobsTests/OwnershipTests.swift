import Foundation
import Jobs
import TestSupport
import Testing

/// Whose a job is, what it is made of, and what follows: quotas, lists, and results that are there already.
@Suite struct OwnershipTests {
    private let plenty = QueueLimits(jobs: 9)

    private func new(
        _ owner: String?, bytes: Int = 1, content: String? = nil, at seconds: Double = 0, key: RetryKey? = nil
    ) -> NewJob {
        NewJob(
            options: Data("{}".utf8), hasReference: false, uploadBytes: bytes, createdAt: time(seconds), retryKey: key,
            owner: owner, contentKey: content)
    }

    // MARK: - Owners

    @Test(arguments: StoreKind.allCases)
    func whatTheClientGaveIsKept(kind: StoreKind) throws {
        try kind.withStore { store in
            let new = NewJob(
                options: Data(), hasReference: false, uploadBytes: 1, createdAt: time(), priority: .bulk, cost: 0.1,
                owner: "pacs", webhook: "https://example.org/h?k=1", contentKey: "ab")
            let job = try store.enqueue(new, queueLimit: 1)
            #expect(job == Job(new) && job.queuedAt == time())
            #expect(try store.job(new.id) == job)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func listsByOwner(kind: StoreKind) throws {
        try kind.withStore { store in
            let ids = try ["a", "b", nil, "a", "a"].map { try store.enqueue(new($0), queueLimit: 9).id }
            _ = try store.claimOne()
            #expect(try store.jobs(JobFilter(owner: "a")).map(\.id) == [ids[4], ids[3], ids[0]])
            #expect(try store.jobs(JobFilter(owner: "a", before: ids[4], limit: 1)).map(\.id) == [ids[3]])
            #expect(try store.jobs(JobFilter(state: .running, owner: "a")).map(\.id) == [ids[0]])
            #expect(try store.jobs(JobFilter(state: .running, owner: "b")).isEmpty)
            #expect(try store.jobs(JobFilter(owner: "c")).isEmpty)
            #expect(try store.jobs(JobFilter()).count == 5)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func ownersAreHeldToTheirShare(kind: StoreKind) throws {
        try kind.withStore { store in
            let limits = QueueLimits(jobs: 5, ownerJobs: 2, ownerBytes: 100)
            _ = try store.enqueue(new("a", bytes: 60), limits: limits)
            #expect(throws: JobStoreError.ownerBytesFull(waiting: 60, limit: 100)) {
                try store.enqueue(new("a", bytes: 41), limits: limits)
            }
            #expect(throws: JobStoreError.ownerBytesFull(waiting: 0, limit: 100)) {
                try store.enqueue(new("b", bytes: 101), limits: limits)
            }
            let second = try store.enqueue(new("a", bytes: 40), limits: limits).id
            #expect(throws: JobStoreError.ownerQueueFull(limit: 2)) {
                try store.enqueue(new("a", bytes: 0), limits: limits)
            }
            // Others are not touched by it, and who has no owner only by the limit for all.
            _ = try store.enqueue(new("b", bytes: 100), limits: limits)
            _ = try store.enqueue(new(nil, bytes: 1_000), limits: limits)
            _ = try store.enqueue(new(nil, bytes: 1_000), limits: limits)
            #expect(throws: JobStoreError.queueFull(limit: 5)) { try store.enqueue(new(nil), limits: limits) }

            // A running job no longer counts; a cancelled one does again when it is retried.
            #expect(try store.claimOne()?.job.uploadBytes == 60)
            _ = try store.cancel(second, at: time(1))
            _ = try store.enqueue(new("a", bytes: 99), limits: limits)
            #expect(throws: JobStoreError.ownerBytesFull(waiting: 99, limit: 100)) {
                try store.retry(second, limits: limits, at: time(2))
            }
        }
    }

    /// Finished jobs count, copies count, running ones too; what is removed, or found smaller, counts no more.
    @Test(arguments: StoreKind.allCases)
    func whatIsStoredIsHeldToTheQuota(kind: StoreKind) throws {
        try withTemporaryFolder { folder in
            var store = try kind.open(in: folder)
            let limits = QueueLimits(jobs: 9, ownerStored: 100)
            func stored(_ owner: String, _ bytes: Int) -> NewJob {
                var job = new(owner, bytes: 1, content: "k")
                job.storedBytes = bytes
                return job
            }
            let first = try store.enqueue(stored("a", 40), limits: limits).id
            try store.runOne(.succeeded(result: Data()))
            try store.setStored(45, of: first)
            let copy = try #require(try store.enqueueFinished(stored("a", 45), copying: first, limits: limits))
            #expect(copy.storedBytes == 45)
            #expect(try store.stored(of: "a") == 90)
            let full = JobStoreError.ownerStorageFull(stored: 90, adding: 11, limit: 100)
            #expect(throws: full) { try store.enqueueFinished(stored("a", 11), copying: first, limits: limits) }
            #expect(throws: full) { try store.enqueue(stored("a", 11), limits: limits) }
            // The sum is in the rows: a restart changes nothing.
            store = try kind.open(in: folder)
            #expect(throws: full) { try store.enqueue(stored("a", 11), limits: limits) }
            #expect(try store.enqueue(stored("b", 100), limits: limits).storedBytes == 100)
            #expect(try store.enqueue(stored("a", 10), limits: limits).state == .queued)
            #expect(try store.stored(of: "a") == 100 && store.stored(of: "c") == 0)
            try store.remove(first)
            #expect(try store.stored(of: "a") == 55)
            try store.setStored(5, of: first)
            #expect(try store.stored(of: "a") == 55)
        }
    }

    // MARK: - Earlier results

    @Test(arguments: StoreKind.allCases)
    func newestSuccessOfAContentIsFound(kind: StoreKind) throws {
        try kind.withStore { store in
            #expect(try store.succeeded(contentKey: "k") == nil)
            let first = try store.enqueue(new("a", content: "k"), queueLimit: 9).id
            #expect(try store.succeeded(contentKey: "k") == nil)
            try store.runOne(.succeeded(result: Data("1".utf8)))
            _ = try store.enqueue(new("a", content: "other"), queueLimit: 9)
            try store.runOne(.succeeded(result: Data("2".utf8)))
            let second = try store.enqueue(new("a", content: "k"), queueLimit: 9).id
            #expect(try store.succeeded(contentKey: "k")?.id == first)
            let done = try store.runOne(.succeeded(result: Data("3".utf8)))
            #expect(try store.succeeded(contentKey: "k") == done)
            _ = try store.enqueue(new("a", content: "k"), queueLimit: 9)
            try store.runOne(.failed(broken))
            #expect(try store.succeeded(contentKey: "k")?.id == second)
            try store.remove(second)
            #expect(try store.succeeded(contentKey: "k")?.id == first)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func repeatedScanSucceedsAtOnceAsAJobOfItsOwn(kind: StoreKind) throws {
        try kind.withStore { store in
            let first = try store.enqueue(new("a", content: "k"), queueLimit: 9).id
            try store.runOne(.succeeded(result: Data("mask".utf8)), from: 0, to: 5)
            let copy = new("b", content: "k", at: 10)
            let job = try #require(try store.enqueueFinished(copy, copying: first, limits: plenty))
            #expect(job.id == copy.id && job.state == .succeeded && job.owner == "b" && job.copiedFrom == first)
            #expect(job.result == Data("mask".utf8) && job.progress == 1 && job.attempts == 0)
            #expect(job.createdAt == time(10) && job.startedAt == nil && job.finishedAt == time(10))
            #expect(try store.job(copy.id) == job)
            #expect(try store.history() == [.accepted, .started, .succeeded, .accepted, .succeeded])
            // A copy of the copy names the job that ran, also when that is gone.
            try store.remove(first)
            #expect(try store.succeeded(contentKey: "k") == job)
            let third = try store.enqueueFinished(new("c", content: "k", at: 11), copying: copy.id, limits: plenty)
            #expect(third?.copiedFrom == first)
            #expect(try store.claimOne(at: 20) == nil)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func withoutAnEarlierResultNothingIsAccepted(kind: StoreKind) throws {
        try kind.withStore { store in
            let waiting = try store.enqueue(new("a", content: "k"), queueLimit: 9).id
            #expect(try store.enqueueFinished(new("a", content: "k"), copying: waiting, limits: plenty) == nil)
            #expect(try store.enqueueFinished(new("a", content: "k"), copying: JobID(), limits: plenty) == nil)
            try store.runOne(.succeeded(result: Data()))
            try store.remove(waiting)
            let fresh = new("a", content: "k")
            #expect(try store.enqueueFinished(fresh, copying: waiting, limits: plenty) == nil)
            #expect(try store.job(fresh.id) == nil)
            #expect(throws: JobStoreError.removed(waiting)) { try store.job(waiting) }
        }
    }

    @Test(arguments: StoreKind.allCases)
    func retryKeyHoldsForACopyToo(kind: StoreKind) throws {
        try kind.withStore { store in
            let first = try store.enqueue(new("a", content: "k"), queueLimit: 9).id
            try store.runOne(.succeeded(result: Data()))
            let key = RetryKey(key: "x", digest: "1")
            let job = try #require(
                try store.enqueueFinished(new("a", content: "k", key: key), copying: first, limits: plenty))
            #expect(try store.enqueueFinished(new("a", content: "k", key: key), copying: first, limits: plenty) == job)
            #expect(try store.enqueue(new("a", content: "k", key: key), queueLimit: 0) == job)
            #expect(throws: JobStoreError.keyReused(job.id)) {
                try store.enqueueFinished(
                    new("a", key: RetryKey(key: "x", digest: "2")), copying: first, limits: plenty)
            }
        }
    }
}

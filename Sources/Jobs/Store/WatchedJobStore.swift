public import Foundation

/// A store that tells which jobs have changed, once the change and its event are durable.
public struct WatchedJobStore: ForwardingJobStore {
    /// The store that is watched.
    public let base: any JobStore
    private let changed: @Sendable (JobID) -> Void

    /// Wraps a store.
    ///
    /// - Parameter changed: called on the thread that made the change, so it must be quick.
    public init(_ base: any JobStore, changed: @escaping @Sendable (JobID) -> Void) {
        self.base = base
        self.changed = changed
    }

    /// Accepts a job, and tells of it.
    public func enqueue(_ new: NewJob, limits: QueueLimits) throws(JobStoreError) -> Job {
        let job = try base.enqueue(new, limits: limits)
        changed(job.id)
        return job
    }

    /// Accepts a job with an earlier result, and tells of it.
    public func enqueueFinished(
        _ new: NewJob, copying earlier: JobID, limits: QueueLimits
    ) throws(JobStoreError) -> Job? {
        let job = try base.enqueueFinished(new, copying: earlier, limits: limits)
        if let job { changed(job.id) }
        return job
    }

    /// Takes the waiting job whose turn it is; tells of it and of each other that changed.
    public func claim(
        at now: Date, lease: Duration, maxAttempts: Int, held: Set<UUID>, alsoChanged: (Job) -> Void
    ) throws(JobStoreError) -> ClaimedJob? {
        let claim = try base.claim(at: now, lease: lease, maxAttempts: maxAttempts, held: held) { job in
            changed(job.id)
            alsoChanged(job)
        }
        if let claim { changed(claim.job.id) }
        return claim
    }

    /// Ends a run, and tells of it unless the lease was lost.
    public func finish(_ claim: ClaimedJob, _ outcome: JobOutcome, at now: Date) throws(JobStoreError) -> Job? {
        let job = try base.finish(claim, outcome, at: now)
        if let job { changed(job.id) }
        return job
    }

    /// Cancels a job, and tells of it.
    public func cancel(_ id: JobID, at now: Date) throws(JobStoreError) -> Job? {
        let job = try base.cancel(id, at: now)
        if let job { changed(job.id) }
        return job
    }

    /// Queues a job again, and tells of it.
    public func retry(_ id: JobID, limits: QueueLimits, at now: Date) throws(JobStoreError) -> Job? {
        let job = try base.retry(id, limits: limits, at: now)
        if let job { changed(job.id) }
        return job
    }

    /// Removes a finished job, and tells of it.
    public func remove(_ id: JobID, at now: Date) throws(JobStoreError) {
        try base.remove(id, at: now)
        changed(id)
    }
}

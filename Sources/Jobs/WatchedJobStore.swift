import Foundation

/// A store that tells which jobs have changed their state, once the change is durable.
public struct WatchedJobStore: JobStore {
    private let base: any JobStore
    private let changed: @Sendable (JobID) -> Void

    /// Wraps a store.
    ///
    /// - Parameter changed: called on the thread that made the change, so it must be quick.
    public init(_ base: any JobStore, changed: @escaping @Sendable (JobID) -> Void) {
        self.base = base
        self.changed = changed
    }

    /// Accepts a job, and tells of it.
    public func enqueue(_ new: NewJob, queueLimit: Int) throws(JobStoreError) -> Job {
        let job = try base.enqueue(new, queueLimit: queueLimit)
        changed(job.id)
        return job
    }

    /// The job of this name.
    public func job(_ id: JobID) throws(JobStoreError) -> Job? { try base.job(id) }

    /// A page of jobs.
    public func jobs(_ filter: JobFilter) throws(JobStoreError) -> [Job] { try base.jobs(filter) }

    /// Takes the oldest job that waits; tells of it and of each job given up.
    public func claim(
        at now: Date, lease: Duration, maxAttempts: Int, givenUp: (Job) -> Void
    ) throws(JobStoreError) -> ClaimedJob? {
        let claim = try base.claim(at: now, lease: lease, maxAttempts: maxAttempts) { job in
            changed(job.id)
            givenUp(job)
        }
        if let claim { changed(claim.job.id) }
        return claim
    }

    /// Reports progress and extends the lease: no change of state.
    public func renew(
        _ claim: ClaimedJob, stage: String, progress: Double, until: Date
    ) throws(JobStoreError) -> LeaseState {
        try base.renew(claim, stage: stage, progress: progress, until: until)
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

    /// Removes a finished job, and tells of it.
    public func remove(_ id: JobID) throws(JobStoreError) {
        try base.remove(id)
        changed(id)
    }

    /// How many jobs are in each state.
    public func counts() throws(JobStoreError) -> [JobState: Int] { try base.counts() }

    /// Queues again what an earlier process left running, and tells of each.
    @discardableResult
    public func releaseAll(at now: Date) throws(JobStoreError) -> [Job] {
        let jobs = try base.releaseAll(at: now)
        for job in jobs { changed(job.id) }
        return jobs
    }
}

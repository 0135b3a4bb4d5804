public import Foundation

/// A store that tells which jobs have changed, once the change and its event are durable.
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

    // MARK: - What changes jobs

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

    /// Queues again what an earlier process left running, and tells of each.
    @discardableResult
    public func releaseAll(at now: Date) throws(JobStoreError) -> [Job] {
        let jobs = try base.releaseAll(at: now)
        for job in jobs { changed(job.id) }
        return jobs
    }

    // MARK: - What does not

    /// Reports progress and extends the lease: no change of state.
    public func renew(
        _ claim: ClaimedJob, stage: String, progress: Double, until: Date
    ) throws(JobStoreError) -> LeaseState {
        try base.renew(claim, stage: stage, progress: progress, until: until)
    }

    /// Notes what a job's folder holds: no change of state.
    public func setStored(_ bytes: Int, of id: JobID) throws(JobStoreError) { try base.setStored(bytes, of: id) }

    /// What the files of an owner's jobs have together.
    public func stored(of owner: String) throws(JobStoreError) -> Int { try base.stored(of: owner) }

    /// Pauses the queue, or lets it go on.
    public func setPaused(_ isPaused: Bool) throws(JobStoreError) { try base.setPaused(isPaused) }

    /// Throws if jobs cannot be claimed, counted or listed, or if damage was met.
    public func check() throws(JobStoreError) { try base.check() }

    /// The job of this name.
    public func job(_ id: JobID) throws(JobStoreError) -> Job? { try base.job(id) }

    /// The names of all jobs.
    public func names() throws(JobStoreError) -> Set<JobID> { try base.names() }

    /// A page of jobs.
    public func jobs(_ filter: JobFilter) throws(JobStoreError) -> [Job] { try base.jobs(filter) }

    /// The newest job that succeeded with this key.
    public func succeeded(contentKey: String) throws(JobStoreError) -> Job? {
        try base.succeeded(contentKey: contentKey)
    }

    /// Names of jobs whose keeping time is over.
    public func expired(finishedBefore time: Date, limit: Int) throws(JobStoreError) -> [JobID] {
        try base.expired(finishedBefore: time, limit: limit)
    }

    /// What the queue holds.
    public func report() throws(JobStoreError) -> QueueReport { try base.report() }

    /// Time until a job has finished.
    public func estimate(for id: JobID, workers: Int) throws(JobStoreError) -> Duration? {
        try base.estimate(for: id, workers: workers)
    }

    /// Events in their order.
    public func events(after sequence: Int, limit: Int) throws(JobStoreError) -> [JobEvent] {
        try base.events(after: sequence, limit: limit)
    }

    /// The number of the last event.
    public func lastEvent() throws(JobStoreError) -> Int { try base.lastEvent() }

    /// Drops the oldest events.
    @discardableResult
    public func trimEvents(olderThan time: Date) throws(JobStoreError) -> Int {
        try base.trimEvents(olderThan: time)
    }
}

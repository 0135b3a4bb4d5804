public import Foundation

/// A store that passes on to another one what it does not do itself.
public protocol ForwardingJobStore: JobStore {
    /// The store that does it.
    var base: any JobStore { get }
}

/// Each as the store behind does it.
extension ForwardingJobStore {
    /// Accepts a job.
    public func enqueue(_ new: NewJob, limits: QueueLimits) throws(JobStoreError) -> Job {
        try base.enqueue(new, limits: limits)
    }

    /// Accepts a job with an earlier result.
    public func enqueueFinished(
        _ new: NewJob, copying earlier: JobID, limits: QueueLimits
    ) throws(JobStoreError) -> Job? {
        try base.enqueueFinished(new, copying: earlier, limits: limits)
    }

    /// Notes what a job's folder holds.
    public func setStored(_ bytes: Int, of id: JobID) throws(JobStoreError) { try base.setStored(bytes, of: id) }

    /// What the files of an owner's jobs have together.
    public func stored(of owner: String) throws(JobStoreError) -> Int { try base.stored(of: owner) }

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

    /// Takes the waiting job whose turn it is.
    public func claim(
        at now: Date, lease: Duration, maxAttempts: Int, held: Set<UUID>, alsoChanged: (Job) -> Void
    ) throws(JobStoreError) -> ClaimedJob? {
        try base.claim(at: now, lease: lease, maxAttempts: maxAttempts, held: held, alsoChanged: alsoChanged)
    }

    /// Reports progress and extends the lease.
    public func renew(
        _ claim: ClaimedJob, stage: String, progress: Double, until: Date
    ) throws(JobStoreError) -> LeaseState {
        try base.renew(claim, stage: stage, progress: progress, until: until)
    }

    /// Ends a run.
    public func finish(_ claim: ClaimedJob, _ outcome: JobOutcome, at now: Date) throws(JobStoreError) -> Job? {
        try base.finish(claim, outcome, at: now)
    }

    /// Cancels a job.
    public func cancel(_ id: JobID, at now: Date) throws(JobStoreError) -> Job? { try base.cancel(id, at: now) }

    /// Queues a job again.
    public func retry(_ id: JobID, limits: QueueLimits, at now: Date) throws(JobStoreError) -> Job? {
        try base.retry(id, limits: limits, at: now)
    }

    /// Removes a finished job.
    public func remove(_ id: JobID, at now: Date) throws(JobStoreError) { try base.remove(id, at: now) }

    /// Throws if jobs cannot be claimed, counted or listed, or if damage was met.
    public func check() throws(JobStoreError) { try base.check() }

    /// Pauses the queue, or lets it go on.
    public func setPaused(_ isPaused: Bool) throws(JobStoreError) { try base.setPaused(isPaused) }

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

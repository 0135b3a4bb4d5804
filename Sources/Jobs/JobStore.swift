import Foundation

/// Where jobs are kept: synchronous, safe to call from any thread, and durable: what a call has returned survives a
/// power loss, except for what ``renew(_:stage:progress:until:)`` wrote.
///
/// Every call by name throws ``JobStoreError/removed(_:)`` once the job was removed.
public protocol JobStore: Sendable {
    /// Accepts a job; its files are on disk already.
    ///
    /// A request whose retry key was accepted before is answered with the job of then, whose name is another than
    /// `new.id`: the new files are the caller's to remove. A key lives as long as its job.
    ///
    /// - Parameter queueLimit: the most jobs that may wait.
    /// - Throws: ``JobStoreError/queueFull(limit:)``; ``JobStoreError/alreadyExists(_:)``;
    ///   ``JobStoreError/keyReused(_:)``.
    func enqueue(_ new: NewJob, queueLimit: Int) throws(JobStoreError) -> Job

    /// The job of this name, or nil if there never was one.
    func job(_ id: JobID) throws(JobStoreError) -> Job?

    /// A page of jobs, newest first.
    func jobs(_ filter: JobFilter) throws(JobStoreError) -> [Job]

    /// Takes the oldest job that waits, under a lease that no one else holds; nil if none waits.
    ///
    /// First, running jobs whose lease ran out are queued again, cancelled if that was asked for, or failed. A
    /// job that was started `maxAttempts` times fails with a reason and is passed over; `givenUp` is told of each
    /// such job once the change is durable.
    func claim(
        at now: Date, lease: Duration, maxAttempts: Int, givenUp: (Job) -> Void
    ) throws(JobStoreError) -> ClaimedJob?

    /// Reports progress (0...1) and extends the lease. Not synced to disk: nothing is lost with it.
    func renew(
        _ claim: ClaimedJob, stage: String, progress: Double, until: Date
    ) throws(JobStoreError) -> LeaseState

    /// Ends a run; nil when the lease was lost: a late worker changes nothing.
    func finish(_ claim: ClaimedJob, _ outcome: JobOutcome, at now: Date) throws(JobStoreError) -> Job?

    /// Cancels a queued job at once and asks the worker of a running one to stop; a finished one stays as it is.
    /// Returns the job, or nil if there never was one.
    func cancel(_ id: JobID, at now: Date) throws(JobStoreError) -> Job?

    /// Removes a finished job's row and leaves only its name. Remove its files afterwards. An unknown name is no error.
    ///
    /// - Throws: ``JobStoreError/notFinished(_:)``.
    func remove(_ id: JobID) throws(JobStoreError)

    /// How many jobs are in each state; every state has an entry.
    func counts() throws(JobStoreError) -> [JobState: Int]

    /// At the start of the only process that works on this store: queues again what an earlier process left running.
    /// The attempts stay counted. Returns the jobs that changed.
    @discardableResult
    func releaseAll(at now: Date) throws(JobStoreError) -> [Job]
}

extension JobStore {
    /// Takes the oldest job that waits; see ``claim(at:lease:maxAttempts:givenUp:)``.
    public func claim(at now: Date, lease: Duration, maxAttempts: Int) throws(JobStoreError) -> ClaimedJob? {
        try claim(at: now, lease: lease, maxAttempts: maxAttempts, givenUp: { _ in })
    }

    /// Whether the store has a row for this name: false if there never was one and if it was removed.
    public func contains(_ id: JobID) throws(JobStoreError) -> Bool {
        do {
            return try job(id) != nil
        } catch .removed {
            return false
        }
    }
}

/// A job together with the right to work on it.
public struct ClaimedJob: Sendable, Equatable {
    /// The job as it was when it was claimed.
    public let job: Job
    /// What tells this claim from every other, also from an earlier one of the same job.
    public let token: UUID
    /// When the claim ends unless it is renewed.
    public let leaseUntil: Date
    /// How often the job may be started.
    public let maxAttempts: Int

    /// What a store gives to the worker that claimed `job`.
    public init(job: Job, token: UUID, leaseUntil: Date, maxAttempts: Int) {
        self.job = job
        self.token = token
        self.leaseUntil = leaseUntil
        self.maxAttempts = maxAttempts
    }
}

/// What a worker learns when it renews its lease.
public enum LeaseState: Sendable, Equatable {
    /// Go on.
    case held
    /// The lease is held, but a client asked to cancel: stop, then finish as cancelled.
    case cancelRequested
    /// Another worker has the job, or it is finished: stop, nothing more will be accepted.
    case lost
}

/// Why a job store did not do what it was asked.
public enum JobStoreError: Error, Equatable, Sendable {
    /// As many jobs wait as are allowed: status 503.
    case queueFull(limit: Int)
    /// The job existed and was removed: status 410.
    case removed(JobID)
    /// Only a finished job can be removed: status 409.
    case notFinished(JobState)
    /// A job of this name was accepted before.
    case alreadyExists(JobID)
    /// The retry key belongs to this job, which came of another request: status 409.
    case keyReused(JobID)
    /// No space is left for the store: status 507.
    case diskFull
    /// The database was written by a later version of the program.
    case newerSchema
    /// The database cannot be read or written; `code` is that of the database library.
    case unavailable(code: Int)
    /// A row does not hold what this program writes.
    case damaged(JobID?)
}

extension JobStoreError: CustomStringConvertible {
    /// What is wrong, then what to do.
    public var description: String {
        switch self {
        case .queueFull(let limit):
            "The queue is full: \(limit) jobs are waiting. Try again in a few minutes."
        case .removed(let id):
            "The job \(id) was deleted."
        case .notFinished(let state):
            "The job is \(state.rawValue). Cancel it, and delete it once it has stopped."
        case .alreadyExists(let id):
            "A job named \(id) was accepted before."
        case .keyReused(let id):
            "The retry key belongs to another request, which became job \(id). Take a new key for a new request."
        case .diskFull:
            "The server's disk is full. Try again later."
        case .newerSchema:
            "The job database was written by a later version of this program. Start that version, or restore a backup."
        case .unavailable(let code):
            "The job database cannot be used at the moment (error \(code)). Try again later."
        case .damaged(let id):
            "The job database holds a row that cannot be read\(id.map { ", that of job \($0)" } ?? ""). "
                + "Restore a backup."
        }
    }
}

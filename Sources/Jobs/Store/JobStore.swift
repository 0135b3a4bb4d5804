public import Foundation

/// Where jobs are kept: synchronous, safe to call from any thread, and durable: what a call has returned survives a
/// power loss, except for what ``renew(_:stage:progress:until:)`` wrote.
///
/// Every call by name throws ``JobStoreError/removed(_:)`` once the job was removed. Every change of a job's life adds a
/// ``JobEvent``, and the end of a job with a webhook a delivery to the store's ``Outbox``, in the same transaction.
public protocol JobStore: Sendable {
    /// Accepts a job; its files are on disk already.
    ///
    /// A request whose retry key was accepted before is answered with the job of then, whose name is another than
    /// `new.id`: the new files are the caller's to remove. A key lives as long as its job.
    ///
    /// - Throws: what ``QueueLimits`` throw; ``JobStoreError/alreadyExists(_:)``; ``JobStoreError/keyReused(_:)``.
    func enqueue(_ new: NewJob, limits: QueueLimits) throws(JobStoreError) -> Job

    /// Accepts a job that has succeeded at once with the result of an earlier one, found by
    /// ``succeeded(contentKey:)``. The earlier job's files are already in the new job's folder. As it never
    /// waits, only the limit of what its owner stores applies; retry keys are as in ``enqueue(_:limits:)``.
    ///
    /// - Returns: the job, marked with ``Job/copiedFrom``; nil if the earlier one is no longer there or has no result:
    ///   enqueue the new one.
    /// - Throws: as ``enqueue(_:limits:)``.
    func enqueueFinished(
        _ new: NewJob, copying earlier: JobID, limits: QueueLimits
    ) throws(JobStoreError) -> Job?

    /// Notes what a job's folder holds now; no error for a job that is not there. See ``Job/storedBytes``.
    func setStored(_ bytes: Int, of id: JobID) throws(JobStoreError)

    /// What the files of all jobs of an owner have together, in bytes; the sum of what was last noted.
    func stored(of owner: String) throws(JobStoreError) -> Int

    /// The job of this name, or nil if there never was one.
    func job(_ id: JobID) throws(JobStoreError) -> Job?

    /// The names of all jobs, those that were removed left out, read from their rows. 100,000 are some megabytes.
    func names() throws(JobStoreError) -> Set<JobID>

    /// A page of jobs, newest first.
    func jobs(_ filter: JobFilter) throws(JobStoreError) -> [Job]

    /// The newest job that succeeded with this ``Job/contentKey``, or nil.
    func succeeded(contentKey: String) throws(JobStoreError) -> Job?

    /// Names of jobs that reached a final state before a time, the one that ended first first: those whose keeping
    /// time is over.
    func expired(finishedBefore time: Date, limit: Int) throws(JobStoreError) -> [JobID]

    /// Takes the waiting job whose turn it is, under a lease that no one else holds; nil if none waits, or the queue is
    /// paused.
    ///
    /// The job of the earliest ``Job/rank`` says which priority is served. Within it owners take turns: next is the one
    /// of those who wait that was served longest ago, and of its jobs the one of the earliest rank.
    ///
    /// First, running jobs whose lease ran out are queued again, cancelled if that was asked for, or failed. A
    /// job that was started `maxAttempts` times fails with a reason and is passed over. `alsoChanged` is told of each
    /// job in another state than before, the claimed one apart, once that is durable.
    ///
    /// - Parameter held: tokens of the claims that the caller's process works on. Their leases never run out: the wall
    ///   clock, by which leases are written, may be set while they run.
    func claim(
        at now: Date, lease: Duration, maxAttempts: Int, held: Set<UUID>, alsoChanged: (Job) -> Void
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

    /// Queues a failed or cancelled job again, with all its attempts and at the end of its priority's queue. Its upload
    /// is still there, as files go only after the row. Returns the job, or nil if there never was one.
    ///
    /// - Throws: ``JobStoreError/notRetryable(_:)``; what ``QueueLimits`` throw of those that wait.
    func retry(_ id: JobID, limits: QueueLimits, at now: Date) throws(JobStoreError) -> Job?

    /// Removes a finished job's row, and leaves only its name, its events, and deliveries that are still to be made.
    /// Remove its files afterwards. An unknown name is no error.
    ///
    /// - Throws: ``JobStoreError/notFinished(_:)``.
    func remove(_ id: JobID, at now: Date) throws(JobStoreError)

    /// Throws if jobs cannot be claimed, counted or listed, or if damage was met since the store was opened.
    func check() throws(JobStoreError)

    /// Stops that jobs are started, or lets them start again, also over restarts. Running jobs go on. Wake the workers
    /// after a pause.
    func setPaused(_ isPaused: Bool) throws(JobStoreError)

    /// What the queue holds, and whether it is paused.
    func report() throws(JobStoreError) -> QueueReport

    /// Time until a job has finished, zero if it has: ``Job/timeLeft(workAhead:pace:workers:)``. Nil for an unknown
    /// name, a job without cost, one that waits in a paused queue, and before the first run was measured.
    func estimate(for id: JobID, workers: Int) throws(JobStoreError) -> Duration?

    /// Events in their order, from the first after number `sequence`; 0 for the beginning.
    ///
    /// Numbers have no gaps: if the first event is not `sequence` + 1, the ones between were trimmed.
    func events(after sequence: Int, limit: Int) throws(JobStoreError) -> [JobEvent]

    /// The number of the last event, also if it was trimmed since; 0 before the first.
    func lastEvent() throws(JobStoreError) -> Int

    /// Drops events from the beginning up to the first that is not older than `time`, and with them the deliveries of
    /// their news that were given up: the bound of the feed's size.
    ///
    /// - Returns: how many were dropped.
    @discardableResult
    func trimEvents(olderThan time: Date) throws(JobStoreError) -> Int
}

/// Jobs, the webhooks of their ends, and who did what: one value, as an end and its webhook are one transaction. Whoever
/// needs one of the three is given only that.
public typealias Store = JobStore & Outbox & AuditLog

extension JobStore {
    /// Accepts a job where only the number of waiting jobs is limited; see ``enqueue(_:limits:)``.
    public func enqueue(_ new: NewJob, queueLimit: Int) throws(JobStoreError) -> Job {
        try enqueue(new, limits: QueueLimits(jobs: queueLimit))
    }

    /// Takes the waiting job whose turn it is; see ``claim(at:lease:maxAttempts:held:alsoChanged:)``.
    public func claim(
        at now: Date, lease: Duration, maxAttempts: Int, alsoChanged: (Job) -> Void = { _ in }
    ) throws(JobStoreError) -> ClaimedJob? {
        try claim(at: now, lease: lease, maxAttempts: maxAttempts, held: [], alsoChanged: alsoChanged)
    }

    /// When the last event that is kept happened; nil if there is none.
    public func lastEventTime() throws(JobStoreError) -> Date? {
        try events(after: lastEvent() - 1, limit: 1).first?.time
    }

    /// Removes a finished job now; see ``remove(_:at:)``.
    public func remove(_ id: JobID) throws(JobStoreError) { try remove(id, at: Date()) }

    /// How many jobs are in each state; every state has an entry.
    public func counts() throws(JobStoreError) -> [JobState: Int] {
        let report = try report()
        return Dictionary(uniqueKeysWithValues: JobState.allCases.map { ($0, report.count($0)) })
    }

    /// Whether no job is started at present; see ``setPaused(_:)``.
    public func isPaused() throws(JobStoreError) -> Bool { try report().isPaused }
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
    /// As many jobs of this owner wait as are allowed: status 429.
    case ownerQueueFull(limit: Int)
    /// With the new job the uploads of this owner's waiting jobs, in bytes, would be larger than allowed: status 429.
    case ownerBytesFull(waiting: Int, limit: Int)
    /// With the new job the files of all this owner's jobs, in bytes, would be more than allowed: status 507.
    case ownerStorageFull(stored: Int, adding: Int, limit: Int)
    /// The job existed and was removed: status 410.
    case removed(JobID)
    /// Only a finished job can be removed: status 409.
    case notFinished(JobState)
    /// Only a failed or cancelled job can be run again: status 409.
    case notRetryable(JobState)
    /// A job of this name was accepted before.
    case alreadyExists(JobID)
    /// The retry key belongs to this job, which came of another request: status 409.
    case keyReused(JobID)
    /// No space is left for the store: status 507.
    case diskFull
    /// The database was written by a later version of the program.
    case newerSchema
    /// The database was written by an earlier version of the program, and was only to be read.
    case olderSchema
    /// The database cannot be read or written; `code` is that of the database library.
    case unavailable(code: Int)
    /// The database's file is damaged, or is none; `found` says what shows it, and nothing that is in it.
    case corrupt(file: String, found: String)
    /// A row does not hold what this program writes.
    case damaged(JobID?)
}

extension JobStoreError {
    /// Whether the database is damaged, so that trying again does not help.
    public var isDamage: Bool {
        switch self {
        case .corrupt, .damaged: true
        default: false
        }
    }
}

extension JobStoreError: CustomStringConvertible {
    /// What is wrong, then what to do.
    public var description: String {
        switch self {
        case .queueFull(let limit):
            "The queue is full: \(limit) jobs are waiting. Try again in a few minutes."
        case .ownerQueueFull(let limit):
            "You have \(limit) jobs waiting, as many as you may. Try again when one of them has started."
        case .ownerBytesFull(let waiting, let limit):
            "The uploads of your waiting jobs may have \(limit) bytes together; they have \(waiting) bytes without this "
                + "one. Try again when some have started."
        case .ownerStorageFull(let stored, let adding, let limit):
            "The files of your jobs have \(stored) bytes, and this job's \(adding); you may keep \(limit). Delete jobs that "
                + "you no longer need, or ask the server's operator for more (stored_bytes)."
        case .removed(let id):
            "The job \(id) was deleted."
        case .notFinished(let state):
            "The job is \(state.rawValue). Cancel it, and delete it once it has stopped."
        case .notRetryable(let state):
            "The job is \(state.rawValue). Only a failed or cancelled job can be run again."
        case .alreadyExists(let id):
            "A job named \(id) was accepted before."
        case .keyReused(let id):
            "The retry key belongs to another request, which became job \(id). Take a new key for a new request."
        case .diskFull:
            "The server's disk is full. Try again later."
        case .newerSchema:
            "The job database was written by a later version of this program. Start that version, or restore a backup."
        case .olderSchema:
            "The job database was written by an earlier version of this program. Use that version, or start this one on it, "
                + "which brings it up to date."
        case .unavailable(let code):
            "The job database cannot be used at the moment (error \(code)). Try again later."
        case .corrupt(let file, let found):
            "The job database \(file) is damaged (\(found)); waiting does not mend it. Stop the server; `hepar recover FOLDER`, "
                + "with the data folder, shows what is left and takes it in again, and docs/operations.md, \"When the job "
                + "database is damaged or lost\", leads to the backup."
        case .damaged(let id):
            "The job database is damaged: it holds a row that cannot be read\(id.map { ", that of job \($0)" } ?? ""). Stop "
                + "the server; docs/operations.md, \"When the job database is damaged or lost\", says what to do."
        }
    }
}

import Foundation
import Jobs

/// All that a store in memory holds, and the steps that its calls have in common. The rules are those of `Jobs`: here is
/// only what is written down.
struct MemoryState: Sendable {
    struct Row: Sendable {
        var job: Job
        var token: UUID?
        var leaseUntil: Date?
    }

    var rows: [JobID: Row] = [:]
    /// Names of jobs that were removed.
    var removed: Set<JobID> = []
    /// Retry keys, with the digest of their request and its job.
    var keys: [String: (digest: String, job: JobID)] = [:]
    var events: [JobEvent] = []
    var lastEvent = 0
    /// When each owner was last served at a priority, by a number that grows; owners without a name are "".
    var served: [JobPriority: [String: Int]] = [:]
    var isPaused = false
    /// Seconds for a unit of cost, of the last runs.
    var paces: [Double] = []
    var deliveries: [Int: WebhookDelivery] = [:]
    var lastDelivery = 0
    var entries: [AuditEntry] = []
    var lastEntry = 0

    // MARK: - Finding

    /// The row of this name, or nil if there never was one.
    func row(_ id: JobID) throws(JobStoreError) -> Row? {
        if removed.contains(id) { throw .removed(id) }
        return rows[id]
    }

    func jobs(in state: JobState) -> [Job] { rows.values.map(\.job).filter { $0.state == state } }

    func stored(of owner: String) -> Int {
        rows.values.reduce(0) { $0 + ($1.job.owner == owner ? $1.job.storedBytes : 0) }
    }

    /// The job that came of an earlier request with this key.
    func job(under key: RetryKey?) throws(JobStoreError) -> Job? {
        guard let key, let found = keys[key.key] else { return nil }
        guard found.digest == key.digest else { throw .keyReused(found.job) }
        return try row(found.job)?.job
    }

    /// Throws if a job may not join those that wait.
    func checkRoom(in limits: QueueLimits, owner: String?, bytes: Int) throws(JobStoreError) {
        let waiting = jobs(in: .queued)
        let own = waiting.filter { $0.owner == owner }
        let owned = owner.map { _ in (jobs: own.count, bytes: own.reduce(0) { $0 + $1.uploadBytes }) }
        try limits.check(waiting: waiting.count, owned: owned, bytes: bytes)
    }

    /// Throws if a new job's files may not be kept.
    func checkStorage(in limits: QueueLimits, of new: NewJob) throws {
        guard let owner = new.owner else { return }
        try limits.checkStorage(stored: { stored(of: owner) }, adding: new.storedBytes)
    }

    // MARK: - Changing

    /// Adds a job that has just come, and its owner's turn.
    mutating func insert(_ new: NewJob) throws(JobStoreError) -> Job {
        guard try row(new.id) == nil else { throw .alreadyExists(new.id) }
        let job = Job(new)
        rows[job.id] = Row(job: job)
        append(.accepted, of: job.id, at: job.createdAt)
        if let key = new.retryKey { keys[key.key] = (key.digest, job.id) }
        if served[job.priority]?[job.owner ?? ""] == nil { serve(job) }
        return job
    }

    /// Writes what the rules made of a job, and what follows from it: the event, the webhook's delivery, the measured run.
    mutating func change(_ old: Job, to job: Job, token: UUID? = nil, leaseUntil: Date? = nil, at now: Date) {
        rows[job.id] = Row(job: job, token: token, leaseUntil: leaseUntil)
        guard let kind = JobEvent.Kind(from: old, to: job) else { return }
        append(kind, of: job.id, at: now)
        if job.state.isFinal, let url = job.webhook {
            lastDelivery += 1
            deliveries[lastDelivery] = WebhookDelivery(
                id: lastDelivery, job: job.id, state: job.state, event: lastEvent, url: url, createdAt: now)
        }
        if let pace = job.measuredPace { paces = (paces + [pace]).suffix(JobEstimate.runsMeasured) }
    }

    mutating func append(_ kind: JobEvent.Kind, of job: JobID, at now: Date) {
        lastEvent += 1
        events.append(JobEvent(sequence: lastEvent, job: job, kind: kind, time: now))
    }

    // MARK: - Turns

    /// The owner of this job comes last from now on.
    mutating func serve(_ job: Job) {
        let last = served[job.priority]?.values.max() ?? 0
        served[job.priority, default: [:]][job.owner ?? ""] = last + 1
    }

    /// The waiting job whose turn it is; see ``JobStore/claim(at:lease:maxAttempts:held:alsoChanged:)``.
    func next(at now: Date) -> Job? {
        let due = jobs(in: .queued).filter { $0.notBefore ?? .distantPast <= now }
        guard let priority = due.min(by: Self.isBefore)?.priority else { return nil }
        let rivals = due.filter { $0.priority == priority }
        let turns = served[priority] ?? [:]
        let owner = Set(rivals.map { $0.owner ?? "" }).min { (turns[$0] ?? 0, $0) < (turns[$1] ?? 0, $1) }
        return rivals.filter { $0.owner ?? "" == owner }.min(by: Self.isBefore)
    }

    private static func isBefore(_ a: Job, _ b: Job) -> Bool { (a.rank, a.id) < (b.rank, b.id) }

    /// The cost of what is probably started before a waiting job: of other priorities, what has an earlier rank; of its own,
    /// its owner's jobs of an earlier rank, and as many of each other owner, at that owner's mean cost.
    func costBefore(_ job: Job) -> Double {
        let waiting = jobs(in: .queued)
        func cost(_ jobs: [Job]) -> Double { jobs.reduce(0) { $0 + ($1.cost ?? 0) } }
        let earlier = waiting.filter { Self.isBefore($0, job) }
        let own = earlier.filter { $0.priority == job.priority && $0.owner == job.owner }
        let others = Dictionary(grouping: waiting.filter { $0.priority == job.priority && $0.owner != job.owner }) {
            $0.owner ?? ""
        }
        return cost(earlier.filter { $0.priority != job.priority }) + cost(own)
            + others.values.reduce(0) { $0 + cost($1) * min(1, Double(own.count + 1) / Double($1.count)) }
    }
}

public import Foundation

/// One segmentation that a client asked for, as the store keeps it.
public struct Job: Codable, Sendable, Equatable {
    /// The job's name; jobs sort by age.
    public var id: JobID
    /// Where the job is in its life.
    public var state: JobState
    /// How often the job was started, the present run included. A run that was put off through no fault
    /// of the job (a full disk, an orderly stop) is not counted.
    public var attempts: Int
    /// When the job was accepted.
    public var createdAt: Date
    /// Since when the job's place in the queue counts: when it was accepted, or last retried by a client.
    public var queuedAt: Date
    /// How urgent the job is.
    public var priority: JobPriority
    /// When the present or last run started; nil while queued.
    public var startedAt: Date?
    /// When the job reached a final state.
    public var finishedAt: Date?
    /// A queued job is not started before this time; nil where it may start at once.
    public var notBefore: Date?
    /// What the run is, or at its end was, busy with; nil before the first report.
    public var stage: String?
    /// Share of the run that is done, 0...1; 1 only after success.
    public var progress: Double
    /// Whether a client asked to cancel. A job that had already finished its work may succeed all the same.
    public var cancelRequested: Bool
    /// Why a failed job failed, or why a queued job has to run again; nil otherwise.
    public var failure: JobFailure?
    /// What the client chose: JSON that only the caller of the store understands.
    public var options: Data
    /// Whether a reference mask came with the scan.
    public var hasReference: Bool
    /// Size of all uploaded files together, in bytes.
    public var uploadBytes: Int
    /// Size of all files in the job's folder together, in bytes, as last measured: what counts against its owner's quota.
    /// Files that jobs share count for each.
    public var storedBytes: Int
    /// How much work the job is, in units that the caller chooses, such as megavoxels; nil where it was not told.
    public var cost: Double?
    /// Who sent the job: the name of a token; nil where no one has to say.
    public var owner: String?
    /// Where to tell that the job has ended. May hold a secret of the client: not for logs.
    public var webhook: String?
    /// What the result depends on: SHA-256 of voxels, geometry, model and options, in hexadecimal digits; nil where an
    /// earlier result is not to be looked for.
    public var contentKey: String?
    /// The request that brought the job, as the service's log names it; nil where none did.
    public var request: String?
    /// Summary written on success: JSON that only the caller of the store understands.
    public var result: Data?
    /// The job whose run made the result, where that was not this one. It may have been removed since.
    public var copiedFrom: JobID?

    /// A job as it enters the queue.
    public init(_ new: NewJob) {
        id = new.id
        state = .queued
        attempts = 0
        createdAt = new.createdAt
        queuedAt = new.createdAt
        priority = new.priority
        progress = 0
        cancelRequested = false
        options = new.options
        hasReference = new.hasReference
        uploadBytes = new.uploadBytes
        storedBytes = new.storedBytes
        cost = new.cost
        owner = new.owner
        webhook = new.webhook
        contentKey = new.contentKey
        request = new.request
    }
}

/// What is known of a job when it is accepted. Its files are in the spool already, under `id`.
public struct NewJob: Codable, Sendable, Equatable {
    /// The name under which the spool adopted the files.
    public var id: JobID
    /// What the client chose, as JSON.
    public var options: Data
    /// Whether a reference mask came with the scan.
    public var hasReference: Bool
    /// Size of all uploaded files together, in bytes.
    public var uploadBytes: Int
    /// When the upload was complete.
    public var createdAt: Date
    /// Under which the client may send the same request again; nil where it gave none.
    public var retryKey: RetryKey?
    /// How urgent the job is.
    public var priority: JobPriority
    /// How much work the job is; see ``Job/cost``.
    public var cost: Double?
    /// Who sent the job; see ``Job/owner``.
    public var owner: String?
    /// Where to tell that the job has ended; see ``Job/webhook``.
    public var webhook: String?
    /// What the result depends on; see ``Job/contentKey``.
    public var contentKey: String?
    /// The request that brought the job; see ``Job/request``.
    public var request: String?
    /// Size of the files that the spool adopted; see ``Job/storedBytes``.
    public var storedBytes: Int

    /// Describes a job; a fresh name and the present time unless others are given, and no more stored than uploaded.
    public init(
        id: JobID = JobID(), options: Data, hasReference: Bool, uploadBytes: Int, createdAt: Date = Date(),
        retryKey: RetryKey? = nil, priority: JobPriority = .routine, cost: Double? = nil, owner: String? = nil,
        webhook: String? = nil, contentKey: String? = nil, request: String? = nil,
        storedBytes: Int? = nil
    ) {
        self.id = id
        self.options = options
        self.hasReference = hasReference
        self.uploadBytes = uploadBytes
        self.createdAt = createdAt
        self.retryKey = retryKey
        self.priority = priority
        self.cost = cost
        self.owner = owner
        self.webhook = webhook
        self.contentKey = contentKey
        self.request = request
        self.storedBytes = storedBytes ?? uploadBytes
    }
}

/// What makes a request that is sent twice one job: the client's key, and a digest that tells the same request from
/// another one under the same key.
public struct RetryKey: Codable, Sendable, Equatable {
    /// Chosen by the client.
    public var key: String
    /// SHA-256 of all that the request holds, in hexadecimal digits.
    public var digest: String

    /// A key with the digest of its request.
    public init(key: String, digest: String) {
        self.key = key
        self.digest = digest
    }
}

/// Why a job ended without a result: thrown by the work when another attempt would end alike.
public struct JobFailure: Error, Codable, Sendable, Equatable, CustomStringConvertible {
    /// A stable word for programs, in lower case: `attempts_exhausted`.
    public var code: String
    /// One or two sentences for the user: what happened, then what to do. No file names, nothing of a patient.
    public var message: String

    /// A reason with its code and its sentence.
    public init(code: String, message: String) {
        self.code = code
        self.message = message
    }

    /// The sentence for the user.
    public var description: String { message }
}

/// Which jobs to list, newest first.
public struct JobFilter: Sendable, Equatable {
    /// Only jobs in one of these states; empty for all.
    public var states: Set<JobState>
    /// Only jobs of this priority; nil for all.
    public var priority: JobPriority?
    /// Only jobs that were named at this time or later, and before that one.
    public var createdFrom, createdBefore: Date?
    /// Only jobs that have a finding of severity warning or error, or only those that have none: in the JSON of their
    /// result, or of their options before there is one, as the caller wrote it, without blanks.
    public var needsReview: Bool?
    /// Only jobs that this owner sent; nil for those of everyone.
    public var owner: String?
    /// Only jobs older than this one: the last job of the page before.
    public var before: JobID?
    /// At most this many.
    public var limit: Int

    /// A page of jobs; by default the newest 50.
    public init(state: JobState? = nil, owner: String? = nil, before: JobID? = nil, limit: Int = 50) {
        states = state.map { [$0] } ?? []
        self.owner = owner
        self.before = before
        self.limit = limit
    }
}

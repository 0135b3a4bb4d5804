import Foundation

/// Something that someone did, or tried to do.
public struct AuditEntry: Codable, Sendable, Equatable {
    /// Its place in the log: 1 for the first, then one more each, without a gap. 0 until it is appended.
    public var sequence: Int
    /// When it was done.
    public var time: Date
    /// Who did it: the name of a token, never the token.
    public var actor: String
    /// What was done, as a stable word: `job.delete`.
    public var action: String
    /// The job that it was done to; nil if it concerned none.
    public var job: JobID?
    /// How it ended, as a stable word: `ok`, `forbidden`.
    public var outcome: String
    /// The request's name in the service's log; nil for what no request brought.
    public var request: String?

    /// An entry to append.
    public init(
        time: Date = Date(), actor: String, action: String, job: JobID? = nil, outcome: String, request: String? = nil
    ) {
        sequence = 0
        self.time = time
        self.actor = actor
        self.action = action
        self.job = job
        self.outcome = outcome
        self.request = request
    }
}

/// Who did what: entries are appended and read, never changed and never removed. Entries hold nothing of a patient.
public struct AuditLog: Sendable {
    private let add: @Sendable (AuditEntry) throws(JobStoreError) -> AuditEntry
    private let read: @Sendable (Int, Int) throws(JobStoreError) -> [AuditEntry]

    /// A log over what a store can do: ``append(_:)`` and ``entries(after:limit:)``.
    public init(
        add: @escaping @Sendable (AuditEntry) throws(JobStoreError) -> AuditEntry,
        read: @escaping @Sendable (Int, Int) throws(JobStoreError) -> [AuditEntry]
    ) {
        self.add = add
        self.read = read
    }

    /// Adds an entry, durable once the call has returned.
    ///
    /// - Returns: the entry with its number.
    @discardableResult
    public func append(_ entry: AuditEntry) throws(JobStoreError) -> AuditEntry { try add(entry) }

    /// Entries in the order they were appended, from the first after `sequence`; 0 for the beginning.
    public func entries(after sequence: Int = 0, limit: Int = 1_000) throws(JobStoreError) -> [AuditEntry] {
        try read(sequence, limit)
    }
}

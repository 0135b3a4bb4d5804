public import Foundation

/// One change in the life of a job. Of a removed job nothing is left but this.
public struct JobEvent: Codable, Sendable, Equatable {
    /// What happened.
    public enum Kind: String, Codable, CaseIterable, Sendable {
        case accepted, started
        /// The run was broken off, and the job waits for another.
        case requeued
        /// A client had a failed or cancelled job run again.
        case retried
        /// A client asked to cancel a running job, which goes on until its worker has noticed.
        case cancelRequested = "cancel_requested"
        case succeeded, failed, cancelled, deleted
    }

    /// The event's number: 1 for the first of a store, then one more each, without a gap, in the order of the changes.
    public let sequence: Int
    /// The job that changed.
    public let job: JobID
    /// What happened to it.
    public let kind: Kind
    /// When, by the wall clock: order events by ``sequence``, not by this.
    public let time: Date

    /// An event as a store keeps it.
    public init(sequence: Int, job: JobID, kind: Kind, time: Date) {
        self.sequence = sequence
        self.job = job
        self.kind = kind
        self.time = time
    }
}

extension JobEvent.Kind {
    /// What a change from `old` to `new` is called; nil if it is no change of the job's life.
    public init?(from old: Job, to new: Job) {
        switch (old.state, new.state) {
        case (.running, .running) where new.cancelRequested && !old.cancelRequested: self = .cancelRequested
        case let (before, after) where before == after: return nil
        case (.running, .queued): self = .requeued
        case (_, .queued): self = .retried
        case (_, .running): self = .started
        case (_, .succeeded): self = .succeeded
        case (_, .failed): self = .failed
        case (_, .cancelled): self = .cancelled
        }
    }

    /// The job's state after the event; nil for a deleted job.
    public var state: JobState? {
        switch self {
        case .accepted, .requeued, .retried: .queued
        case .started, .cancelRequested: .running
        case .succeeded: .succeeded
        case .failed: .failed
        case .cancelled: .cancelled
        case .deleted: nil
        }
    }
}

public import Foundation

/// The most that may wait in a queue, where running jobs no longer wait, and that one owner may keep on the disk.
public struct QueueLimits: Sendable, Equatable {
    /// Jobs of everyone.
    public var jobs: Int
    /// Jobs of the new job's owner; nil for no limit. A job without an owner is not held to it.
    public var ownerJobs: Int?
    /// Bytes that the owner's waiting jobs were uploaded with, the new one included; nil for no limit.
    public var ownerBytes: Int?
    /// Bytes of the files of all the owner's jobs, finished ones too, the new one included; nil for no limit.
    public var ownerStored: Int?

    /// Limits for all together, and for each owner.
    public init(jobs: Int, ownerJobs: Int? = nil, ownerBytes: Int? = nil, ownerStored: Int? = nil) {
        self.jobs = jobs
        self.ownerJobs = ownerJobs
        self.ownerBytes = ownerBytes
        self.ownerStored = ownerStored
    }

    /// Whether a job may join those that wait.
    ///
    /// - Parameters:
    ///   - waiting: how many jobs wait.
    ///   - owned: how many of them are of the same owner, and their uploads together; nil if the job has no owner.
    ///   - bytes: size of the job's own upload.
    /// - Throws: ``JobStoreError/queueFull(limit:)``; ``JobStoreError/ownerQueueFull(limit:)``;
    ///   ``JobStoreError/ownerBytesFull(waiting:limit:)``.
    public func check(waiting: Int, owned: (jobs: Int, bytes: Int)?, bytes: Int) throws(JobStoreError) {
        guard waiting < jobs else { throw .queueFull(limit: jobs) }
        guard let owned else { return }
        if let ownerJobs, owned.jobs >= ownerJobs { throw .ownerQueueFull(limit: ownerJobs) }
        if let ownerBytes, owned.bytes > ownerBytes - bytes {
            throw .ownerBytesFull(waiting: owned.bytes, limit: ownerBytes)
        }
    }

    /// Whether a job's files may be kept beside those of its owner's other jobs.
    ///
    /// - Parameters:
    ///   - stored: what those have together, in bytes; asked for only where there is a limit.
    ///   - bytes: size of the new job's files.
    /// - Throws: ``JobStoreError/ownerStorageFull(stored:adding:limit:)``.
    public func checkStorage(stored: () throws -> Int, adding bytes: Int) throws {
        guard let ownerStored else { return }
        let stored = try stored()
        guard stored <= ownerStored - bytes else {
            throw JobStoreError.ownerStorageFull(stored: stored, adding: bytes, limit: ownerStored)
        }
    }
}

/// What a queue holds at one moment, for those who watch over it.
public struct QueueReport: Sendable, Equatable {
    /// How many jobs are in each state, by priority; every pair has an entry.
    public var counts: [JobState: [JobPriority: Int]]
    /// Since when the job waits that has waited longest; nil if none waits.
    public var oldestWaiting: Date?
    /// Whether no job is started at present.
    public var isPaused: Bool

    /// A report of an empty queue.
    public init() {
        let none = Dictionary(uniqueKeysWithValues: JobPriority.allCases.map { ($0, 0) })
        counts = Dictionary(uniqueKeysWithValues: JobState.allCases.map { ($0, none) })
        isPaused = false
    }

    /// How many jobs are in a state.
    public func count(_ state: JobState) -> Int { counts[state, default: [:]].values.reduce(0, +) }
}

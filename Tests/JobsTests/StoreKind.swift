import Foundation
import Jobs
import MemoryJobs
import SQLiteJobs
import Synchronization
import TestSupport
import Testing

/// Every kind of store; the contract suite runs over each.
enum StoreKind: CaseIterable, Sendable {
    case sqlite, memory, watched

    /// Those that keep webhooks and the audit log too, and know of being the only process.
    static let whole: [StoreKind] = [.sqlite, .memory]

    /// Opens the store kept in a folder; a second call gives a second store on the same jobs, as a restart would.
    func open(in folder: URL) throws -> any JobStore {
        switch self {
        case .sqlite, .memory: try openWhole(in: folder)
        case .watched: WatchedJobStore(try StoreKind.sqlite.open(in: folder)) { _ in }
        }
    }

    /// As ``open(in:)``, for one of ``whole``.
    func openWhole(in folder: URL) throws -> any Store & SingleHostStore {
        switch self {
        case .sqlite: try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
        case .memory:
            Self.inMemory.withLock { stores in
                let store = stores[folder] ?? InMemoryStore()
                stores[folder] = store
                return store
            }
        case .watched: preconditionFailure("a watched store is one of jobs alone")
        }
    }

    /// What is kept in memory for each folder: a restart finds it again.
    private static let inMemory = Mutex<[URL: InMemoryStore]>([:])

    /// Runs `body` on an empty store.
    func withStore<Result>(_ body: (any JobStore) throws -> Result) throws -> Result {
        try withTemporaryFolder { try body(open(in: $0)) }
    }

    /// Runs `body` on an empty store, one of ``whole``.
    func withWholeStore<Result>(_ body: (any Store & SingleHostStore) throws -> Result) throws -> Result {
        try withTemporaryFolder { try body(openWhole(in: $0)) }
    }
}

/// Midday of 1 January 2026, UTC, and `seconds` later.
func time(_ seconds: Double = 0) -> Date { Date(timeIntervalSince1970: 1_767_268_800 + seconds) }

let broken = JobFailure(code: "broken", message: "It broke.")

extension JobStore {
    /// Accepts a job with plain contents.
    @discardableResult
    func enqueueOne(
        limit: Int = 1_000, at seconds: Double = 0, _ priority: JobPriority = .routine, cost: Double? = nil
    ) throws -> Job {
        let new = NewJob(
            options: Data("{}".utf8), hasReference: false, uploadBytes: 1, createdAt: time(seconds),
            priority: priority, cost: cost)
        return try enqueue(new, queueLimit: limit)
    }

    /// Claims with a lease of 60 s and three attempts.
    func claimOne(at seconds: Double = 0) throws -> ClaimedJob? {
        try claim(at: time(seconds), lease: .seconds(60), maxAttempts: 3)
    }

    /// Claims a job, which has to be there, and ends its run.
    @discardableResult
    func runOne(_ outcome: JobOutcome, from start: Double = 0, to end: Double = 1) throws -> Job {
        let claim = try #require(try claimOne(at: start))
        return try #require(try finish(claim, outcome, at: time(end)))
    }

    /// What has happened, from the beginning.
    func history() throws -> [JobEvent.Kind] { try events(after: 0, limit: 10_000).map(\.kind) }
}

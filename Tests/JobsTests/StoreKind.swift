import Foundation
import Jobs
import SQLiteJobs
import TestSupport
import Testing

/// Every kind of store; the contract suite runs over each.
enum StoreKind: CaseIterable, Sendable {
    case sqlite, watched

    /// Opens the store kept in a folder; a second call gives a second store on the same jobs, as a restart would.
    func open(in folder: URL) throws -> any JobStore {
        switch self {
        case .sqlite: try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
        case .watched: WatchedJobStore(try StoreKind.sqlite.open(in: folder)) { _ in }
        }
    }

    /// Runs `body` on an empty store.
    func withStore<Result>(_ body: (any JobStore) throws -> Result) throws -> Result {
        try withTemporaryFolder { try body(open(in: $0)) }
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

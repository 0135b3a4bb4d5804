import Foundation
import Jobs
import SQLiteJobs
import TestSupport

/// Every kind of store; the contract suite runs over each.
enum StoreKind: CaseIterable, Sendable {
    case sqlite

    /// Opens the store kept in a folder; a second call gives a second store on the same jobs, as a restart would.
    func open(in folder: URL) throws -> any JobStore {
        switch self {
        case .sqlite: try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
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
    func enqueueOne(limit: Int = 1_000, at seconds: Double = 0) throws -> Job {
        let new = NewJob(options: Data("{}".utf8), hasReference: false, uploadBytes: 1, createdAt: time(seconds))
        return try enqueue(new, queueLimit: limit)
    }

    /// Claims with a lease of 60 s and three attempts.
    func claimOne(at seconds: Double = 0) throws -> ClaimedJob? {
        try claim(at: time(seconds), lease: .seconds(60), maxAttempts: 3)
    }
}

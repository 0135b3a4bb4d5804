import Foundation
import Jobs
import Logging
import SQLiteJobs
import TestSupport
import Testing

@testable import Service

/// What is kept long enough goes, with every file; the rest stays.
@Suite struct HousekeepingTests {
    private static let day = 86_400.0

    @Test(arguments: [0, 30])
    func oldJobsGoWithTheirFiles(keepDays: Int) throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            let store = try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
            let now = Date()
            // Ended 31 days ago, ended 29 days ago, and still waiting since 40 days.
            let ended = try [31.0, 29].map { days in
                let job = try Self.accept(at: now - days * Self.day, store, spool)
                let claim = try #require(
                    try store.claim(at: now - days * Self.day, lease: .seconds(60), maxAttempts: 3) { _ in })
                _ = try store.finish(claim, .succeeded(result: Data("{}".utf8)), at: now - days * Self.day)
                return job
            }
            let waiting = try Self.accept(at: now - 40 * Self.day, store, spool)

            Housekeeping(
                store: store, spool: spool, resultsKeepDays: keepDays, eventsKeepDays: 35,
                logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
            ).round(at: now)

            let isKept = { (id: JobID) in FileManager.default.fileExists(atPath: spool.folder(of: id).path) }
            #expect(isKept(ended[0]) == (keepDays == 0))
            #expect(isKept(ended[1]) && isKept(waiting))
            if keepDays > 0 { #expect(throws: JobStoreError.self) { _ = try store.job(ended[0]) } }
            #expect(try store.job(ended[1])?.state == .succeeded)
            #expect(try store.job(waiting)?.state == .queued)
        }
    }

    private static func accept(at time: Date, _ store: SQLiteJobStore, _ spool: Spool) throws -> JobID {
        let upload = spool.incoming.appending(path: UUID().uuidString)
        try Data("scan".utf8).write(to: upload)
        let new = NewJob(options: Data("{}".utf8), hasReference: false, uploadBytes: 4, createdAt: time)
        try spool.adopt(files: [(upload, "image.nii")], for: new.id)
        return try store.enqueue(new, limits: QueueLimits(jobs: 9)).id
    }
}

import Foundation
import Imaging
import TestSupport
import Testing

/// What an operator does with the queue, by curl against the real process.
@Suite(.serialized) struct QueueServerTests {
    private static func submit(_ server: ServerProcess, _ ct: URL, _ query: String = "") throws -> String {
        let accepted = try server.curl(
            "/v1/jobs\(query)", "-H", "Cache-Control: no-cache", "-F", "image=@\(ct.path)")
        #expect(accepted.status == 202, "\(accepted.text)")
        return try #require(try accepted.json()["id"] as? String)
    }

    private static func post(_ server: ServerProcess, _ path: String) throws -> ServerProcess.Answer {
        try server.curl(path, "-X", "POST")
    }

    @Test func jobsArePausedCancelledRetriedAndStartedByPriority() throws {
        try withTemporaryFolder { folder in
            let ct = try SmallPhantom(in: folder).ct
            let server = try ServerProcess(data: folder.appending(path: "data"))
            #expect(try Self.post(server, "/v1/queue/pause").json()["paused"] as? Bool == true)
            let bulk = try Self.submit(server, ct, "?priority=bulk")
            let routine = try Self.submit(server, ct)
            let stat = try Self.submit(server, ct, "?priority=stat")

            let cancelled = try Self.post(server, "/v1/jobs/\(routine)/cancel")
            #expect(cancelled.status == 200)
            #expect(try cancelled.json()["state"] as? String == "cancelled")
            #expect(try Self.post(server, "/v1/jobs/\(stat)/retry").status == 409)
            #expect(try Self.post(server, "/v1/jobs/\(routine)/retry").status == 202)
            let queue = try server.curl("/v1/queue").json()
            let queued = (queue["counts"] as? [String: [String: Int]])?["queued"]
            #expect(queued == ["stat": 1, "routine": 1, "bulk": 1])

            #expect(try Self.post(server, "/v1/queue/resume").json()["paused"] as? Bool == false)
            for id in [bulk, routine, stat] {
                #expect(try server.waitForEnd(of: id)["state"] as? String == "succeeded")
            }
            let events = try server.curl("/v1/events?limit=1000").json()["events"] as? [[String: Any]]
            let started = events?.filter { $0["type"] as? String == "started" }.map { $0["job"] as? String }
            #expect(started == [stat, routine, bulk])
        }
    }

    @Test func thePauseOutlivesARestart() throws {
        try withTemporaryFolder { folder in
            let data = folder.appending(path: "data")
            var server = try ServerProcess(data: data)
            #expect(try Self.post(server, "/v1/queue/pause").status == 200)
            server.end()
            server = try ServerProcess(data: data)
            #expect(try server.curl("/v1/queue").json()["paused"] as? Bool == true)
        }
    }

    /// Finished slices are on the disk while a job runs, are used after a crash, and go when the job is done.
    @Test func aBrokenRunLeavesItsSlices() throws {
        try withTemporaryFolder { folder in
            let phantom = try SmallPhantom(in: folder, shape: Shape(320, 320, 60))
            let data = folder.appending(path: "data")
            var server = try ServerProcess(data: data)
            let undisturbed = try Self.submit(server, phantom.ct)
            let hash = try server.waitForEnd(of: undisturbed)["mask_sha256"] as? String
            let id = try Self.submit(server, phantom.ct)
            let journal = data.appending(path: "jobs/\(id)/slices.journal")
            func journalSize() -> Int { (try? Data(contentsOf: journal).count) ?? 0 }
            for _ in 0..<10_000 where journalSize() < 1_000 { usleep(2_000) }
            server.end(SIGKILL)
            #expect(journalSize() > 0)

            server = try ServerProcess(data: data)
            let job = try server.waitForEnd(of: id)
            #expect(job["attempts"] as? Int == 2)
            #expect(job["mask_sha256"] as? String == hash && hash != nil)
            #expect(!FileManager.default.fileExists(atPath: journal.path))
        }
    }

    /// A scan that no worker could hold is refused with the numbers, and the server serves on.
    @Test func aScanThatCannotFitIsRefused() throws {
        try withTemporaryFolder { folder in
            let ct = try SmallPhantom(in: folder).ct
            let server = try ServerProcess(
                data: folder.appending(path: "data"), settings: ["HEPAR_JOBS_MEMORY_LIMIT_MIB": "16"])
            let refused = try server.curl("/v1/jobs", "-F", "image=@\(ct.path)")
            #expect(refused.status == 422)
            #expect(try refused.json()["code"] as? String == "needs_too_much_memory")
            #expect(try server.curl("/readyz").status == 200)
        }
    }
}

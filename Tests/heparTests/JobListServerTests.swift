import Foundation
import TestSupport
import Testing

/// What pollers and lists get, by curl against the real process.
@Suite(.serialized) struct JobListServerTests {
    /// A server whose queue is paused, with a job of each priority; their ids.
    private static func withJobs(_ body: (ServerProcess, [String: String]) throws -> Void) throws {
        try withTemporaryFolder { folder in
            let ct = try SmallPhantom(in: folder).ct
            let server = try ServerProcess(data: folder.appending(path: "data"))
            #expect(try server.curl("/v1/queue/pause", "-X", "POST").status == 200)
            var ids: [String: String] = [:]
            for priority in ["stat", "routine", "bulk"] {
                let accepted = try server.curl(
                    "/v1/jobs?priority=\(priority)&label=order%20\(priority)", "-F", "image=@\(ct.path)")
                #expect(accepted.status == 202, "\(accepted.text)")
                ids[priority] = try accepted.json()["id"] as? String
            }
            try body(server, ids)
        }
    }

    private static func listed(_ server: ServerProcess, _ query: String) throws -> [String?] {
        let answer = try server.curl("/v1/jobs?\(query)")
        #expect(answer.status == 200, "\(query): \(answer.text)")
        let jobs = try #require(try answer.json()["jobs"] as? [[String: Any]])
        return jobs.map { ($0["label"] as? String)?.replacing("order ", with: "") }
    }

    @Test func listsAreFiltered() throws {
        try Self.withJobs { server, ids in
            let bulk = try #require(ids["bulk"])
            #expect(try server.curl("/v1/jobs/\(bulk)/cancel", "-X", "POST").status == 200)
            #expect(try Self.listed(server, "") == ["bulk", "routine", "stat"])
            #expect(try Self.listed(server, "state=cancelled,failed") == ["bulk"])
            #expect(try Self.listed(server, "state=cancelled,queued&limit=2") == ["bulk", "routine"])
            #expect(try Self.listed(server, "state=cancelled,queued&limit=2&before=\(bulk)") == ["routine", "stat"])
            #expect(try Self.listed(server, "priority=routine") == ["routine"])
            for (time, isBehind) in [
                ("2020-01-01T00:00:00Z", true), ("2020-01-01T01:30:00.5+01:00", true),
                ("2120-01-01T00:00:00Z", false),
            ] {
                #expect(try Self.listed(server, "created_after=\(time)").count == (isBehind ? 3 : 0))
                #expect(try Self.listed(server, "created_before=\(time)").count == (isBehind ? 0 : 3))
            }
            let doubtful = try Self.listed(server, "needs_review=true"),
                sound = try Self.listed(server, "needs_review=false")
            let jobs = try #require(try server.curl("/v1/jobs").json()["jobs"] as? [[String: Any]])
            #expect(doubtful.count == jobs.count { $0["needs_review"] as? Bool == true })
            #expect(doubtful.count + sound.count == 3)
            for bad in ["state=done", "state=queued,", "priority=high", "created_after=today", "needs_review=1"] {
                #expect(try server.curl("/v1/jobs?\(bad)").status == 400, "\(bad)")
            }
        }
    }

    @Test func aLabelIsTheClientsOwn() throws {
        try Self.withJobs { server, ids in
            let id = try #require(ids["stat"])
            #expect(try server.curl("/v1/jobs/\(id)").json()["label"] as? String == "order stat")
            #expect(!server.logText.contains("order"), "a label may be what it must not be")
            for bad in ["", String(repeating: "x", count: 65), "%0A", "%C3%A9"] {
                let answer = try server.curl("/v1/jobs?label=\(bad)", "--data-binary", "x")
                #expect(answer.status == 400, "\(bad): \(answer.text)")
            }
        }
    }

    /// A wait for the end is not over when the job starts; one that is told so before goes on until then.
    @Test func aPollMayWaitForTheEnd() throws {
        try Self.withJobs { server, ids in
            let id = try #require(ids["routine"])
            #expect(try server.curl("/v1/jobs/\(id)?wait=1&until=ended").json()["state"] as? String == "queued")
            #expect(try server.curl("/v1/jobs/\(id)?until=never").status == 400)
            let curl = Process()
            curl.executableURL = URL(filePath: "/usr/bin/curl")
            curl.arguments = ["-sS", "-m", "200", "\(server.url)/v1/jobs/\(id)?wait=300&until=ended"]
            let output = Pipe()
            curl.standardOutput = output
            try curl.run()
            #expect(try server.curl("/v1/queue/resume", "-X", "POST").status == 200)
            let answer = try output.fileHandleForReading.readToEnd() ?? Data()
            let job = try #require(try JSONSerialization.jsonObject(with: answer) as? [String: Any])
            #expect(job["state"] as? String == "succeeded" && job["id"] as? String == id)
            #expect(try server.curl("/v1/jobs/\(id)?wait=300&until=ended").json()["state"] as? String == "succeeded")
        }
    }

    /// Who waits for an end that does not come is let go when the server stops.
    @Test func aStopEndsWaits() throws {
        try Self.withJobs { server, ids in
            let id = try #require(ids["routine"])
            let curl = Process()
            curl.executableURL = URL(filePath: "/usr/bin/curl")
            curl.arguments = ["-sS", "-m", "200", "\(server.url)/v1/jobs/\(id)?wait=300&until=ended"]
            let output = Pipe()
            curl.standardOutput = output
            try curl.run()
            // Let it come in: the log tells a request only at its end.
            for _ in 0..<200 where try server.curl("/metrics").text.isEmpty { usleep(1_000) }
            server.end()
            #expect(server.process.terminationStatus == 0)
            curl.waitUntilExit()
        }
    }

    @Test func aJobOfNiftiHasNoDicom() throws {
        try Self.withJobs { server, ids in
            let id = try #require(ids["stat"])
            let answer = try server.curl("/v1/jobs/\(id)/dicom")
            #expect(answer.status == 404)
            #expect(try answer.json()["code"] as? String == "no_dicom")
            #expect(try server.curl("/v1/jobs/\(id)").json()["dicom"] is NSNull)
        }
    }

    /// The same key with anything else in the query is another request.
    @Test func aKeyIsOfOneQuery() throws {
        try withTemporaryFolder { folder in
            let ct = try SmallPhantom(in: folder).ct
            let server = try ServerProcess(data: folder.appending(path: "data"))
            func send(_ query: String) throws -> Int {
                try server.curl("/v1/jobs\(query)", "-H", "Idempotency-Key: k", "-F", "image=@\(ct.path)").status
            }
            #expect(try send("?priority=bulk") == 202)
            #expect(try send("?priority=bulk") == 202)
            for query in ["", "?priority=stat", "?priority=bulk&label=a"] {
                #expect(try send(query) == 409, "\(query)")
            }
        }
    }
}

import Foundation
import Imaging
import TestSupport
import Testing

/// What a server tells of itself, to those who watch over it.
@Suite(.serialized) struct ReadinessTests {
    /// A file of tokens that broke leaves the server at work, with the last ones, and shows.
    @Test func staleTokensShow() throws {
        try withTemporaryFolder { folder in
            let tokens = folder.appending(path: "tokens.yaml")
            let made = try HeparProcess.run("token", "add", "--file", tokens.path, "chief", "--role", "admin")
            let token = "Authorization: Bearer \(made.output.trimmingCharacters(in: .whitespacesAndNewlines))"
            let server = try ServerProcess(
                data: folder.appending(path: "data"), settings: ["HEPAR_AUTH_TOKENS_FILE": tokens.path])
            func readiness() throws -> (status: Int, tokens: String?) {
                let answer = try server.curl("/readyz")
                return (answer.status, (try answer.json()["checks"] as? [String: String])?["tokens"])
            }
            func wait(for state: String) throws {
                for _ in 0..<100 where try readiness().tokens != state { usleep(50_000) }
                let now = try readiness()
                #expect(now.status == 200 && now.tokens == state)
                let metrics = try server.curl("/metrics", "-H", token)
                #expect(metrics.status == 200)
                #expect(metrics.text.contains("\nhepar_tokens_stale \(state == "ok" ? 0 : 1)\n"))
                #expect(metrics.text.contains("\nhepar_ready 1\n"))
            }
            try wait(for: "ok")
            let text = try Data(contentsOf: tokens)
            try Data("tokens: {".utf8).write(to: tokens)
            try wait(for: "stale")
            #expect(server.logText.contains("tokens cannot be read; the last ones stay"))
            try text.write(to: tokens)
            try wait(for: "ok")
            try FileManager.default.removeItem(at: tokens)
            try wait(for: "stale")
        }
    }

    @Test func aServerWithoutRoomIsNotReady() throws {
        try withTemporaryFolder { folder in
            let server = try ServerProcess(
                data: folder.appending(path: "data"), settings: ["HEPAR_DATA_FREE_SPACE_MIB": "1048576"])
            #expect(try server.curl("/readyz").status == 503)
            #expect(try server.curl("/metrics").text.contains("\nhepar_ready 0\n"))
            let health = try HeparProcess.run("health", "--url", server.url)
            #expect(health.status == 1 && health.output.contains("\"disk\":\"failing\""), "\(health.output)")
            #expect(try HeparProcess.run("health", "--live", "--url", server.url).status == 0)
        }
    }

    /// What is known beforehand is there before it happens.
    @Test func countersBeginAtZero() throws {
        try withTemporaryFolder { folder in
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let text = try server.curl("/metrics").text
            for line in [
                "hepar_jobs_finished_total{state=\"failed\"} 0", "hepar_slices_total{stage=\"liver\"} 0",
                "hepar_slices_total{stage=\"lesions\"} 0", "hepar_uploads_total{outcome=\"queue_full\"} 0",
                "hepar_job_failures_total{code=\"attempts_exhausted\"} 0",
                "hepar_webhook_deliveries_total{outcome=\"delivered\"} 0",
                "hepar_authentication_failures_total{code=\"token_expired\"} 0",
                "hepar_http_requests_total{route=\"/v1/jobs\",method=\"POST\",status=\"500\"} 0",
            ] { #expect(text.contains("\n\(line)\n"), "no \(line)") }
        }
    }

    /// The time at which the running job will probably end, where there is an estimate.
    @Test func aFullQueueSaysWhenToComeAgain() throws {
        try withTemporaryFolder { folder in
            let small = try SmallPhantom(in: folder)
            let inner = folder.appending(path: "large")
            try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
            let large = try SmallPhantom(in: inner, shape: Shape(320, 320, 100))
            let server = try ServerProcess(
                data: folder.appending(path: "data"), settings: ["HEPAR_JOBS_QUEUE_LIMIT": "1"])
            func submit(_ ct: URL) throws -> ServerProcess.Answer {
                try server.curl("/v1/jobs", "-H", "Cache-Control: no-cache", "-F", "image=@\(ct.path)")
            }
            func retryAfter(_ answer: ServerProcess.Answer) throws -> Int {
                #expect(answer.status == 503)
                let field = try #require(answer.headers.firstMatch(of: /Retry-After: ([0-9]+)/))
                #expect(
                    try answer.json()["detail"] as? String
                        == "The queue is full: 1 jobs wait. Try again in \(field.1) seconds.")
                return try #require(Int(field.1))
            }
            #expect(try server.curl("/v1/queue/pause", "-X", "POST").status == 200)
            let first = try #require(try submit(small.ct).json()["id"] as? String)
            #expect(try retryAfter(submit(small.ct)) == 60)
            #expect(try server.curl("/v1/queue/resume", "-X", "POST").status == 200)
            _ = try server.waitForEnd(of: first)

            let running = try #require(try submit(large.ct).json()["id"] as? String)
            try server.waitUntilRunning(running)
            let left = try #require(try server.curl("/v1/jobs/\(running)").json()["estimated_seconds_left"] as? Double)
            #expect(try submit(small.ct).status == 202)
            let wait = try retryAfter(submit(small.ct))
            #expect(wait >= 5 && wait <= Int(max(5, left.rounded(.up))) && wait != 60)
        }
    }

    @Test func theSoftLimitOfDescriptorsIsRaised() throws {
        try withTemporaryFolder { folder in
            let server = try ServerProcess(
                data: folder.appending(path: "data"), launcher: ["/usr/bin/prlimit", "--nofile=128:3000"])
            let limits = try String(contentsOfFile: "/proc/\(server.process.processIdentifier)/limits", encoding: .utf8)
            #expect(limits.contains(/Max open files +3000 +3000/))
            #expect(server.logText.contains("descriptors=3000"), "\(server.logText)")
        }
    }

    @Test func kubernetesVariablesAreToldAndPassedOver() throws {
        try withTemporaryFolder { folder in
            let server = try ServerProcess(
                data: folder.appending(path: "data"),
                settings: ["HEPAR_SERVICE_HOST": "10.0.0.1", "HEPAR_PORT": "tcp://10.0.0.1:8080"])
            #expect(try server.curl("/readyz").status == 200)
            let lines = server.logText.split(separator: "\n").filter { $0.contains("variables of Kubernetes ignored") }
            #expect(lines.count == 1 && lines[0].contains("HEPAR_PORT HEPAR_SERVICE_HOST"))
        }
    }
}

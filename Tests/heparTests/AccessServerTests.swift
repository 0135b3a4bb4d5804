import Foundation
import TestSupport
import Testing

/// Who may do what, and what operators see, by curl against the real process.
@Suite(.serialized) struct AccessServerTests {
    /// A file of tokens made by `hepar token add`, and the tokens by name.
    private struct Tokens {
        let file: URL
        private(set) var texts: [String: String] = [:]

        init(in folder: URL) { file = folder.appending(path: "tokens.yaml") }

        mutating func add(_ name: String, _ arguments: String...) throws {
            let made = try HeparProcess.run(
                HeparProcess.executable, ["token", "add", "--file", file.path, name] + arguments)
            #expect(made.status == 0, "\(made.error)")
            texts[name] = made.output.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        func header(_ name: String) -> String { "Authorization: Bearer \(texts[name] ?? "")" }
    }

    /// A server with tokens for a bridge, a reader, an admin and one of quota 1; its queue is paused.
    private static func withServer(_ body: (ServerProcess, Tokens, URL, URL) throws -> Void) throws {
        try withTemporaryFolder { folder in
            let files = try SmallPhantom(in: folder)
            var tokens = Tokens(in: folder)
            try tokens.add("bridge", "--role", "submit", "read_own")
            try tokens.add("reader", "--role", "read_all")
            try tokens.add("chief", "--role", "admin")
            try tokens.add("small", "--role", "submit", "--queued-jobs", "1")
            let server = try ServerProcess(
                data: folder.appending(path: "data"),
                settings: [
                    "HEPAR_AUTH_TOKENS_FILE": tokens.file.path, "HEPAR_HTTP_TRUSTED_PROXIES": "127.0.0.1/32",
                    "HEPAR_LOG_FORMAT": "json",
                ])
            #expect(try server.curl("/v1/queue/pause", "-X", "POST", "-H", tokens.header("chief")).status == 200)
            try body(server, tokens, files.ct, folder)
        }
    }

    @Test func tokensSayWhoMayDoWhat() throws {
        try Self.withServer { server, tokens, ct, folder in
            func ask(_ path: String, _ name: String?, _ arguments: String...) throws -> ServerProcess.Answer {
                try server.curl(path, arguments + (name.map { ["-H", tokens.header($0)] } ?? []))
            }
            func submit(_ name: String?) throws -> ServerProcess.Answer {
                try server.curl(
                    "/v1/jobs", ["-F", "image=@\(ct.path)"] + (name.map { ["-H", tokens.header($0)] } ?? []))
            }
            #expect(try ask("/healthz", nil).status == 200)
            let contract = try ask("/openapi.yaml", nil)
            #expect(contract.status == 200 && contract.text.hasPrefix("openapi: 3.1"), "open to all")
            let nobody = try submit(nil)
            #expect(nobody.status == 401 && nobody.headers.contains("WWW-Authenticate: Bearer"))
            let guess = "Authorization: Bearer hpr_\(String(repeating: "A", count: 43))"
            #expect(try ask("/v1/jobs", nil, "-H", guess).status == 401)
            #expect(try submit("reader").status == 403)

            let accepted = try submit("bridge")
            #expect(accepted.status == 202, "\(accepted.text)")
            let id = try #require(try accepted.json()["id"] as? String)
            for (name, status) in [("bridge", 200), ("reader", 200), ("chief", 200), ("small", 403)] {
                #expect(try ask("/v1/jobs/\(id)", name).status == status, "\(name)")
            }
            // Each sees its own jobs in the list, or all.
            #expect(try submit("small").status == 202)
            let quota = try submit("small")
            #expect(quota.status == 429 && quota.headers.contains("Retry-After:"), "\(quota.text)")
            func listed(_ name: String) throws -> Int? { (try ask("/v1/jobs", name).json()["jobs"] as? [Any])?.count }
            #expect(try listed("bridge") == 1)
            #expect(try listed("reader") == 2)
            #expect(try ask("/v1/jobs/\(id)", "small", "-X", "DELETE").status == 403)
            #expect(try ask("/v1/jobs/\(id)", "reader", "-X", "DELETE").status == 403)
            #expect(try ask("/v1/events", "bridge").status == 403)
            #expect(try ask("/v1/queue/resume", "bridge", "-X", "POST").status == 403)
            #expect(try ask("/v1/audit", "reader").status == 403)
            #expect(try ask("/v1/jobs/\(id)", "bridge", "-X", "DELETE").status == 204)

            // Revoked while the server runs.
            let revoked = try HeparProcess.run("token", "revoke", "--file", tokens.file.path, "reader")
            #expect(revoked.status == 0)
            var status = 200
            for _ in 0..<50 where status == 200 {
                usleep(100_000)
                status = try ask("/v1/jobs", "reader").status
            }
            #expect(status == 401)

            // Who did what: by HTTP and from the command line, refusals among them.
            let entries = try #require(try ask("/v1/audit?limit=1000", "chief").json()["entries"] as? [[String: Any]])
            func has(_ actor: String, _ action: String, _ outcome: String) -> Bool {
                entries.contains {
                    $0["actor"] as? String == actor && $0["action"] as? String == action
                        && $0["outcome"] as? String == outcome
                }
            }
            #expect(has("bridge", "job.submit", "ok") && has("bridge", "job.delete", "ok"))
            #expect(has("reader", "job.delete", "403") && has("small", "job.submit", "429"))
            #expect(has("chief", "queue.pause", "ok"))
            let printed = try HeparProcess.run(
                "audit", "--json", environment: ["HEPAR_DATA_FOLDER": folder.appending(path: "data").path])
            #expect(printed.status == 0, "\(printed.error)")
            #expect(printed.output.split(separator: "\n").count >= entries.count)
            // The tokens themselves are nowhere.
            for text in tokens.texts.values {
                #expect(!server.logText.contains(text) && !printed.output.contains(text))
                #expect(try !String(contentsOf: tokens.file, encoding: .utf8).contains(text))
            }
        }
    }

    /// Both wait for what does not come, for longer than curl does.
    @Test func whoWaitsIsToldWhenTheTokenIsRevoked() throws {
        try Self.withServer { server, tokens, ct, _ in
            let accepted = try server.curl("/v1/jobs", "-F", "image=@\(ct.path)", "-H", tokens.header("bridge"))
            let id = try #require(try accepted.json()["id"] as? String)
            let last = try server.curl("/v1/events", "-H", tokens.header("reader")).json()["last"] as? Int ?? 0
            let paths = ["/v1/jobs/\(id)?wait=300", "/v1/events?wait=300&after=\(last)"]
            let header = tokens.header("reader")
            let waiting = paths.map { path in
                let process = Process()
                process.executableURL = URL(filePath: "/usr/bin/curl")
                process.arguments = [
                    "-s", "-m", "120", "-o", "/dev/null", "-w", "%{http_code}", "-H", header, server.url + path,
                ]
                process.standardOutput = Pipe()
                return process
            }
            for process in waiting { try process.run() }
            // They may not have begun to wait yet; then they are refused at once, alike.
            let revoked = try HeparProcess.run("token", "revoke", "--file", tokens.file.path, "reader")
            #expect(revoked.status == 0)
            for process in waiting {
                let output = try (process.standardOutput as? Pipe)?.fileHandleForReading.readToEnd() ?? Data()
                process.waitUntilExit()
                #expect(String(decoding: output, as: UTF8.self) == "401")
            }
        }
    }

    @Test func oneRequestIdLeadsFromTheProxyToTheWorker() throws {
        try Self.withServer { server, tokens, ct, _ in
            let accepted = try server.curl(
                "/v1/jobs", "-F", "image=@\(ct.path)", "-H", tokens.header("bridge"), "-H", "X-Request-Id: proxy-4711",
                "-H", "X-Forwarded-For: 10.1.2.3")
            #expect(accepted.status == 202 && accepted.headers.contains("X-Request-Id: proxy-4711"))
            let id = try #require(try accepted.json()["id"] as? String)
            #expect(try server.curl("/v1/queue/resume", "-X", "POST", "-H", tokens.header("chief")).status == 200)
            let waited = try server.curl("/v1/jobs/\(id)?wait=60", "-H", tokens.header("bridge"))
            #expect(waited.status == 200)
            for _ in 0..<100 where !server.logText.contains("job succeeded") { usleep(200_000) }
            // Every line is one JSON object.
            let lines = try server.logText.split(separator: "\n").map {
                try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
            }
            for message in ["job queued", "job started", "job succeeded"] {
                let line = try #require(lines.first { $0["message"] as? String == message }, "\(message)")
                #expect(line["request"] as? String == "proxy-4711", "\(message)")
            }
            let client = lines.first { $0["message"] as? String == "job queued" }?["client"] as? String
            #expect(client == "10.1.2.3")
        }
    }

    @Test func aServerWithoutTokensIsForItsOwnMachine() throws {
        try withTemporaryFolder { folder in
            let server = try ServerProcess(data: folder.appending(path: "data"))
            #expect(try server.curl("/v1/jobs").status == 200)
            for header in ["X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "Host: hepar.example"] {
                let refused = try server.curl("/v1/jobs", "-H", header)
                #expect(refused.status == 403, "\(header)")
            }
            let open = try HeparProcess.run(
                "serve",
                environment: [
                    "HEPAR_HTTP_HOST": "0.0.0.0", "HEPAR_HTTP_PORT": "0",
                    "HEPAR_DATA_FOLDER": folder.appending(path: "open").path,
                ])
            #expect(open.status == 2 && open.error.contains("auth.tokens_file"))
        }
    }

    @Test func metricsTellWhatHappened() throws {
        try withTemporaryFolder { folder in
            let files = try SmallPhantom(in: folder)
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let accepted = try server.curl("/v1/jobs?priority=stat", "-F", "image=@\(files.ct.path)")
            _ = try server.waitForEnd(of: try #require(try accepted.json()["id"] as? String))
            #expect(try server.curl("/v1/jobs", "-F", "image=@\(SharedData.repository.path)/LICENSE").status == 422)
            let text = try server.curl("/metrics").text
            for line in [
                "hepar_jobs_finished_total{state=\"succeeded\"} 1", "hepar_uploads_total{outcome=\"accepted\"} 1",
                "hepar_jobs{state=\"succeeded\",priority=\"stat\"} 1", "hepar_uploads_total{outcome=\"not_nifti\"} 1",
                "hepar_job_wait_seconds_count{priority=\"stat\"} 1",
                "hepar_stage_seconds_count{stage=\"stage2_network\"} 1", "hepar_webhooks{state=\"pending\"} 0",
                "hepar_queue_paused 0", "hepar_liver_mean_hu_count 1",
            ] { #expect(text.contains(line), "no \(line)") }
            for name in ["hepar_slices_total", "hepar_disk_free_bytes", "hepar_build_info", "hepar_upload_bytes_total"]
            {
                #expect(text.contains("\n\(name){") || text.contains("\n\(name) "), "no \(name)")
            }
        }
    }

    @Test func theFeedTellsEveryChangeOnceAndAcrossARestart() throws {
        try withTemporaryFolder { folder in
            let files = try SmallPhantom(in: folder)
            let data = folder.appending(path: "data")
            var server = try ServerProcess(data: data)
            let id = try #require(
                try server.curl("/v1/jobs", "-F", "image=@\(files.ct.path)").json()["id"] as? String)
            _ = try server.waitForEnd(of: id)
            server.end()
            server = try ServerProcess(data: data)
            let feed = try server.curl("/v1/events").json()
            let events = try #require(feed["events"] as? [[String: Any]])
            #expect(events.map { $0["type"] as? String } == ["accepted", "started", "succeeded"])
            #expect(events.map { $0["sequence"] as? Int } == [1, 2, 3])
            let stream = try server.curl("/v1/events", "-H", "Accept: text/event-stream", "-H", "Last-Event-ID: 2")
            #expect(stream.headers.contains("text/event-stream"))
            #expect(stream.text.contains("id: 3\nevent: succeeded\ndata: {") && !stream.text.contains("id: 2"))
            #expect(try server.curl("/v1/jobs/\(id)", "-X", "DELETE").status == 204)
            let waited = try server.curl("/v1/events?after=3&wait=20").json()["events"] as? [[String: Any]]
            #expect(waited?.first?["type"] as? String == "deleted")
        }
    }
}

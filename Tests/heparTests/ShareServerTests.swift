import Foundation
import TestSupport
import Testing

/// What one token may take of the disk, the line and the queue, by curl against the real process.
@Suite(.serialized) struct ShareServerTests {
    /// A server with tokens, each made with these arguments of `hepar token add`, and an admin "chief".
    private static func withServer(
        _ tokens: [String: String], settings: [String: String] = [:],
        _ body: (ServerProcess, _ header: (String) -> String, SmallPhantom, URL) throws -> Void
    ) throws {
        try withTemporaryFolder { folder in
            let phantom = try SmallPhantom(in: folder)
            let file = folder.appending(path: "tokens.yaml")
            var texts: [String: String] = [:]
            for (name, arguments) in tokens.merging(["chief": "--role admin"], uniquingKeysWith: { $1 }) {
                let made = try HeparProcess.run(
                    HeparProcess.executable,
                    ["token", "add", "--file", file.path, name] + arguments.split(separator: " ").map(String.init))
                #expect(made.status == 0, "\(made.error)")
                texts[name] = made.output.trimmingCharacters(in: .whitespacesAndNewlines)
            }
            let data = folder.appending(path: "data")
            let own = ["HEPAR_AUTH_TOKENS_FILE": file.path, "HEPAR_DATA_FREE_SPACE_MIB": "1"]
            let server = try ServerProcess(data: data, settings: own.merging(settings) { $1 })
            try body(server, { "Authorization: Bearer \(texts[$0] ?? "")" }, phantom, data)
        }
    }

    private static func files(of job: String, in data: URL) throws -> [String: (size: Int, inode: Int)] {
        let folder = data.appending(path: "jobs/\(job)")
        var found: [String: (size: Int, inode: Int)] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let facts = try FileManager.default.attributesOfItem(atPath: folder.appending(path: name).path)
            found[name] = (facts[.size] as? Int ?? 0, facts[.systemFileNumber] as? Int ?? 0)
        }
        return found
    }

    /// A repeat takes no room, counts all the same, and each of the two outlives the other.
    @Test(arguments: [true, false])
    func aRepeatLinksTheEarlierFiles(deletesTheFirst: Bool) throws {
        try Self.withServer(["a": "--role submit read_own"]) { server, header, phantom, data in
            func submit() throws -> [String: Any] {
                let accepted = try server.curl("/v1/jobs", "-H", header("a"), "-F", "image=@\(phantom.ct.path)")
                #expect(accepted.status == 202, "\(accepted.text)")
                return try accepted.json()
            }
            func job(_ id: String) throws -> [String: Any] {
                try server.curl("/v1/jobs/\(id)?wait=100", "-H", header("chief")).json()
            }
            let first = try #require(try submit()["id"] as? String)
            while try job(first)["state"] as? String != "succeeded" {}
            let repeated = try submit()
            let second = try #require(repeated["id"] as? String)
            #expect(repeated["copied_from"] as? String == first && second != first)

            let (one, two) = (try Self.files(of: first, in: data), try Self.files(of: second, in: data))
            #expect(Set(two.keys) == ["image.nii.gz", "job.json", "mask.nii.gz", "report.json"])
            for name in ["image.nii.gz", "mask.nii.gz"] { #expect(one[name]?.inode == two[name]?.inode, "\(name)") }
            #expect(one["report.json"]?.inode != two["report.json"]?.inode)
            #expect(try job(second)["stored_bytes"] as? Int == two.values.map(\.size).reduce(0, +))
            #expect(try job(first)["stored_bytes"] as? Int == one.values.map(\.size).reduce(0, +))

            let mask = try server.curl("/v1/jobs/\(first)/mask", "-H", header("a")).body
            let (gone, kept) = deletesTheFirst ? (first, second) : (second, first)
            #expect(try server.curl("/v1/jobs/\(gone)", "-X", "DELETE", "-H", header("a")).status == 204)
            #expect(try server.curl("/v1/jobs/\(kept)/mask", "-H", header("a")).body == mask && !mask.isEmpty)
            // The scan is there too: it is drawn, and segmented once more.
            #expect(try server.curl("/v1/jobs/\(kept)/preview.png", "-H", header("a")).status == 200)
            let again = try server.curl("/v1/jobs/\(kept)/verify", "-X", "POST", "-H", header("a"))
            #expect(again.status == 202, "\(again.text)")
            let verify = try #require(try again.json()["id"] as? String)
            var verified = try job(verify)
            while !["succeeded", "failed"].contains(verified["state"] as? String) { verified = try job(verify) }
            let verification = try #require(verified["verification"] as? [String: Any])
            #expect(verification["identical"] as? Bool == true)
            #expect((verification["differences"] as? [String])?.isEmpty == true)
        }
    }

    /// What is stored is told, in the refusal too; a restart measures what was not noted; room comes back with deletion.
    @Test func storedBytesAreHeldToTheQuota() throws {
        let tokens = ["a": "--role submit read_own --stored-mib 1", "b": "--role submit read_own"]
        try Self.withServer(tokens) { server, header, phantom, data in
            func submit(_ name: String) throws -> ServerProcess.Answer {
                try server.curl("/v1/jobs", "-H", header(name), "-F", "image=@\(phantom.ct.path)")
            }
            let first = try #require(try submit("a").json()["id"] as? String)
            while try server.curl("/v1/jobs/\(first)?wait=100", "-H", header("a")).json()["state"] as? String
                != "succeeded"
            {}
            // A part of the mask, made when it is first asked for, counts from then on.
            func stored() throws -> Int {
                let shown = try server.curl("/v1/jobs/\(first)", "-H", header("a")).json()["stored_bytes"]
                return try #require(shown as? Int)
            }
            let before = try stored()
            #expect(try server.curl("/v1/jobs/\(first)/mask?label=liver", "-H", header("a")).status == 200)
            let part = try #require(try Self.files(of: first, in: data)["mask-liver.nii.gz"]?.size)
            #expect(try stored() == before + part)

            var taken = [first]
            var answer = try submit("a")
            while answer.status == 202, taken.count < 500 {
                taken.append(try #require(try answer.json()["id"] as? String))
                answer = try submit("a")
            }
            #expect(answer.status == 507, "\(answer.text)")
            let problem = try answer.json()
            #expect(problem["code"] as? String == "stored_quota_used")
            let detail = try #require(problem["detail"] as? String)
            let all = try taken.flatMap { try Self.files(of: $0, in: data).values.map(\.size) }.reduce(0, +)
            #expect(detail.contains("\(all) bytes") && detail.contains("\(1 << 20)") && all <= 1 << 20, "\(detail)")
            // Nothing is left of what was refused; others are not touched.
            #expect(try FileManager.default.contentsOfDirectory(atPath: data.path + "/jobs").count == taken.count)
            #expect(try FileManager.default.contentsOfDirectory(atPath: data.path + "/incoming").isEmpty)
            #expect(try submit("b").status == 202)
            #expect(try server.curl("/v1/jobs/\(taken[1])", "-X", "DELETE", "-H", header("a")).status == 204)
            #expect(try submit("a").status == 202)
        }
    }

    /// A file that came without its note, as after a crash between the two, counts after the next start.
    @Test func aStartMeasuresWhatWasNotNoted() throws {
        try withTemporaryFolder { folder in
            let phantom = try SmallPhantom(in: folder)
            let data = folder.appending(path: "data")
            var server = try ServerProcess(data: data)
            let id = try #require(
                try server.curl("/v1/jobs", "-F", "image=@\(phantom.ct.path)").json()["id"] as? String)
            let ended = try server.waitForEnd(of: id)
            server.end(SIGKILL)
            let unnoted = data.appending(path: "jobs/\(id)/mask-lesion.nii.gz")
            try Data(repeating: 1, count: 1_000).write(to: unnoted)
            server = try ServerProcess(data: data)
            let expected = try #require(ended["stored_bytes"] as? Int) + 1_000
            var stored: Int?
            for _ in 0..<600 where stored != expected {
                usleep(50_000)
                stored = try server.curl("/v1/jobs/\(id)").json()["stored_bytes"] as? Int
            }
            #expect(stored == expected)
        }
    }

    /// An upload that alone is too much, one beside others, and one whose length nobody told: all by the token's quota.
    @Test func bytesUnderWayAreHeldToTheQuota() throws {
        let tokens = ["a": "--role submit --in-flight-mib 1", "b": "--role submit"]
        try Self.withServer(tokens) { server, header, phantom, data in
            let large = data.deletingLastPathComponent().appending(path: "large")
            try Data(count: 1 << 20 + 1).write(to: large)
            let alone = try server.curl("/v1/jobs", "-H", header("a"), "--data-binary", "@\(large.path)")
            #expect(alone.status == 413, "\(alone.text)")
            #expect(try alone.json()["code"] as? String == "too_large_in_flight")
            let chunked = try server.curl(
                "/v1/jobs", "-H", header("a"), "-H", "Transfer-Encoding: chunked", "--data-binary", "@\(large.path)")
            #expect([413, 429].contains(chunked.status), "\(chunked.text)")
            // Neither counts any more; each may send what is right, again and again.
            for name in ["a", "a", "a", "b"] {
                let right = try server.curl("/v1/jobs", "-H", header(name), "-F", "image=@\(phantom.ct.path)")
                #expect(right.status == 202, "\(right.text)")
            }
            let audit = try server.curl("/v1/audit?limit=1000", "-H", header("chief")).json()
            let refused = (audit["entries"] as? [[String: Any]])?.filter { $0["outcome"] as? String == "413" }
            #expect(refused?.isEmpty == false)
        }
    }

    /// `priority=stat` is a right of its own, asked for before anything is read, and again when such a job is retried.
    @Test func statIsARightOfItsOwn() throws {
        let tokens = ["a": "--role submit read_own", "urgent": "--role submit stat", "only": "--role stat"]
        try Self.withServer(tokens) { server, header, phantom, _ in
            #expect(try server.curl("/v1/queue/pause", "-X", "POST", "-H", header("chief")).status == 200)
            func submit(_ name: String, _ priority: String) throws -> ServerProcess.Answer {
                try server.curl(
                    "/v1/jobs?priority=\(priority)", "-H", header(name), "-F", "image=@\(phantom.ct.path)")
            }
            let refused = try submit("a", "stat")
            #expect(refused.status == 403)
            let detail = try #require(try refused.json()["detail"] as? String)
            #expect(detail.contains("stat") && detail.contains("routine") && detail.contains("role"))
            #expect(try submit("a", "routine").status == 202)
            #expect(try submit("a", "bulk").status == 202)
            #expect(try submit("urgent", "stat").status == 202)
            #expect(try submit("chief", "stat").status == 202)
            #expect(try submit("only", "stat").status == 403)
            #expect(try submit("only", "routine").status == 403)
        }
    }

    /// Reads of UIDs, scans that are only judged and masks that are only scored are in the audit table; `--export` moves
    /// it into a file while the server runs.
    @Test func whoLooksIsKept() throws {
        try Self.withServer(["a": "--role submit read_own", "reader": "--role read_all"]) {
            server, header, phantom, data in
            let folder = data.deletingLastPathComponent()
            let judged = try server.curl("/v1/scans", "-H", header("a"), "-F", "image=@\(phantom.ct.path)")
            #expect(judged.status == 200)
            let scored = try server.curl(
                "/v1/evaluations", "-H", header("a"), "-F", "prediction=@\(phantom.reference.path)", "-F",
                "reference=@\(phantom.reference.path)")
            #expect(scored.status == 200, "\(scored.text)")
            for _ in 0..<30 { #expect(try server.curl("/v1/audit", "-H", header("reader")).status == 403) }
            func entries() throws -> [[String: Any]] {
                try #require(
                    try server.curl("/v1/audit?limit=1000", "-H", header("chief")).json()["entries"]
                        as? [[String: Any]])
            }
            let found = try entries()
            func count(_ actor: String, _ action: String, _ outcome: String) -> Int {
                found.count {
                    $0["actor"] as? String == actor && $0["action"] as? String == action
                        && $0["outcome"] as? String == outcome
                }
            }
            #expect(count("a", "scan.judge", "ok") == 1 && count("a", "masks.score", "ok") == 1)
            #expect((1..<20).contains(count("reader", "audit.read", "403")))
            let exported = try HeparProcess.run(
                "audit", "--export", folder.path, environment: ["HEPAR_DATA_FOLDER": data.path])
            #expect(exported.status == 0, "\(exported.error)")
            let file = folder.appending(path: "audit-000000000001.jsonl")
            let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            #expect(lines.count >= found.count)
            let left = try entries()
            #expect(left.allSatisfy { ($0["sequence"] as? Int ?? 0) > lines.count })
            // What was only counted is written when the server stops.
            server.end()
            let printed = try HeparProcess.run(
                "audit", "--json", environment: ["HEPAR_DATA_FOLDER": data.path])
            let all = try (lines + printed.output.split(separator: "\n")).map {
                try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
            }
            let refusals = all.filter { $0["actor"] as? String == "reader" && $0["outcome"] as? String == "403" }
            #expect(refusals.compactMap { $0["count"] as? Int }.reduce(0, +) == 30)
        }
    }
}

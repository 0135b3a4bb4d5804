import Foundation
import TestSupport
import Testing

/// A server whose database was damaged, lost or replaced, and `hepar recover`.
@Suite(.serialized) struct RecoverTests {
    private static func submit(_ server: ServerProcess, _ ct: URL) throws -> String {
        let accepted = try server.curl(
            "/v1/jobs", "-H", "Cache-Control: no-cache", "-H", "Idempotency-Key: \(UUID())", "-F", "image=@\(ct.path)")
        #expect(accepted.status == 202, "\(accepted.text)")
        return try #require(try accepted.json()["id"] as? String)
    }

    private static func refused(_ data: URL) throws -> String {
        // A start that is not refused shall end the test, not keep it waiting.
        let refused = try HeparProcess.run(
            URL(filePath: "/usr/bin/timeout"), ["120", HeparProcess.executable.path, "serve"],
            environment: ["HEPAR_DATA_FOLDER": data.path, "HEPAR_HTTP_PORT": "0"])
        #expect(refused.status == 1)
        return refused.error
    }

    /// Has all of the database in its one file, as a backup does.
    private static func fold(_ data: URL) throws {
        let copy = data.deletingLastPathComponent().appending(path: "fold-\(UUID())")
        let made = try HeparProcess.run("backup", copy.path, environment: ["HEPAR_DATA_FOLDER": data.path])
        #expect(made.status == 0, "\(made.error)")
        for end in ["", "-wal", "-shm"] { unlink(data.path + "/jobs.sqlite" + end) }
        try FileManager.default.copyItem(
            at: copy.appending(path: "jobs.sqlite"), to: data.appending(path: "jobs.sqlite"))
    }

    private static func folders(_ data: URL) -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: data.path + "/jobs").count) ?? 0
    }

    enum Fate: CaseIterable { case removed, older, damaged, bit, rubbish }

    /// Jobs that ended, one that waits, one that was deleted: after the loss the start is refused and nothing is gone; after
    /// `hepar recover --apply` all of them are what they were.
    @Test(arguments: Fate.allCases)
    func nothingIsLostWithTheDatabase(fate: Fate) throws {
        try withTemporaryFolder { folder in
            let ct = try SmallPhantom(in: folder).ct
            let data = folder.appending(path: "data")
            let file = data.appending(path: "jobs.sqlite")
            var server = try ServerProcess(data: data)
            let deleted = try Self.submit(server, ct)
            _ = try server.waitForEnd(of: deleted)
            #expect(try server.curl("/v1/jobs/\(deleted)", "-X", "DELETE").status == 204)
            server.end()
            try Self.fold(data)
            let older = try Data(contentsOf: file)
            server = try ServerProcess(data: data)
            let done = try Self.submit(server, ct)
            #expect(try server.waitForEnd(of: done)["state"] as? String == "succeeded")
            let mask = try server.curl("/v1/jobs/\(done)/mask").body
            let sum = try #require(try server.curl("/v1/jobs/\(done)").json()["mask_sha256"] as? String)
            #expect(try server.curl("/v1/queue/pause", "-X", "POST").status == 200)
            let waiting = try Self.submit(server, ct)
            server.end()

            try Self.fold(data)
            var bytes = try Data(contentsOf: file)
            switch fate {
            case .removed: try FileManager.default.removeItem(at: file)
            case .older: try older.write(to: file)
            case .bit:
                // In a text of the job's row: SQLite finds nothing wrong.
                let place = try #require(Self.places(of: Data(sum.utf8), in: bytes).first)
                bytes[place + 63] ^= 1
                try bytes.write(to: file)
            case .rubbish: try Data(repeating: 65, count: bytes.count).write(to: file)
            case .damaged:
                // In an index only: the job's name in another place than in the table's page, which comes first.
                let name = Data(done.utf8)
                let places = Self.places(of: name, in: bytes).filter { bytes[$0 / 4_096 * 4_096] == 10 }
                bytes[try #require(places.first) + 35] ^= 1
                try bytes.write(to: file)
            }
            let error = try Self.refused(data)
            #expect(
                error.contains("jobs.sqlite") && error.contains("hepar recover") && !error.contains("ry again"),
                "\(error)")
            let isReadable = fate == .damaged || fate == .bit
            if isReadable || fate == .rubbish { #expect(error.contains("is damaged"), "\(error)") }
            #expect(Self.folders(data) == 2)

            let shown = try HeparProcess.run("recover", data.path)
            #expect(shown.status == 0 && shown.output.contains("Nothing was changed."), "\(shown.output)\(shown.error)")
            #expect(try Self.refused(data).contains("hepar recover"))
            let done2 = try HeparProcess.run("recover", "--apply", data.path)
            #expect(done2.status == 0 && done2.output.contains("Start the server."), "\(done2.output)\(done2.error)")
            let wantsLeftovers = isReadable || fate == .rubbish
            let hasLeftovers = FileManager.default.fileExists(atPath: data.appending(path: "leftovers").path)
            #expect(hasLeftovers == wantsLeftovers)
            #expect(Self.folders(data) == 2)

            server = try ServerProcess(data: data)
            let status = try server.curl("/v1/jobs/\(done)").json()
            #expect(status["state"] as? String == "succeeded" && status["mask_sha256"] as? String == sum)
            #expect(try server.curl("/v1/jobs/\(done)/mask").body == mask)
            if isReadable { #expect(try server.curl("/v1/queue/resume", "-X", "POST").status == 200) }
            #expect(try server.waitForEnd(of: waiting)["state"] as? String == "succeeded")
            #expect(try server.curl("/v1/jobs/\(waiting)/mask").body == mask)
            // Its name went with a database that nothing can be read of.
            let isRemembered = isReadable || fate == .older
            #expect(try server.curl("/v1/jobs/\(deleted)").status == (isRemembered ? 410 : 404))
            server.end()
            #expect(try HeparProcess.run("recover", data.path).output.contains("There is nothing to do."))
        }
    }

    private static func places(of text: Data, in bytes: Data) -> [Int] {
        var places: [Int] = []
        var start = 0
        while let found = bytes.range(of: text, in: start..<bytes.count) {
            places.append(found.lowerBound)
            start = found.upperBound
        }
        return places
    }

    @Test func whatIsNotEnoughForAJobIsMovedAside() throws {
        try withTemporaryFolder { folder in
            let ct = try SmallPhantom(in: folder).ct
            let data = folder.appending(path: "data")
            var server = try ServerProcess(data: data)
            let ids = try (0..<3).map { _ in try Self.submit(server, ct) }
            for id in ids { _ = try server.waitForEnd(of: id) }
            #expect(try HeparProcess.run("recover", data.path).error.contains("Another server works"))
            server.end()
            try FileManager.default.removeItem(at: data.appending(path: "jobs.sqlite"))
            // The first has lost its mask, so it runs again; the second its scan; the third, of a version without notes, is
            // whole by its report.
            try FileManager.default.removeItem(at: data.appending(path: "jobs/\(ids[0])/mask.nii.gz"))
            try FileManager.default.removeItem(at: data.appending(path: "jobs/\(ids[1])/image.nii.gz"))
            try FileManager.default.removeItem(at: data.appending(path: "jobs/\(ids[2])/job.json"))
            let done = try HeparProcess.run("recover", "--apply", data.path)
            #expect(
                done.output.contains("Taken in: 1 jobs as succeeded, 1 as waiting. Moved to leftovers: 1 folders."),
                "\(done.output)\(done.error)")
            let aside = try FileManager.default.subpathsOfDirectory(atPath: data.appending(path: "leftovers").path)
            #expect(aside.contains { $0.hasSuffix("\(ids[1])/mask.nii.gz") })
            server = try ServerProcess(data: data)
            #expect(try server.waitForEnd(of: ids[0])["state"] as? String == "succeeded")
            #expect(try server.curl("/v1/jobs/\(ids[1])").status == 404)
            #expect(try server.curl("/v1/jobs/\(ids[2])/mask").status == 200)
            #expect(try HeparProcess.run("recover", folder.path).error.contains("is no data folder"))
        }
    }

    /// Pages that go bad under a running server: requests and `/readyz` call it damage.
    @Test func damageThatComesLaterShows() throws {
        try withTemporaryFolder { folder in
            let ct = try SmallPhantom(in: folder).ct
            let data = folder.appending(path: "data")
            var server = try ServerProcess(data: data)
            _ = try server.waitForEnd(of: Self.submit(server, ct))
            server.end()
            // This start folds the log into the database, so that nothing is read from there.
            server = try ServerProcess(data: data)
            #expect(try server.curl("/readyz").status == 200)
            let handle = try FileHandle(forWritingTo: data.appending(path: "jobs.sqlite"))
            let pages = try handle.seekToEnd() / 4_096
            for page in 1..<pages {
                try handle.seek(toOffset: page * 4_096)
                try handle.write(contentsOf: Data(repeating: 0x55, count: 4_096))
            }
            var told = ""
            for _ in 0..<200 where try server.curl("/readyz").status == 200 || !told.contains("database_damaged") {
                // A commit has connections forget the pages that they know.
                for answer in try [server.curl("/v1/queue/pause", "-X", "POST"), server.curl("/v1/jobs")] {
                    if answer.status == 500 { told = answer.text }
                }
            }
            #expect(told.contains("database_damaged") && !told.contains("gain later"), "\(told)")
            let ready = try server.curl("/readyz")
            let checks = try ready.json()["checks"] as? [String: String]
            #expect(ready.status == 503 && checks?["database"] == "failing" && checks?["clock"] == "ok")
            #expect(server.logText.contains("is damaged"))
        }
    }

    /// Clients that delete, retry and cancel one job at once are never answered 500, and in the end it is gone.
    @Test func deleteBesideRetryIsNoInternalError() throws {
        try withTemporaryFolder { folder in
            let ct = try SmallPhantom(in: folder).ct
            let server = try ServerProcess(data: folder.appending(path: "data"))
            #expect(try server.curl("/v1/queue/pause", "-X", "POST").status == 200)
            for _ in 0..<12 {
                let id = try Self.submit(server, ct)
                #expect(try server.curl("/v1/jobs/\(id)/cancel", "-X", "POST").status == 200)
                let statuses = Statuses()
                let url = server.url
                DispatchQueue.concurrentPerform(iterations: 4) { number in
                    // One curl sends many requests over one connection: they meet within milliseconds.
                    let path = "\(url)/v1/jobs/\(id)\(number % 2 == 0 ? "/retry" : "")"
                    let one = [
                        "-s", "-o", "/dev/null", "-w", "%{http_code}\n", "-X", number % 2 == 0 ? "POST" : "DELETE",
                        path,
                    ]
                    let all = Array((0..<12).map { _ in one }.joined(separator: ["--next"]))
                    if let outcome = try? HeparProcess.run(URL(filePath: "/usr/bin/curl"), all) {
                        statuses.add(outcome.output)
                    }
                }
                #expect(statuses.all.count == 48)
                #expect(Set(statuses.all).isSubset(of: ["202", "204", "409", "410"]), "\(Set(statuses.all))")
                #expect(try server.curl("/v1/jobs/\(id)", "-X", "DELETE").status == 410)
                #expect(!FileManager.default.fileExists(atPath: folder.path + "/data/jobs/\(id)"))
            }
            #expect(!server.logText.contains("request failed"), "\(server.logText)")
        }
    }

    private final class Statuses: @unchecked Sendable {
        // `texts` is read and written under `lock` only.
        private let lock = NSLock()
        private var texts: [String] = []
        var all: [String] { lock.withLock { texts } }
        func add(_ lines: String) { lock.withLock { texts += lines.split(separator: "\n").map(String.init) } }
    }
}

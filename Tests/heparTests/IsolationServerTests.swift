import Foundation
import Imaging
import TestSupport
import Testing

/// What becomes of a server whose child processes are brought down, as a hostile file would do it.
@Suite(.serialized) struct IsolationServerTests {
    /// The children of `parent` that do `work`, by their process numbers.
    private static func children(of parent: pid_t, doing work: String) -> [pid_t] {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid_t($0) }) ?? []
        return all.filter { id in
            guard let facts = try? String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8),
                let words = try? String(contentsOfFile: "/proc/\(id)/cmdline", encoding: .utf8)
            else { return false }
            // The number after the name in brackets and the state.
            let owner = facts.split(separator: ")").last?.split(separator: " ").dropFirst().first
            return owner == "\(parent)" && words.contains("work\0\(work)")
        }
    }

    private struct NoChild: Error {}

    /// Sends `signal` to the next child of the server that does `work`.
    private static func strike(_ server: pid_t, _ work: String, _ signal: Int32 = SIGSEGV) throws -> pid_t {
        for _ in 0..<3_000 {
            if let child = children(of: server, doing: work).first, kill(child, signal) == 0 { return child }
            usleep(1_000)
        }
        throw NoChild()
    }

    private static func records(in data: URL) throws -> [[String: Any]] {
        let folder = data.appending(path: "quarantine")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return try names.sorted().map {
            try JSONSerialization.jsonObject(with: Data(contentsOf: folder.appending(path: $0))) as? [String: Any]
                ?? [:]
        }
    }

    @Test func aJobThatEndsItsProcessThreeTimesIsPoison() throws {
        try withTemporaryFolder { folder in
            let large = try SmallPhantom(in: folder, shape: Shape(320, 320, 60))
            let data = folder.appending(path: "data")
            let server = try ServerProcess(data: data)
            let accepted = try server.curl("/v1/jobs", "-F", "image=@\(large.ct.path)")
            let id = try #require(try accepted.json()["id"] as? String)
            var struck: Set<pid_t> = []
            while struck.count < 3 {
                guard let child = try? Self.strike(server.process.processIdentifier, "segment") else {
                    throw ServerProcess.ServerError(log: server.logText)
                }
                struck.insert(child)
                while kill(child, 0) == 0 { usleep(1_000) }
            }
            let job = try server.waitForEnd(of: id)
            #expect(job["state"] as? String == "failed" && job["attempts"] as? Int == 3)
            let failure = try #require(job["failure"] as? [String: Any])
            #expect(failure["code"] as? String == "poison")
            #expect((failure["message"] as? String)?.contains("signal 11 (a segmentation fault)") == true)
            let record = try #require(try Self.records(in: data).first)
            #expect(record["job"] as? String == id && record["end"] as? String == "signal_11")
            #expect(((record["files"] as? [[String: Any]])?.first?["sha256"] as? String)?.count == 64)

            // The server lives, and the same scan, left alone, gets its mask.
            #expect(try server.curl("/v1/jobs/\(id)/retry", "-X", "POST").status == 202)
            #expect(try server.waitForEnd(of: id)["state"] as? String == "succeeded")
            #expect(server.process.isRunning)
        }
    }

    @Test func oneDeathCostsAnAttemptAndNoSlices() throws {
        try withTemporaryFolder { folder in
            let large = try SmallPhantom(in: folder, shape: Shape(320, 320, 60))
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let accepted = try server.curl("/v1/jobs", "-F", "image=@\(large.ct.path)")
            let id = try #require(try accepted.json()["id"] as? String)
            _ = try Self.strike(server.process.processIdentifier, "segment", SIGKILL)
            let job = try server.waitForEnd(of: id)
            #expect(job["state"] as? String == "succeeded" && job["attempts"] as? Int == 2)
        }
    }

    @Test func anUploadThatEndsItsReaderIsRefusedAndRecorded() throws {
        try withTemporaryFolder { folder in
            // Half a gigabyte of one value: refused in the end, but not before it was read.
            let slow = folder.appending(path: "slow.nii")
            let affine = Affine(
                x: SIMD3(1, 0, 0), y: SIMD3(0, 1, 0), z: SIMD3(0, 0, 1), origin: SIMD3(0, 0, 0))
            let header = NIfTIHeader(shape: Shape(512, 512, 1000), affine: affine, voxelType: .int16)
            try (Data(header.bytes) + Data(count: header.voxelOffset - header.bytes.count)).write(to: slow)
            #expect(truncate(slow.path, off_t(header.fileSize)) == 0)
            let data = folder.appending(path: "data")
            let server = try ServerProcess(data: data, settings: ["HEPAR_DATA_FREE_SPACE_MIB": "1"])
            // curl waits for the answer, so the blow comes from a thread.
            let parent = server.process.processIdentifier
            let thread = Thread { _ = try? Self.strike(parent, "judge") }
            thread.start()
            let answer = try server.curl("/v1/scans", "-F", "image=@\(slow.path)")
            #expect(answer.status == 422)
            #expect(try answer.json()["code"] as? String == "unreadable")
            #expect(answer.text.contains("signal 11"))
            let record = try #require(try Self.records(in: data).first)
            #expect(record["work"] as? String == "judge" && record["caller"] as? String != nil)
            let file = (record["files"] as? [[String: Any]])?.first
            #expect(file?["bytes"] as? Int == header.fileSize)
            #expect(try server.curl("/readyz").status == 200)

            // What the kernel ends may be for want of memory: once, it is to be tried again.
            let handle = try FileHandle(forWritingTo: slow)
            try handle.seek(toOffset: 4096)
            try handle.write(contentsOf: Data([1]))
            try handle.close()
            for (status, code) in [(503, "no_memory"), (422, "unreadable")] {
                let killer = Thread { _ = try? Self.strike(parent, "judge", SIGKILL) }
                killer.start()
                let answer = try server.curl("/v1/scans", "-F", "image=@\(slow.path)")
                #expect(answer.status == status)
                #expect(try answer.json()["code"] as? String == code)
                #expect(answer.headers.contains("Retry-After:") == (status == 503))
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: data.appending(path: "incoming").path)
            #expect(left.isEmpty)
        }
    }

    /// The child that draws is held until the job is gone; then it cannot read what it was to read.
    @Test(arguments: ["preview.png", "report?format=html"])
    func whoAsksForAJobThatIsDeletedMeanwhileIsToldSo(of what: String) throws {
        try withTemporaryFolder { folder in
            let ct = try SmallPhantom(in: folder).ct
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let accepted = try server.curl("/v1/jobs", "-F", "image=@\(ct.path)")
            let id = try #require(try accepted.json()["id"] as? String)
            #expect(try server.waitForEnd(of: id)["state"] as? String == "succeeded")
            let (parent, job) = (server.process.processIdentifier, "\(server.url)/v1/jobs/\(id)")
            let thread = Thread {
                guard let child = try? Self.strike(parent, "draw", SIGSTOP) else { return }
                let delete = Process()
                delete.executableURL = URL(filePath: "/usr/bin/curl")
                delete.arguments = ["-s", "-X", "DELETE", job]
                if (try? delete.run()) != nil { delete.waitUntilExit() }
                kill(child, SIGKILL)
            }
            thread.start()
            let answer = try server.curl("/v1/jobs/\(id)/\(what)")
            #expect(answer.status == 410)
            #expect(try answer.json()["code"] as? String == "deleted")
        }
    }

    @Test func theLogTellsHowUploadsAreConfined() throws {
        try withTemporaryFolder { folder in
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let facts = /landlock=\d+ landlock_leaves_open=\S+ seccomp=(true|false) seccomp_covers=\S+/
            #expect(server.logText.firstMatch(of: facts) != nil)
        }
    }

    /// Two jobs at once take turns at the cores, and each gets the mask that it gets alone.
    @Test func jobsSideBySideGetTheSameMasks() throws {
        try withTemporaryFolder { folder in
            let ct = try SmallPhantom(in: folder).ct
            let server = try ServerProcess(data: folder.appending(path: "data"), settings: ["HEPAR_JOBS_WORKERS": "2"])
            var masks: Set<String> = []
            var ids: [String] = []
            for _ in 0..<4 {
                let accepted = try server.curl("/v1/jobs", "-H", "Cache-Control: no-cache", "-F", "image=@\(ct.path)")
                ids.append(try #require(try accepted.json()["id"] as? String))
            }
            for id in ids { masks.insert(try #require(try server.waitForEnd(of: id)["mask_sha256"] as? String)) }
            #expect(masks.count == 1)
        }
    }
}

import Foundation
import Imaging
import TestSupport
import Testing

/// `hepar backup` beside a real server, and a server on the copy.
@Suite(.serialized) struct BackupTests {
    private static func submit(_ server: ServerProcess, _ ct: URL, isFresh: Bool = true) throws -> String {
        let cache = isFresh ? ["-H", "Cache-Control: no-cache"] : []
        let accepted = try server.curl("/v1/jobs", cache + ["-F", "image=@\(ct.path)"])
        #expect(accepted.status == 202, "\(accepted.text)")
        return try #require(try accepted.json()["id"] as? String)
    }

    private static func backUp(_ data: URL, to copy: URL) throws -> HeparProcess.Outcome {
        try HeparProcess.run("backup", copy.path, environment: ["HEPAR_DATA_FOLDER": data.path])
    }

    /// Names below a folder that are not folders, with their bytes.
    private static func files(in folder: URL) throws -> [String: Data] {
        let paths = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
        return Dictionary(
            uniqueKeysWithValues: paths.compactMap { path in
                let file = folder.appending(path: path)
                guard !file.hasDirectoryPath, let bytes = try? Data(contentsOf: file) else { return nil }
                return (path, bytes)
            })
    }

    @Test func aCopyOfABusyServerServesAndGoesOn() throws {
        try withTemporaryFolder { folder in
            let small = try SmallPhantom(in: folder)
            let data = folder.appending(path: "data")
            let copy = folder.appending(path: "copy")
            let large = try SmallPhantom(in: try Self.folder("large", in: folder), shape: Shape(320, 320, 60))
            var server = try ServerProcess(data: data)
            let done = try (0..<3).map { try Self.submit(server, small.ct, isFresh: $0 == 0) }
            for id in done { #expect(try server.waitForEnd(of: id)["state"] as? String == "succeeded") }
            let masks = try done.map { try server.curl("/v1/jobs/\($0)/mask").body }
            let key = try server.curl("/v1/signing-key").text
            try Data("tokens: []\n".utf8).write(to: data.appending(path: "tokens.yaml"))
            let running = try Self.submit(server, large.ct)
            try server.waitUntilRunning(running)
            let waiting = try (0..<3).map { _ in try Self.submit(server, small.ct) }

            let made = try Self.backUp(data, to: copy)
            #expect(try server.curl("/v1/jobs/\(running)").json()["state"] as? String == "running")
            #expect(made.status == 0, "\(made.error)")
            #expect(made.output.contains("7 jobs") && made.output.contains("Each job has its files."), "\(made.output)")
            let later = try Self.submit(server, small.ct)
            server.end(SIGKILL)

            let files = try Self.files(in: copy)
            #expect(files["tokens.yaml"] == Data("tokens: []\n".utf8))
            #expect(files["signing.key"] != nil && files["lock"] == nil)
            #expect(!files.keys.contains { $0.contains("journal") || $0.hasSuffix("-wal") || $0.contains("/.") })
            for path in files.keys {
                let mode = try FileManager.default.attributesOfItem(atPath: copy.appending(path: path).path)
                if path != "SHA256SUMS" { #expect(mode[.posixPermissions] as? Int == 0o600, "\(path)") }
            }
            let verified = try HeparProcess.run("backup", "--verify", copy.path)
            #expect(verified.status == 0 && verified.output.contains("7 jobs"), "\(verified.output)\(verified.error)")

            server = try ServerProcess(data: copy)
            for (id, mask) in zip(done, masks) {
                #expect(try server.curl("/v1/jobs/\(id)/mask").body == mask)
                #expect(try server.curl("/v1/jobs/\(id)/report").status == 200)
            }
            #expect(try server.curl("/v1/signing-key").text == key)
            for id in waiting + [running] {
                #expect(try server.waitForEnd(of: id)["state"] as? String == "succeeded")
            }
            #expect(try server.curl("/v1/jobs/\(waiting[0])/mask").body == masks[0])
            #expect(try server.curl("/v1/jobs/\(later)").status == 404)
        }
    }

    /// Of a job that is deleted between the database's copy and that of its files, nothing is left in the copy.
    @Test func aJobThatIsDeletedMeanwhileIsLeftOut() throws {
        try withTemporaryFolder { folder in
            let ct = try SmallPhantom(in: folder).ct
            let data = folder.appending(path: "data")
            let copy = folder.appending(path: "copy")
            var server = try ServerProcess(data: data)
            let first = try Self.submit(server, ct)
            _ = try server.waitForEnd(of: first)
            let jobs = try [first] + (0..<60).map { _ in try Self.submit(server, ct, isFresh: false) }

            let backup = Process()
            backup.executableURL = HeparProcess.executable
            backup.arguments = ["backup", copy.path]
            backup.environment = ProcessInfo.processInfo.environment.merging(["HEPAR_DATA_FOLDER": data.path]) { $1 }
            let output = Pipe()
            backup.standardOutput = output
            try backup.run()
            // The database is copied once the next file is there; the last job's turn comes after 60 others.
            let sign = copy.path + ".begun/signing.key"
            while backup.isRunning, access(sign, F_OK) != 0 { usleep(500) }
            kill(backup.processIdentifier, SIGSTOP)
            #expect(try server.curl("/v1/jobs/\(jobs[60])", "-X", "DELETE").status == 204)
            kill(backup.processIdentifier, SIGCONT)
            let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            backup.waitUntilExit()
            #expect(backup.terminationStatus == 0)
            #expect(text.contains("60 jobs") && text.contains("left out: 1."), "\(text)")
            server.end()

            #expect(try HeparProcess.run("backup", "--verify", copy.path).status == 0)
            server = try ServerProcess(data: copy)
            #expect(try server.curl("/v1/jobs/\(jobs[60])").status == 410)
            #expect(try server.curl("/v1/jobs/\(jobs[59])/mask").status == 200)
            #expect(try server.curl("/v1/jobs?limit=100").json()["jobs"].map { ($0 as? [Any])?.count } == 60)
        }
    }

    @Test func whatIsDamagedIsSeen() throws {
        try withTemporaryFolder { folder in
            let ct = try SmallPhantom(in: folder).ct
            let data = folder.appending(path: "data")
            let server = try ServerProcess(data: data)
            let id = try Self.submit(server, ct)
            _ = try server.waitForEnd(of: id)
            server.end()
            // Without a server it works as well; and again into an empty folder that is there.
            let copy = try Self.folder("copy", in: folder)
            #expect(try Self.backUp(data, to: copy).status == 0)

            let mask = copy.appending(path: "jobs/\(id)/mask.nii.gz")
            let bytes = try Data(contentsOf: mask)
            func verify() throws -> HeparProcess.Outcome { try HeparProcess.run("backup", "--verify", copy.path) }
            var changed = bytes
            changed[changed.count / 2] ^= 1
            try changed.write(to: mask)
            #expect(try verify().status == 2 && verify().error.contains("mask.nii.gz is not what was written"))
            try FileManager.default.removeItem(at: mask)
            #expect(try verify().status == 2 && verify().error.contains("mask.nii.gz is missing"))
            try bytes.write(to: mask)
            #expect(try verify().status == 0)
            let extra = copy.appending(path: "jobs/extra")
            try Data().write(to: extra)
            #expect(try verify().status == 2 && verify().error.contains("not part of the backup"))

            // What the data folder itself has lost is told, and the rest is copied.
            try FileManager.default.removeItem(at: data.appending(path: "jobs/\(id)/mask.nii.gz"))
            let poor = try Self.backUp(data, to: folder.appending(path: "poor"))
            #expect(poor.status == 0 && poor.output.contains("have lost files") && poor.output.contains(id))
        }
    }

    @Test func badPlacesAreRefused() throws {
        try withTemporaryFolder { folder in
            let data = folder.appending(path: "data")
            try ServerProcess(data: data).end()
            let full = try Self.folder("full", in: folder)
            try Data().write(to: full.appending(path: "file"))
            try FileManager.default.createSymbolicLink(
                at: folder.appending(path: "link"), withDestinationURL: data.appending(path: "jobs"))
            _ = try Self.folder("taken.begun", in: folder)
            for (place, word) in [
                (full, "not empty"), (data.appending(path: "copy"), "lie in one another"), (data, "lie in one another"),
                (folder.appending(path: "link/copy"), "lie in one another"),
                (URL(filePath: "/nowhere/copy"), "cannot be"),
                (folder, "lie in one another"), (folder.appending(path: "taken"), "broken off"),
                (full.appending(path: "file"), "is a file"),
            ] {
                let refused = try Self.backUp(data, to: place)
                #expect(refused.status == 2 && refused.error.contains(word), "\(place.path): \(refused.error)")
            }
            let none = try Self.backUp(full, to: folder.appending(path: "copy"))
            #expect(none.status == 2 && none.error.contains("no job database"))
            #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "copy").path))
        }
    }

    /// Each schema but the present one is refused in a sentence, by `backup` before, by `serve` after.
    @Test func otherVersionsAreRefused() throws {
        try withTemporaryFolder { folder in
            for (name, word) in [("schema-1", "an earlier version"), ("schema-later", "a later version")] {
                let data = try Self.folder(name, in: folder)
                try FileManager.default.copyItem(
                    at: SharedData.fixture("jobs/\(name).sqlite"), to: data.appending(path: "jobs.sqlite"))
                let copy = folder.appending(path: "copy")
                let refused = try Self.backUp(data, to: copy)
                #expect(refused.status == 1 && refused.error.contains(word), "\(refused.error)")
                #expect(!FileManager.default.fileExists(atPath: copy.path))
                #expect(!FileManager.default.fileExists(atPath: copy.path + ".begun"))
            }
            let later = folder.appending(path: "schema-later").path
            let refused = try HeparProcess.run(
                "serve", environment: ["HEPAR_DATA_FOLDER": later, "HEPAR_HTTP_PORT": "0"])
            #expect(
                refused.status == 1 && refused.error.contains("a later version of this program"), "\(refused.error)")
        }
    }

    private static func folder(_ name: String, in folder: URL) throws -> URL {
        let made = folder.appending(path: name)
        try FileManager.default.createDirectory(at: made, withIntermediateDirectories: true)
        return made
    }
}

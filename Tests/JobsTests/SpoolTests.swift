import Foundation
import TestSupport
import Testing

@testable import Jobs

@Suite struct SpoolTests {
    private func put(_ text: String, _ name: String, in spool: Spool) throws -> URL {
        let file = spool.incoming.appending(path: name)
        try Data(text.utf8).write(to: file)
        return file
    }

    private func text(_ file: URL) -> String? {
        (try? Data(contentsOf: file)).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test func adoptMovesFilesUnderTheirNames() throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder.appending(path: "a/data"))
            let id = JobID()
            let image = try put("image", "u1", in: spool)
            let reference = try put("reference", "u2", in: spool)
            try spool.adopt(files: [(image, "image.nii.gz"), (reference, "reference.nii")], for: id)

            #expect(text(spool.folder(of: id).appending(path: "image.nii.gz")) == "image")
            #expect(text(spool.folder(of: id).appending(path: "reference.nii")) == "reference")
            #expect(try FileManager.default.contentsOfDirectory(atPath: spool.incoming.path).isEmpty)
            try spool.sync(id)

            // More files may follow.
            try spool.adopt(files: [(put("mask", "u3", in: spool), "mask.nii.gz")], for: id)
            #expect(text(spool.folder(of: id).appending(path: "mask.nii.gz")) == "mask")
            #expect(text(spool.folder(of: id).appending(path: "image.nii.gz")) == "image")
        }
    }

    @Test func foldersAreForTheServersUserOnly() throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder.appending(path: "data"))
            let id = JobID()
            try spool.adopt(files: [(put("x", "u", in: spool), "image.nii")], for: id)
            for place in [folder.appending(path: "data"), spool.incoming, spool.folder(of: id)] {
                let attributes = try FileManager.default.attributesOfItem(atPath: place.path)
                #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o700)
            }
        }
    }

    @Test func failedAdoptionLeavesNothingInTheJobsFolder() throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            let id = JobID()
            let image = try put("image", "u1", in: spool)
            let missing = spool.incoming.appending(path: "u2")
            #expect(throws: SpoolError.self) {
                try spool.adopt(files: [(image, "image.nii"), (missing, "reference.nii")], for: id)
            }
            #expect(!FileManager.default.fileExists(atPath: spool.folder(of: id).path))
        }
    }

    /// A link could lead the server to sync or serve a file outside its folder.
    @Test func linksAreNotFollowed() throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            let link = spool.incoming.appending(path: "u")
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: URL(filePath: "/etc/passwd"))
            #expect(throws: SpoolError.self) { try spool.adopt(files: [(link, "image.nii")], for: JobID()) }
        }
    }

    /// The data folder itself may be one: operators move it to another disk.
    @Test func dataFolderMayBeALink() throws {
        try withTemporaryFolder { folder in
            let disk = folder.appending(path: "disk")
            let link = folder.appending(path: "data")
            try FileManager.default.createDirectory(at: disk, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: disk)
            let spool = try Spool(folder: link)
            let id = JobID()
            try spool.adopt(files: [(put("x", "u", in: spool), "image.nii")], for: id)
            #expect(text(disk.appending(path: "jobs/\(id)/image.nii")) == "x")
        }
    }

    @Test func removeTakesEverything() throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            let id = JobID()
            try spool.adopt(files: [(put("x", "u", in: spool), "image.nii")], for: id)
            let inner = spool.folder(of: id).appending(path: "parts/.hidden")
            try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
            try spool.remove(id)
            #expect(!FileManager.default.fileExists(atPath: spool.folder(of: id).path))
            try spool.remove(id)
        }
    }

    @Test func sweepTellsFoldersApart() throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            let jobs = (0..<5).map { _ in NewJob(options: Data("{}".utf8), hasReference: false, uploadBytes: 1) }
            for job in jobs { try spool.adopt(files: [(put("x", "u", in: spool), "image.nii")], of: job) }
            let (kept, removed, unanswered, lost, unnoted) = (
                jobs[0].id, jobs[1].id, jobs[2].id, jobs[3].id, jobs[4].id
            )
            for id in [kept, removed, lost, unnoted] { try spool.accepted(id) }
            try FileManager.default.removeItem(at: spool.folder(of: unnoted).appending(path: JobNote.name))
            _ = try put("half", "u9", in: spool)
            // A mask that a killed run had begun.
            let begun = spool.folder(of: kept).appending(path: ".hepar-0a1b.nii.gz")
            try Data("half".utf8).write(to: begun)
            let foreign = folder.appending(path: "jobs/lost+found")
            try FileManager.default.createDirectory(at: foreign, withIntermediateDirectories: true)
            let gone = JobID()
            // Made by an upload, and no more.
            let empty = JobID()
            try FileManager.default.createDirectory(at: spool.folder(of: empty), withIntermediateDirectories: false)

            let survey = try spool.survey(names: [kept, gone]) { $0 == removed }
            var expected = SpoolSurvey()
            expected.known = [kept]
            expected.removed = [removed]
            expected.unanswered = [unanswered, empty]
            expected.lost = [lost]
            expected.unnoted = [unnoted]
            expected.withoutFolder = [gone]
            #expect(survey == expected)
            #expect(
                try SingleHost(of: spool).sweep(survey, aside: time()) == Swept(removed: 5, setAside: 2, unnoted: []))

            #expect(!FileManager.default.fileExists(atPath: begun.path))
            #expect(text(spool.folder(of: kept).appending(path: "image.nii")) == "x")
            #expect(JobNote.read(in: spool.folder(of: kept)) != nil)
            for id in [removed, unanswered, empty, lost, unnoted] {
                #expect(!FileManager.default.fileExists(atPath: spool.folder(of: id).path))
            }
            for id in [lost, unnoted] {
                #expect(text(folder.appending(path: "leftovers/2026-01-01/\(id)/image.nii")) == "x")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: spool.incoming.path).isEmpty)
            #expect(FileManager.default.fileExists(atPath: foreign.path))
        }
    }

    /// Fourteen days after the day is over, and not before.
    @Test func leftoversGoAfterDays() throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            #expect(try spool.removeLeftovers(at: time()) == 0)
            let id = JobID()
            try spool.adopt(files: [(put("x", "u", in: spool), "image.nii")], for: id)
            try spool.setAside(id, day: time())
            try Data("base".utf8).write(to: folder.appending(path: "jobs.sqlite"))
            for number in 1...2 {
                let place = try spool.setAside(files: ["jobs.sqlite", "none"], as: "database", day: time())
                #expect(place.lastPathComponent == (number == 1 ? "database" : "database-2"))
            }
            #expect(text(folder.appending(path: "leftovers/2026-01-01/database/jobs.sqlite")) == "base")
            let day = 86_400.0
            #expect(try spool.removeLeftovers(at: time(15 * day)) == 0)
            #expect(text(folder.appending(path: "leftovers/2026-01-01/\(id)/image.nii")) == "x")
            #expect(try spool.removeLeftovers(at: time(16 * day)) == 1)
            #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "leftovers/2026-01-01").path))
        }
    }

    /// The note is whole after it was written, and another job's is none.
    @Test func noteKeepsWhatTheRowWouldHave() throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            let new = NewJob(
                options: Data([0, 255, 7]), hasReference: true, uploadBytes: 12, createdAt: time(0.25),
                retryKey: RetryKey(key: "a/k", digest: "d"), priority: .stat, cost: 1.5, owner: "a",
                webhook: "https://x/y", contentKey: "c", request: "r")
            try spool.adopt(files: [(put("x", "u", in: spool), "image.nii")], of: new)
            #expect(JobNote.read(in: spool.folder(of: new.id)) == nil)
            try spool.accepted(new.id)
            #expect(JobNote.read(in: spool.folder(of: new.id)) == new)
            let other = spool.folder(of: JobID())
            try FileManager.default.moveItem(at: spool.folder(of: new.id), to: other)
            #expect(JobNote.read(in: other) == nil)
        }
    }

    @Test func folderThatCannotBeMade() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "file")
            try Data().write(to: file)
            let inside = file.appending(path: "data")
            #expect(throws: SpoolError.notWritable(folder: inside.path)) { try Spool(folder: inside) }
        }
    }

    @Test func secondLockIsRefusedUntilTheFirstIsGone() throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            var host: SingleHost? = try SingleHost(of: spool)
            #expect(throws: SpoolError.inUse(folder: folder.path)) { try SingleHost(of: Spool(folder: folder)) }
            withExtendedLifetime(host) {}
            host = nil
            _ = try SingleHost(of: spool)
        }
    }

    @Test func spaceAndErrors() throws {
        try withTemporaryFolder { folder in
            let free = try Spool(folder: folder).freeBytes()
            let attributes = try FileManager.default.attributesOfFileSystem(forPath: folder.path)
            let expected = try #require(attributes[.systemFreeSize] as? NSNumber).intValue
            // Others write meanwhile.
            #expect(abs(free - expected) <= max(free, expected) / 4)
        }
        #expect(SpoolError("x", code: ENOSPC) == .diskFull)
        #expect(SpoolError("x", code: EDQUOT) == .diskFull)
        #expect(SpoolError("x", code: EIO) == .system(operation: "x", code: EIO))
    }
}

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

    @Test func sweepRemovesWhatHasNoRow() throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            let kept = JobID()
            let orphan = JobID()
            for id in [kept, orphan] { try spool.adopt(files: [(put("x", "u", in: spool), "image.nii")], for: id) }
            _ = try put("half", "u9", in: spool)
            // A mask that a killed run had begun.
            let begun = spool.folder(of: kept).appending(path: ".hepar-0a1b.nii.gz")
            try Data("half".utf8).write(to: begun)
            let foreign = folder.appending(path: "jobs/lost+found")
            try FileManager.default.createDirectory(at: foreign, withIntermediateDirectories: true)

            #expect(try spool.sweep(keeping: [kept]) == 3)
            #expect(!FileManager.default.fileExists(atPath: begun.path))
            #expect(text(spool.folder(of: kept).appending(path: "image.nii")) == "x")
            #expect(!FileManager.default.fileExists(atPath: spool.folder(of: orphan).path))
            #expect(try FileManager.default.contentsOfDirectory(atPath: spool.incoming.path).isEmpty)
            #expect(FileManager.default.fileExists(atPath: foreign.path))
        }
    }

    /// A store that cannot be asked must not cost a job its files.
    @Test func sweepWithAStore() throws {
        try withTemporaryFolder { folder in
            let spool = try Spool(folder: folder)
            let store = try StoreKind.sqlite.open(in: folder)
            let kept = try store.enqueueOne().id
            let removed = try store.enqueueOne().id
            for id in [kept, removed] { try spool.adopt(files: [(put("x", "u", in: spool), "image.nii")], for: id) }
            _ = try store.cancel(removed, at: time())
            try store.remove(removed)
            #expect(try spool.sweep(keeping: store.names()) == 1)
            #expect(FileManager.default.fileExists(atPath: spool.folder(of: kept).path))
            #expect(!FileManager.default.fileExists(atPath: spool.folder(of: removed).path))
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
            var lock: SpoolLock? = try spool.lock()
            #expect(throws: SpoolError.inUse(folder: folder.path)) { try Spool(folder: folder).lock() }
            withExtendedLifetime(lock) {}
            lock = nil
            _ = try spool.lock()
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

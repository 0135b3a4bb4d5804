import Foundation
import Jobs
import SQLiteJobs
import TestSupport
import Testing

@testable import Work

/// A start deletes nothing on the word of a database that is not the folders'.
@Suite struct StartCheckTests {
    private struct DataFolder {
        let folder: URL
        let spool: Spool
        var file: URL { folder.appending(path: "jobs.sqlite") }

        init(_ folder: URL) throws {
            self.folder = folder
            spool = try Spool(folder: folder)
        }

        func open() throws -> SQLiteJobStore { try SQLiteJobStore(file: file) }

        /// A job as a submit leaves it, up to one of its steps.
        @discardableResult
        func submit(_ store: SQLiteJobStore, isEntered: Bool = true, isAnswered: Bool = true) throws -> JobID {
            let upload = spool.incoming.appending(path: UUID().uuidString)
            try Data("scan".utf8).write(to: upload)
            let new = NewJob(options: Data("{}".utf8), hasReference: false, uploadBytes: 4, owner: "a")
            try spool.adopt(files: [(upload, "image.nii")], of: new)
            if isEntered { _ = try store.enqueue(new, limits: QueueLimits(jobs: 999)) }
            if isAnswered { try spool.accepted(new.id) }
            return new.id
        }

        func recover(_ store: SQLiteJobStore) throws -> Swept {
            try SingleHost(of: spool).recover(store, dataFolder: "data", day: Date()).swept
        }

        var folders: Int { (try? FileManager.default.contentsOfDirectory(atPath: folder.path + "/jobs").count) ?? 0 }
    }

    @Test func whatACrashLeftIsCleared() throws {
        try withTemporaryFolder { folder in
            let data = try DataFolder(folder)
            let store = try data.open()
            let kept = try data.submit(store)
            // Killed between the row and the answer.
            let entered = try data.submit(store, isAnswered: false)
            // Killed before the row.
            try data.submit(store, isEntered: false, isAnswered: false)
            // Killed between the row and the files of a DELETE.
            let deleted = try data.submit(store)
            _ = try store.cancel(deleted, at: Date())
            try store.remove(deleted)
            let swept = try data.recover(store)
            #expect(swept.removed == 2 && swept.setAside == 0 && swept.unnoted.isEmpty)
            #expect(data.folders == 2)
            for id in [kept, entered] { #expect(JobNote.read(in: data.spool.folder(of: id))?.owner == "a") }
        }
    }

    enum Fate: CaseIterable { case removed, emptied, older }

    @Test(arguments: Fate.allCases)
    func anotherDatabaseRefusesTheStart(fate: Fate) throws {
        try withTemporaryFolder { folder in
            let data = try DataFolder(folder)
            let store = try data.open()
            for _ in 0..<20 { try data.submit(store) }
            try store.close()
            let backup = try Data(contentsOf: data.file)
            // One job more is enough.
            let newer = try data.open()
            try data.submit(newer)
            try newer.close()
            switch fate {
            case .removed: try FileManager.default.removeItem(at: data.file)
            case .emptied: try Data().write(to: data.file)
            case .older: try backup.write(to: data.file)
            }
            let found = try data.open()
            let error = #expect(throws: ImplausibleDatabase.self) { try data.recover(found) }
            #expect(error?.folders == (fate == .older ? 1 : 21) && error?.jobs == (fate == .older ? 20 : 0))
            #expect("\(error!)".contains("data/jobs.sqlite") && "\(error!)".contains("hepar recover data"))
            #expect(data.folders == 21)
        }
    }

    /// Folders of versions that wrote no notes: one of the last day is what a crash leaves, and is set aside; more, older
    /// ones, or any beside a database without events refuse the start.
    @Test func foldersWithoutANoteAreFewAndYoungOrRefused() throws {
        try withTemporaryFolder { folder in
            let data = try DataFolder(folder)
            func orphan(_ id: JobID = JobID()) throws {
                try FileManager.default.createDirectory(
                    at: data.spool.folder(of: id), withIntermediateDirectories: false)
                try Data("scan".utf8).write(to: data.spool.folder(of: id).appending(path: "image.nii"))
            }
            let store = try data.open()
            try orphan()
            #expect(throws: ImplausibleDatabase.self) { try data.recover(store) }
            let known = try data.submit(store)
            // As an earlier version left it: the start writes the note.
            let note = data.spool.folder(of: known).appending(path: JobNote.name)
            try FileManager.default.removeItem(at: note)
            let swept = try data.recover(store)
            #expect(swept.removed == 0 && swept.setAside == 1 && swept.unnoted == [known])
            #expect(JobNote.read(in: data.spool.folder(of: known))?.uploadBytes == 4)
            #expect(data.folders == 1)
            let leftovers = try FileManager.default.subpathsOfDirectory(atPath: folder.path + "/leftovers")
            #expect(leftovers.count == 3)

            for _ in 0..<2 { try orphan() }
            #expect(throws: ImplausibleDatabase.self) { try data.recover(store) }
            #expect(data.folders == 3)
        }
        try withTemporaryFolder { folder in
            let data = try DataFolder(folder)
            let store = try data.open()
            try data.submit(store)
            let old = try #require(JobID("01800000-0000-7000-8000-000000000000"))
            try FileManager.default.createDirectory(at: data.spool.folder(of: old), withIntermediateDirectories: false)
            try Data("scan".utf8).write(to: data.spool.folder(of: old).appending(path: "image.nii"))
            #expect(throws: ImplausibleDatabase.self) { try data.recover(store) }
        }
    }
}

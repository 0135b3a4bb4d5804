import Foundation
import Jobs
import TestSupport
import Testing

@testable import SQLiteJobs

/// A damaged database is told as such, is not worked with, and gives back what can be read of it.
@Suite struct DamageTests {
    /// A closed database with `count` jobs, every third of which was removed; its file, and the jobs.
    private func database(in folder: URL, jobs count: Int) throws -> (file: URL, jobs: [JobID], removed: [JobID]) {
        let file = folder.appending(path: "jobs.sqlite")
        let store = try SQLiteJobStore(file: file)
        var (kept, removed): ([JobID], [JobID]) = ([], [])
        for number in 0..<count {
            let new = NewJob(
                options: Data(repeating: 7, count: 900), hasReference: false, uploadBytes: number,
                retryKey: RetryKey(key: "k\(number)", digest: "d"), owner: "a")
            let id = try store.enqueue(new, queueLimit: 9_999).id
            guard number % 3 == 0 else {
                kept.append(id)
                continue
            }
            _ = try store.cancel(id, at: time())
            try store.remove(id)
            removed.append(id)
        }
        _ = try store.append([AuditEntry(actor: "a", action: "job.submit", outcome: "ok")])
        try store.close()
        return (file, kept, removed)
    }

    /// Changes the pages of a file whose first byte is one of `kinds`: 13 and 5 are a table's, 10 and 2 an index's.
    ///
    /// - Returns: how many `change` says that it changed.
    private func changePages(of file: URL, kinds: Set<UInt8>, _ change: (inout Data) -> Bool) throws -> Int {
        let bytes = try Data(contentsOf: file)
        var changed = Data()
        var count = 0
        for start in stride(from: 0, to: bytes.count, by: 4_096) {
            var page = Data(bytes[start..<start + 4_096])
            if start > 0, kinds.contains(page[0]), change(&page) { count += 1 }
            changed.append(page)
        }
        try changed.write(to: file)
        return count
    }

    /// The index from which names are listed has one name that is not in the table: nothing else is wrong.
    @Test func oneWrongCellOfAnIndexIsFound() throws {
        try withTemporaryFolder { folder in
            let (file, jobs, _) = try database(in: folder, jobs: 30)
            let name = Data(jobs[4].description.utf8)
            var isDone = false
            let count = try changePages(of: file, kinds: [10]) { page in
                guard !isDone, let place = page.range(of: name) else { return false }
                page[place.upperBound - 1] ^= 1
                isDone = true
                return true
            }
            #expect(count == 1)
            let error = #expect(throws: JobStoreError.self) { try SQLiteJobStore(file: file) }
            guard case .corrupt(file.path, let found)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(found.contains("index"), "\(found)")
            #expect("\(error!)".contains("hepar recover") && !"\(error!)".contains("Try again"))
            #expect(try DatabaseSurvey(of: file).damage == error)
            #expect(throws: JobStoreError.self) {
                try DatabaseCopy(of: file, to: folder.appending(path: "copy.sqlite"))
            }
        }
    }

    /// Damage that comes while the server runs: each call says so, and so does `check` from then on.
    @Test func damageIsToldAndRemembered() throws {
        try withTemporaryFolder { folder in
            let (file, _, _) = try database(in: folder, jobs: 300)
            let store = try SQLiteJobStore(file: file)
            try store.check()
            // Written in place: another file would not be seen.
            let handle = try FileHandle(forWritingTo: file)
            let pages = try handle.seekToEnd() / 4_096
            for page in 1..<pages {
                try handle.seek(toOffset: page * 4_096)
                try handle.write(contentsOf: Data(repeating: 0x55, count: 4_096))
            }
            try handle.close()
            // A commit has other connections forget the pages that they know.
            _ = try? store.setPaused(true)
            func isDamage(_ body: () throws -> Void) -> Bool {
                do {
                    try body()
                    return false
                } catch {
                    return (error as? JobStoreError)?.isDamage == true
                }
            }
            #expect(isDamage { _ = try store.jobs(JobFilter(limit: 500)) })
            #expect(isDamage { try store.check() })
            #expect(isDamage { try store.check() })
        }
    }

    @Test func salvageReadsAllWhereOnlyIndexesAreDamaged() throws {
        try withTemporaryFolder { folder in
            let (file, jobs, removed) = try database(in: folder, jobs: 60)
            // Not those of tables without row ids, which are index pages too.
            let count = try changePages(of: file, kinds: [10]) { page in
                let isJobIndex = page.range(of: Data("queued".utf8)) != nil
                if isJobIndex { page.replaceSubrange(8..<4_096, with: Data(repeating: 0xAA, count: 4_088)) }
                return isJobIndex
            }
            #expect(count > 0)
            #expect(throws: JobStoreError.self) { try SQLiteJobStore(file: file) }
            let new = try SQLiteJobStore(file: folder.appending(path: "new.sqlite"))
            let salvaged = try new.salvage(from: file)
            #expect(salvaged.isWhole && salvaged.rows["job"] == jobs.count && salvaged.rows["audit"] == 1)
            #expect(try new.names() == Set(jobs))
            #expect(try new.dropUnreadable() == 0)
            for id in removed { #expect(throws: JobStoreError.removed(id)) { try new.job(id) } }
            let again = NewJob(
                options: Data(), hasReference: false, uploadBytes: 1, retryKey: RetryKey(key: "k1", digest: "d"))
            #expect(try new.enqueue(again, queueLimit: 9_999).id == jobs[0])
        }
    }

    /// A page in the middle of the table is gone: the rows on both sides of it are read.
    @Test func salvageReadsAroundADamagedPage() throws {
        try withTemporaryFolder { folder in
            let (file, jobs, _) = try database(in: folder, jobs: 90)
            let middle = Data(jobs[jobs.count / 2].description.utf8)
            let count = try changePages(of: file, kinds: [13]) { page in
                let isIt = page.range(of: middle) != nil && page.range(of: Data("queued".utf8)) != nil
                if isIt { page.replaceSubrange(0..<4_096, with: Data(repeating: 0xAA, count: 4_096)) }
                return isIt
            }
            #expect(count == 1)
            let new = try SQLiteJobStore(file: folder.appending(path: "new.sqlite"))
            let salvaged = try new.salvage(from: file)
            let names = try new.names()
            #expect(!salvaged.isWhole && names.isSubset(of: jobs))
            #expect(names.contains(jobs[0]) && names.contains(jobs[jobs.count - 1]))
            #expect(names.count >= jobs.count - 8 && names.count < jobs.count, "\(names.count) of \(jobs.count)")
            // Sound, and what is missing can be taken in.
            let lost = try #require(jobs.first { !names.contains($0) })
            let note = NewJob(id: lost, options: Data("{}".utf8), hasReference: false, uploadBytes: 1, owner: "a")
            #expect(try new.takeIn(note, result: (summary: Data("r".utf8), at: time())))
            #expect(try !new.takeIn(note, result: nil))
            let job = try #require(try new.job(lost))
            #expect(job.state == .succeeded && job.result == Data("r".utf8) && job.finishedAt == time())
            try new.close()
            _ = try SQLiteJobStore(file: folder.appending(path: "new.sqlite"))
        }
    }

    @Test func whatIsNoDatabaseGivesNothing() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "jobs.sqlite")
            #expect(try !DatabaseSurvey(of: file).isThere)
            try Data(repeating: 65, count: 9_000).write(to: file)
            #expect(try DatabaseSurvey(of: file).damage == .corrupt(file: file.path, found: "error 26"))
            let new = try SQLiteJobStore(file: folder.appending(path: "new.sqlite"))
            let salvaged = try new.salvage(from: file)
            #expect(!salvaged.isWhole && salvaged.rows.values.allSatisfy { $0 == 0 })
        }
    }

    /// What was deleted is neither in the database nor in its log, while the store goes on; what was kept is.
    @Test func deletedBytesLeaveTheLogToo() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "jobs.sqlite")
            let store = try SQLiteJobStore(file: file)
            func accept(_ canary: String) throws -> JobID {
                let text = "\(canary)-\(UUID())-\(String(repeating: "x", count: .random(in: 0...3_000)))"
                let new = NewJob(options: Data(text.utf8), hasReference: false, uploadBytes: 1)
                return try store.enqueue(new, queueLimit: 9_999).id
            }
            let doomed = try (0..<150).map { number in
                if number % 2 == 0 { _ = try accept("kept-canary") }
                return try accept("deleted-canary")
            }
            func holds(_ canary: String) throws -> Bool {
                try ["", "-wal"].contains { end in
                    let bytes = try Data(contentsOf: URL(filePath: file.path + end))
                    return bytes.range(of: Data(canary.utf8)) != nil
                }
            }
            #expect(try holds("deleted-canary"))
            for id in doomed.shuffled() {
                _ = try store.cancel(id, at: time())
                try store.remove(id)
            }
            for _ in 0..<1_000 where try holds("deleted-canary") { Thread.sleep(forTimeInterval: 0.02) }
            #expect(try !holds("deleted-canary"))
            #expect(try holds("kept-canary"))
        }
    }
}

import Cases
import Digests
import Foundation
import Jobs
import SQLiteJobs

/// A copy of a data folder, made while a server works on it: the job database as it was at one moment, every file of the
/// jobs in it, and the plain files beside them, such as the signing key.
///
/// A job's files are there before its row and go after it, and none is changed in place. So the database is copied first;
/// a job whose row is still there once its files were copied has all of them; and one whose row is gone was deleted
/// meanwhile, and is taken out of the copy. `SHA256SUMS` names every file of the copy in the form of `sha256sum`.
struct Backup {
    /// What was copied, or found in a copy.
    struct Contents {
        var jobs = 0
        var files = 0
        var bytes = 0
        /// Jobs that were deleted while they were copied.
        var dropped = 0
        /// Jobs without the files that their state asks for.
        var incomplete: [JobID] = []
    }

    static let database = "jobs.sqlite"
    static let manifest = "SHA256SUMS"
    private static let jobs = "jobs"

    let data: URL
    let destination: URL
    /// The name of the copy until it is whole.
    private let begun: URL

    /// - Throws: ``UserError`` if there is nothing to copy or the copy cannot be made there.
    init(of data: URL, to destination: URL) throws {
        self.data = data.resolvingSymlinksInPath()
        guard FileManager.default.fileExists(atPath: data.appending(path: Self.database).path) else {
            throw UserError("There is no job database in \(data.path). Name the data folder in data.folder.")
        }
        let parent = destination.standardizedFileURL.deletingLastPathComponent().resolvingSymlinksInPath()
        self.destination = parent.appending(path: destination.standardizedFileURL.lastPathComponent)
        begun = parent.appending(path: "\(self.destination.lastPathComponent).begun")
        let path = self.destination.path
        guard FileManager.default.isWritableFile(atPath: parent.path) else {
            throw UserError("\(parent.path) cannot be written. Choose a folder that exists and that you may write to.")
        }
        let place = self.destination.resolvingSymlinksInPath()
        guard FileIdentity(self.data)?.holds(place) != true, FileIdentity(place)?.holds(self.data) != true else {
            throw UserError(
                "\(path) and the data folder lie in one another. Choose a folder elsewhere, best on another disk.")
        }
        if let there = try? FileManager.default.contentsOfDirectory(atPath: path) {
            guard there.isEmpty else {
                throw UserError("\(path) is not empty. Name a folder that does not exist yet.")
            }
            guard try device(of: path) == device(of: parent.path) else {
                throw UserError("\(path) is a disk of its own. Name a folder in it, that does not exist yet.")
            }
        } else if FileManager.default.fileExists(atPath: path) {
            throw UserError("\(path) is a file. Name a folder that does not exist yet.")
        }
        guard !FileManager.default.fileExists(atPath: begun.path) else {
            throw UserError("\(begun.path) is a backup that was broken off, or is under way. If it is not, remove it.")
        }
    }

    /// Makes the copy. It has its name only once it is whole and on the disk; after an error nothing is left of it.
    func make() throws -> Contents {
        guard mkdir(begun.path, 0o700) == 0 else { throw CopyError("make \(begun.path)") }
        do {
            let contents = try copyAll()
            guard rename(begun.path, destination.path) == 0 else {
                throw CopyError("name the copy \(destination.path)")
            }
            try syncToDisk(destination.deletingLastPathComponent())
            return contents
        } catch {
            try? FileManager.default.removeItem(at: begun)
            throw error
        }
    }

    private func copyAll() throws -> Contents {
        var contents = Contents()
        var sums: [String: String] = [:]
        func keep(_ path: String) throws {
            let copied = try copyFile(data.appending(path: path), to: begun.appending(path: path))
            sums[path] = copied.sum
            contents.files += 1
            contents.bytes += copied.bytes
        }

        let copy = try DatabaseCopy(
            of: data.appending(path: Self.database), to: begun.appending(path: Self.database))
        for name in try plainFiles(in: data) where !name.hasPrefix(Self.database) && name != "lock" { try keep(name) }
        guard mkdir(begun.appending(path: Self.jobs).path, 0o700) == 0 else { throw CopyError("make a folder") }
        var dropped: [JobID] = []
        for job in try copy.jobs() {
            let path = "\(Self.jobs)/\(job.id)"
            var before = contents
            let isWhole = try copyJob(job.id, path, keep)
            guard try copy.originalHas(job.id) else {
                dropped.append(job.id)
                try FileManager.default.removeItem(at: begun.appending(path: path))
                sums = sums.filter { !$0.key.hasPrefix(path + "/") }
                before.dropped += 1
                contents = before
                continue
            }
            contents.jobs += 1
            if !isWhole || !JobFiles.areComplete(in: begun.appending(path: path), hasSucceeded: job.state == .succeeded)
            {
                contents.incomplete.append(job.id)
            }
        }
        try copy.drop(dropped, at: Date())
        try copy.close()

        let file = begun.appending(path: Self.database)
        sums[Self.database] = try ContentHash.ofFile(at: file)
        contents.files += 1
        contents.bytes += try size(of: file)
        let text = sums.sorted { $0.key < $1.key }.map { "\($0.value)  \($0.key)\n" }.joined()
        let manifest = begun.appending(path: Self.manifest)
        try Data(text.utf8).write(to: manifest)
        for place in [file, manifest, begun.appending(path: Self.jobs), begun] { try syncToDisk(place) }
        return contents
    }

    /// Copies a job's files; false if some went away meanwhile.
    private func copyJob(_ id: JobID, _ path: String, _ keep: (String) throws -> Void) throws -> Bool {
        guard mkdir(begun.appending(path: path).path, 0o700) == 0 else { throw CopyError("make a folder") }
        do {
            for name in try plainFiles(in: data.appending(path: path)) where JobFiles.isKept(name) {
                try keep("\(path)/\(name)")
            }
            try syncToDisk(begun.appending(path: path))
            return true
        } catch let error as CopyError where error.code == ENOENT {
            return false
        }
    }

    /// Holds a copy against its manifest, and its jobs against their files.
    ///
    /// - Throws: ``UserError`` for the first file that is missing, changed or not listed, and what ``DatabaseCopy`` throws.
    static func verify(_ folder: URL) throws -> Contents {
        guard let text = try? String(contentsOf: folder.appending(path: manifest), encoding: .utf8) else {
            throw UserError("\(folder.path) has no \(manifest) that can be read: it is no backup, or not a whole one.")
        }
        var contents = Contents()
        var listed: Set<String> = [manifest]
        for line in text.split(separator: "\n") {
            let path = String(line.dropFirst(66))
            let file = folder.appending(path: path)
            guard let sum = try? ContentHash.ofFile(at: file) else {
                throw UserError("\(file.path) is missing, or cannot be read. Take another backup.")
            }
            guard line.prefix(66) == sum + "  " else {
                throw UserError("\(file.path) is not what was written. Take another backup.")
            }
            listed.insert(path)
            contents.files += 1
            contents.bytes += try size(of: file)
        }
        for path in try FileManager.default.subpathsOfDirectory(atPath: folder.path) where !listed.contains(path) {
            guard try isFolder(folder.appending(path: path)) else {
                throw UserError("\(folder.appending(path: path).path) is not part of the backup. Take it out.")
            }
        }
        for job in try DatabaseCopy.jobs(in: folder.appending(path: database)) {
            contents.jobs += 1
            if !JobFiles.areComplete(
                in: folder.appending(path: "\(jobs)/\(job.id)"), hasSucceeded: job.state == .succeeded)
            {
                contents.incomplete.append(job.id)
            }
        }
        return contents
    }
}

import Foundation
import Glibc

/// The files of jobs on disk.
///
/// ```
/// <data>/incoming/      uploads in flight
/// <data>/jobs/<id>/     image.nii.gz or image.nii, reference.*, mask.nii.gz, report.json
/// ```
///
/// An upload is written to `incoming`, adopted under a fresh name, and only then does its row enter the store; a deleted
/// job loses its row first and its folder afterwards. So a folder without a row is a leftover of a crash, never an
/// accepted job, and ``sweep(keeping:)`` removes it. Folders are readable by the server's user only.
public struct Spool: Sendable {
    /// Where uploads in flight are written: on the same file system as the jobs.
    public let incoming: URL
    private let folder: URL
    private let jobs: URL

    /// Opens the spool in `folder` and creates what is missing of it.
    ///
    /// - Throws: ``SpoolError/notWritable(folder:)``; ``SpoolError/diskFull``.
    public init(folder: URL) throws(SpoolError) {
        self.folder = folder
        incoming = folder.appending(path: "incoming", directoryHint: .isDirectory)
        jobs = folder.appending(path: "jobs", directoryHint: .isDirectory)
        try makeFolders(to: folder)
        for part in [incoming, jobs] {
            try makeFolder(part)
            guard access(part.path, R_OK | W_OK | X_OK) == 0 else { throw .notWritable(folder: folder.path) }
        }
        try syncFolder(folder)
        // If the folder is new, its name is in the one above, which others may own: as well as can be.
        try? syncFolder(folder.appending(path: ".."))
    }

    /// The folder of a job's files; it exists once they were adopted.
    public func folder(of id: JobID) -> URL {
        jobs.appending(path: id.description, directoryHint: .isDirectory)
    }

    /// Moves files into the folder of a job and returns once all of it would survive a power loss.
    ///
    /// May be called again to add files to a job. After an error none of `files` is in the job's folder; those that
    /// were not yet moved are still where they were.
    ///
    /// - Parameters:
    ///   - files: where each file is, on the spool's file system, and its plain name in the job's folder.
    ///   - id: a fresh name, or that of a job whose folder exists.
    /// - Throws: ``SpoolError/diskFull``; ``SpoolError/system(operation:code:)``.
    public func adopt(files: [(from: URL, name: String)], for id: JobID) throws(SpoolError) {
        precondition(files.allSatisfy { isPlainName($0.name) }, "a spool file needs a plain name")
        let target = folder(of: id)
        let isNew = try makeFolder(target)
        var moved: [URL] = []
        do throws(SpoolError) {
            for file in files {
                try syncFile(file.from)
                let place = target.appending(path: file.name)
                guard rename(file.from.path, place.path) == 0 else { throw SpoolError("store the upload", code: errno) }
                moved.append(place)
            }
            try syncFolder(target)
            try syncFolder(jobs)
            try syncFolder(incoming)
        } catch {
            for place in moved { unlink(place.path) }
            if isNew { rmdir(target.path) }
            throw error
        }
    }

    /// Returns once everything in a job's folder would survive a power loss.
    public func sync(_ id: JobID) throws(SpoolError) {
        let target = folder(of: id)
        for name in try names(in: target) { try syncFile(target.appending(path: name)) }
        try syncFolder(target)
    }

    /// Removes a job's folder with every file in it; a folder that does not exist is no error.
    public func remove(_ id: JobID) throws(SpoolError) {
        try removeTree(folder(of: id))
        try syncFolder(jobs)
    }

    /// Removes what a crash left behind: every upload in flight, the folders of jobs that are not to be kept, and
    /// hidden files in those of others.
    ///
    /// To be called at start-up, before uploads are accepted.
    ///
    /// - Parameter kept: the jobs that the store has a row of: ``JobStore/names()``.
    /// - Returns: how many uploads, folders and hidden files were removed.
    @discardableResult
    public func sweep(keeping kept: Set<JobID>) throws(SpoolError) -> Int {
        var removed = 0
        for name in try names(in: incoming) {
            try removeTree(incoming.appending(path: name))
            removed += 1
        }
        for name in try names(in: jobs) {
            guard let id = JobID(name) else { continue }
            if kept.contains(id) {
                // What a killed run had begun to write is hidden until it is renamed; no finished file is.
                for name in try names(in: folder(of: id)) where name.hasPrefix(".") {
                    try removeTree(folder(of: id).appending(path: name))
                    removed += 1
                }
            } else {
                try removeTree(folder(of: id))
                removed += 1
            }
        }
        try syncFolder(incoming)
        try syncFolder(jobs)
        return removed
    }

    /// Space on the spool's file system that the server's user may fill, in bytes; 0 if the system does not say.
    public func freeBytes() -> Int {
        var status = statvfs()
        guard statvfs(folder.path, &status) == 0 else { return 0 }
        let (bytes, overflow) = Int(clamping: status.f_bavail).multipliedReportingOverflow(by: Int(status.f_frsize))
        return overflow ? .max : bytes
    }

    /// Keeps every other process out of the folder until the returned value is gone, also by a crash.
    ///
    /// - Throws: ``SpoolError/inUse(folder:)`` if another value holds the lock, in this process or another.
    public func lock() throws(SpoolError) -> SpoolLock {
        try SpoolLock(folder: folder)
    }
}

/// The right to be the only server of a data folder; given up when the value is gone.
public final class SpoolLock: Sendable {
    private let descriptor: Int32

    fileprivate init(folder: URL) throws(SpoolError) {
        let descriptor = open(folder.appending(path: "lock").path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SpoolError("lock the data folder", code: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            if code == EWOULDBLOCK { throw .inUse(folder: folder.path) }
            throw SpoolError("lock the data folder", code: code)
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }
}

/// Whether a name stays inside the folder it is used in.
private func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && !name.hasPrefix(".") && !name.contains("/") && !name.contains("\0")
}

private func makeFolders(to folder: URL) throws(SpoolError) {
    do {
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
        throw .notWritable(folder: folder.path)
    }
}

/// Makes a folder in one that exists; false if it was there.
@discardableResult
private func makeFolder(_ folder: URL) throws(SpoolError) -> Bool {
    if mkdir(folder.path, 0o700) == 0 { return true }
    switch errno {
    case EEXIST: return false
    case EACCES, EROFS, EPERM: throw .notWritable(folder: folder.deletingLastPathComponent().path)
    case let code: throw SpoolError("make a folder", code: code)
    }
}

/// Names of what is in a folder, hidden files too.
private func names(in folder: URL) throws(SpoolError) -> [String] {
    guard let stream = opendir(folder.path) else { throw SpoolError("read a folder", code: errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
        errno = 0
        guard let entry = readdir(stream) else { break }
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw SpoolError("read a folder", code: errno) }
    return names.sorted()
}

/// Removes a file, or a folder with all that is in it.
private func removeTree(_ place: URL) throws(SpoolError) {
    if unlink(place.path) == 0 || errno == ENOENT { return }
    guard errno == EISDIR || errno == EPERM else { throw SpoolError("remove files", code: errno) }
    // A child of a server that was killed may still be writing here for a moment.
    for attempt in 1...removalAttempts {
        for name in try names(in: place) { try removeTree(place.appending(path: name)) }
        if rmdir(place.path) == 0 || errno == ENOENT { return }
        guard errno == ENOTEMPTY, attempt < removalAttempts else { throw SpoolError("remove files", code: errno) }
        usleep(20_000)
    }
}

private let removalAttempts = 100

/// Returns once a file's bytes are on the disk itself. A link is an error, wherever it leads.
private func syncFile(_ file: URL) throws(SpoolError) {
    try syncToDisk(file, flags: O_NOFOLLOW)
}

/// Returns once the names in a folder are on the disk itself.
private func syncFolder(_ folder: URL) throws(SpoolError) {
    try syncToDisk(folder, flags: O_DIRECTORY)
}

private func syncToDisk(_ place: URL, flags: Int32) throws(SpoolError) {
    let descriptor = open(place.path, O_RDONLY | O_CLOEXEC | flags)
    guard descriptor >= 0 else { throw SpoolError("store files", code: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw SpoolError("store files", code: errno) }
}

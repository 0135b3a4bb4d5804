public import Foundation
import Glibc

/// The files of jobs on disk.
///
/// ```
/// <data>/incoming/               uploads in flight
/// <data>/jobs/<id>/              job.json, image.nii.gz or image.nii, reference.*, mask.nii.gz, report.json
/// <data>/leftovers/<day>/<id>/   folders that no job was found for, kept for some days
/// ```
///
/// An upload is written to `incoming`, adopted under a fresh name with a note of its job, and only then does its row enter
/// the store. The note is named `.job.json` until then and `job.json` from then on, before the client is answered. A
/// deleted job loses its row first, which leaves its name in the store, and its folder afterwards. So what a folder without
/// a row is can be told: ``survey(names:wasRemoved:)``. Folders are readable by the server's user only.
public struct Spool: Sendable {
    /// Where uploads in flight are written: on the same file system as the jobs.
    public let incoming: URL
    let folder: URL
    let jobs: URL

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

    /// Moves a new job's files into its folder, with a note of all that is known of it, and returns once all of it would
    /// survive a power loss. Call ``accepted(_:)`` once the store has the job.
    ///
    /// - Throws: as ``adopt(files:for:)``; after an error the folder is not there.
    public func adopt(files: [(from: URL, name: String)], of new: NewJob) throws(SpoolError) {
        let target = folder(of: new.id)
        do throws(SpoolError) {
            // First, so that no file ever lies in a folder of which nothing tells whose it is.
            try makeFolder(target)
            try JobNote.write(new, as: JobNote.unanswered, in: target)
            try syncFile(target.appending(path: JobNote.unanswered))
            try syncFolder(target)
            try adopt(files: files, for: new.id)
        } catch {
            try? remove(new.id)
            throw error
        }
    }

    /// Notes in a job's folder that the store has the job, so that the folder is never taken for what an upload left that
    /// nobody was answered. On the disk when it returns.
    public func accepted(_ id: JobID) throws(SpoolError) {
        let target = folder(of: id)
        let (from, to) = (target.appending(path: JobNote.unanswered), target.appending(path: JobNote.name))
        guard rename(from.path, to.path) == 0 else { throw SpoolError("store the job's note", code: errno) }
        try syncFolder(target)
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
        // Nothing hidden is a result, and the hidden note may be given its name just now.
        for name in try names(in: target) where !name.hasPrefix(".") { try syncFile(target.appending(path: name)) }
        try syncFolder(target)
    }

    /// Removes a job's folder with every file in it; a folder that does not exist is no error.
    public func remove(_ id: JobID) throws(SpoolError) {
        // In one step out of the jobs' sight: of a removal that is broken off, the next start finds the rest in `incoming`.
        let grave = incoming.appending(path: "removed-\(id)", directoryHint: .isDirectory)
        if rename(folder(of: id).path, grave.path) == 0 {
            try syncFolder(jobs)
            try syncFolder(incoming)
            return try removeTree(grave)
        }
        // A full disk may have no room for another name.
        if errno != ENOENT { try removeTree(folder(of: id)) }
        try syncFolder(jobs)
    }

    /// Space on the spool's file system that the server's user may fill, in bytes; 0 if the system does not say.
    public func freeBytes() -> Int {
        var status = statvfs()
        guard statvfs(folder.path, &status) == 0 else { return 0 }
        let (bytes, overflow) = Int(clamping: status.f_bavail).multipliedReportingOverflow(by: Int(status.f_frsize))
        return overflow ? .max : bytes
    }
}

/// Whether a name stays inside the folder it is used in.
private func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && !name.hasPrefix(".") && !name.contains("/") && !name.contains("\0")
}

public import Foundation
import Glibc

/// The folders of jobs beside what a store knows of them.
public struct SpoolSurvey: Sendable, Equatable {
    /// Of jobs that the store has.
    public var known: [JobID] = []
    /// Of jobs that the store remembers as removed: a crash came between the row and the files.
    public var removed: [JobID] = []
    /// Of uploads whose note never got its name, or that are empty: the request was not answered, and the store has no job
    /// of it.
    public var unanswered: [JobID] = []
    /// Of jobs that were accepted, as their note says, and that the store does not know: it has lost them.
    public var lost: [JobID] = []
    /// Without a note and without a job. A version that wrote none may have left such a folder by a crash.
    public var unnoted: [JobID] = []
    /// Jobs of the store that have no folder.
    public var withoutFolder: [JobID] = []
}

/// What ``SingleHost/sweep(_:aside:)`` did.
public struct Swept: Sendable, Equatable {
    /// Uploads in flight, folders and hidden files that were removed.
    public var removed = 0
    /// Folders that were moved to `leftovers`.
    public var setAside = 0
    /// Known jobs whose folder has no note: an earlier version accepted them.
    public var unnoted: [JobID] = []
}

extension Spool {
    /// Looks which folders are whose; changes nothing.
    ///
    /// - Parameters:
    ///   - names: the jobs that the store has: ``JobStore/names()``.
    ///   - wasRemoved: whether the store remembers that a job was removed.
    public func survey(names kept: Set<JobID>, wasRemoved: (JobID) throws -> Bool) throws -> SpoolSurvey {
        var survey = SpoolSurvey()
        var missing = kept
        for id in try names(in: jobs).compactMap(JobID.init) {
            func has(_ name: String) -> Bool { access(folder(of: id).appending(path: name).path, F_OK) == 0 }
            if missing.remove(id) != nil {
                survey.known.append(id)
            } else if try wasRemoved(id) {
                survey.removed.append(id)
            } else if has(JobNote.name) {
                survey.lost.append(id)
            } else if try has(JobNote.unanswered) || names(in: folder(of: id)).isEmpty {
                survey.unanswered.append(id)
            } else {
                survey.unnoted.append(id)
            }
        }
        survey.withoutFolder = missing.sorted()
        return survey
    }

    /// Writes the note of a job that an earlier version accepted. Not synced: it is written again if it is lost.
    public func note(_ job: Job) throws(SpoolError) {
        let target = folder(of: job.id)
        try JobNote.write(NewJob(job), as: JobNote.unanswered, in: target)
        guard rename(target.appending(path: JobNote.unanswered).path, target.appending(path: JobNote.name).path) == 0
        else { throw SpoolError("write the job's note", code: errno) }
    }

    // MARK: - Leftovers

    /// Days that a folder lies in `leftovers` before it is removed, at the earliest.
    public static let leftoversKeepDays = 14

    /// Moves a job's folder to `leftovers/<day>`; on the disk when it returns.
    public func setAside(_ id: JobID, day: Date) throws(SpoolError) {
        let target = try leftovers(day).appending(path: id.description)
        guard rename(folder(of: id).path, target.path) == 0 else {
            throw SpoolError("set a folder aside", code: errno)
        }
        try syncFolder(target.deletingLastPathComponent())
        try syncFolder(jobs)
    }

    /// Moves files of the data folder together to a new folder in `leftovers/<day>`; those that are not there are passed
    /// over.
    ///
    /// - Parameter folder: the new folder's name; a number follows if there is one of this name.
    /// - Returns: the new folder.
    @discardableResult
    public func setAside(files: [String], as folder: String, day: Date) throws(SpoolError) -> URL {
        let leftovers = try leftovers(day)
        var target = leftovers.appending(path: folder)
        var number = 1
        while try !makeFolder(target) {
            number += 1
            target = leftovers.appending(path: "\(folder)-\(number)")
        }
        for name in files where rename(self.folder.appending(path: name).path, target.appending(path: name).path) != 0 {
            guard errno == ENOENT else { throw SpoolError("set a file aside", code: errno) }
        }
        for place in [target, leftovers, self.folder] { try syncFolder(place) }
        return target
    }

    /// Removes what was set aside more than ``leftoversKeepDays`` days before `now`.
    ///
    /// - Returns: how many days' folders were removed.
    @discardableResult
    public func removeLeftovers(at now: Date) throws(SpoolError) -> Int {
        let all = folder.appending(path: Self.leftovers, directoryHint: .isDirectory)
        guard access(all.path, F_OK) == 0 else { return 0 }
        // The day itself is not over when something is set aside in it.
        let limit = Self.name(of: now.addingTimeInterval(-86_400 * Double(Self.leftoversKeepDays + 1)))
        let old = try names(in: all).filter { $0.wholeMatch(of: /\d{4}-\d{2}-\d{2}/) != nil && $0 < limit }
        for name in old { try removeTree(all.appending(path: name)) }
        if !old.isEmpty { try syncFolder(all) }
        return old.count
    }

    /// The folder of things set aside in the data folder.
    public static let leftovers = "leftovers"

    private func leftovers(_ day: Date) throws(SpoolError) -> URL {
        let all = folder.appending(path: Self.leftovers, directoryHint: .isDirectory)
        if try makeFolder(all) { try syncFolder(folder) }
        let folder = all.appending(path: Self.name(of: day), directoryHint: .isDirectory)
        if try makeFolder(folder) { try syncFolder(all) }
        return folder
    }

    /// `2026-05-01`, of UTC.
    static func name(of day: Date) -> String { day.formatted(.iso8601.year().month().day()) }
}

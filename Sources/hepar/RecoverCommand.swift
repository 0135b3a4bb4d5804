import ArgumentParser
import Cases
import Foundation
import Jobs
import SQLiteJobs
import Service
import Work

/// `hepar recover`: a data folder whose job database is damaged, lost, or older than the folders beside it.
struct RecoverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Show what is left in a data folder whose job database is damaged or lost, and take it in again.",
        discussion: """
            Without --apply nothing is changed. With it a damaged database is moved to leftovers/DATE and a new one made of all \
            that can be read of it; folders of jobs that the database does not know are taken in by what lies in them: those \
            with a mask and its report as succeeded, others with a scan and a note as waiting. What is not enough for a job \
            is moved to leftovers/DATE, which a server removes after \(Spool.leftoversKeepDays) days at the earliest. Nothing is \
            deleted. The server must be stopped.
            """)

    @Flag(help: "Do it; otherwise only show.")
    var apply = false

    @Argument(help: "The data folder: data.folder of the configuration.")
    var folder: String

    func run() throws {
        let data = URL(filePath: folder, directoryHint: .isDirectory)
        let recovery = try Recovery(data)
        print(recovery.summary)
        guard apply else {
            print(
                recovery.isNeeded
                    ? "Nothing was changed. To do this: hepar recover --apply \(folder)"
                    : "There is nothing to do.")
            return
        }
        print(try recovery.apply(at: Date()))
    }
}

/// What there is to do in a data folder, and the doing.
struct Recovery {
    private static let database = "jobs.sqlite"
    private static let databaseFiles = ["", "-wal", "-shm"].map { database + $0 }
    /// The new database until it is whole.
    private static let begun = "jobs.sqlite-recovered"

    private let data: URL
    private let spool: Spool
    private let host: SingleHost
    private let found: DatabaseSurvey
    private let folders: SpoolSurvey
    private let succeeded, waiting, useless: Int

    /// Looks; changes nothing.
    ///
    /// - Throws: ``UserError`` if this is no data folder or somebody else's; ``SpoolError/inUse(folder:)`` beside a server.
    init(_ data: URL) throws {
        self.data = data
        guard (try? isFolder(data.appending(path: "jobs").resolvingSymlinksInPath())) == true else {
            throw UserError("\(data.path) is no data folder: it has no folder jobs. Name that of data.folder.")
        }
        guard try owner(of: data.resolvingSymlinksInPath().path) == geteuid() else {
            // A database that root makes is none that the server's user may write.
            throw UserError("\(data.path) is another user's. Run this as that user: sudo -u USER hepar recover ...")
        }
        spool = try Spool(folder: data)
        host = try SingleHost(of: spool)
        let found = try DatabaseSurvey(of: data.appending(path: Self.database))
        self.found = found
        folders = try spool.survey(names: found.jobs) { found.removed.contains($0) }
        var (succeeded, waiting, useless) = (0, 0, folders.unanswered.count)
        for id in folders.lost + folders.unnoted {
            switch JobFolder(spool.folder(of: id)) {
            case let job? where job.result != nil: succeeded += 1
            case .some: waiting += 1
            case nil: useless += 1
            }
        }
        (self.succeeded, self.waiting, self.useless) = (succeeded, waiting, useless)
    }

    var isNeeded: Bool {
        found.damage != nil || !(folders.lost + folders.unnoted + folders.unanswered).isEmpty
    }

    var summary: String {
        var lines: [String] = []
        switch (found.isThere, found.damage) {
        case (false, _): lines.append("The job database is not there, or empty.")
        case (_, .corrupt(_, let what)?): lines.append("The job database is damaged: \(what).")
        case (_, let damage?): lines.append("\(damage)")
        case (_, nil): lines.append("The job database is sound and knows \(found.jobs.count) jobs.")
        }
        if found.damage == nil {
            lines.append("Folders of jobs that it knows: \(folders.known.count).")
            if !folders.removed.isEmpty {
                lines.append(
                    "Folders of jobs that were deleted, which the next start removes: \(folders.removed.count).")
            }
            if !folders.withoutFolder.isEmpty {
                lines.append("Jobs that have no folder any more: \(folders.withoutFolder.count).")
            }
        } else {
            lines.append("What can be read of it shows when it is done; until then no folder counts as known.")
        }
        lines += [
            "Other folders with a mask and its report, to be taken in as succeeded: \(succeeded).",
            "Other folders with a scan and a note of its job, to be taken in as waiting: \(waiting).",
            "Folders without enough for a job, to be moved to \(Spool.leftovers): \(useless).",
        ]
        return lines.joined(separator: "\n")
    }

    /// Does it; what was done, in lines.
    func apply(at now: Date) throws -> String {
        var lines: [String] = []
        let file = data.appending(path: Self.database)
        let store: SQLiteJobStore
        if found.damage != nil {
            let begun = data.appending(path: Self.begun)
            for end in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: begun.path + end) }
            let new = try SQLiteJobStore(file: begun)
            let (rows, isWhole) = try new.salvage(from: file)
            let unreadable = try new.dropUnreadable()
            try new.close()
            let place = try spool.setAside(files: Self.databaseFiles, as: "database", day: now)
            guard rename(begun.path, file.path) == 0 else {
                throw UserError(
                    "\(begun.path) could not be named \(file.path): \(String(cString: strerror(errno))). Do so by hand."
                )
            }
            try syncToDisk(data)
            lines.append("The damaged database is in \(place.path).")
            lines.append(
                "Read of it: \(rows["job", default: 0] - unreadable) jobs, \(rows["audit", default: 0]) audit entries, "
                    + "\(rows["job_event", default: 0]) events\(isWhole ? ", all there are." : ", not all there were.")"
            )
        }
        store = try SQLiteJobStore(file: file)
        let survey = try spool.survey(names: store.names()) { id in
            do {
                return try store.job(id) != nil
            } catch JobStoreError.removed {
                return true
            }
        }
        var (succeeded, waiting, aside) = (0, 0, 0)
        for id in survey.lost + survey.unnoted + survey.unanswered {
            let folder = survey.unanswered.contains(id) ? nil : JobFolder(spool.folder(of: id))
            if let folder, try store.takeIn(folder.job, result: folder.result) {
                if folder.result != nil { succeeded += 1 } else { waiting += 1 }
            } else {
                try spool.setAside(id, day: now)
                aside += 1
            }
        }
        try store.close()
        lines.append(
            "Taken in: \(succeeded) jobs as succeeded, \(waiting) as waiting. Moved to leftovers: \(aside) folders.")
        lines.append("Start the server.")
        return lines.joined(separator: "\n")
    }
}

private func owner(of path: String) throws -> uid_t {
    var status = stat()
    guard lstat(path, &status) == 0 else { throw CopyError("read \(path)") }
    return status.st_uid
}

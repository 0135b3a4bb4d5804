import Foundation
import Jobs

/// A start that was refused because the job database cannot be the one that belongs to the folders beside it.
package struct ImplausibleDatabase: Error, CustomStringConvertible {
    package let dataFolder: String
    package let jobs, folders: Int

    /// What was found, that nothing was changed, and what to do.
    package var description: String {
        """
        The job database \(dataFolder)/jobs.sqlite knows \(jobs) jobs, and not those of \(folders) folders in \
        \(dataFolder)/jobs: it is missing, empty or older than they are. Nothing was changed. Run \
        `hepar recover \(dataFolder)`, which shows what there is and takes the folders in again, or put the right database \
        back: docs/operations.md, "When the job database is damaged or lost".
        """
    }
}

extension SpoolSurvey {
    /// Throws if the folders say that the store has lost jobs.
    ///
    /// A folder whose note says that its job was accepted has a row, or the store remembers its removal: without either
    /// the store is not of this folder. Folders without a note are of versions that wrote none, where a crash may have
    /// left one or another: few beside the jobs there are, and of the store's last day.
    ///
    /// - Parameter lastEvent: when the newest event of the store happened.
    package func checkPlausible(lastEvent: Date?, dataFolder: String) throws(ImplausibleDatabase) {
        let few = max(1, known.count / 100)
        let isYoung = { (id: JobID) in lastEvent.map { id.time >= $0.addingTimeInterval(-86_400) } ?? false }
        guard lost.isEmpty, unnoted.count <= few, unnoted.allSatisfy(isYoung) else {
            throw ImplausibleDatabase(
                dataFolder: dataFolder, jobs: known.count + withoutFolder.count, folders: lost.count + unnoted.count)
        }
    }
}

extension SingleHost {
    /// What a start does with the folders: proves that the store is theirs, and clears what a crash left behind.
    ///
    /// - Parameter store: one that was found to be sound.
    package func recover(
        _ store: any JobStore, dataFolder: String, day: Date
    ) throws -> (swept: Swept, withoutFolder: Int) {
        let survey = try spool.survey(names: store.names()) { id in
            do {
                return try store.job(id) != nil
            } catch JobStoreError.removed {
                return true
            }
        }
        try survey.checkPlausible(lastEvent: store.lastEventTime(), dataFolder: dataFolder)
        let swept = try sweep(survey, aside: day)
        for id in swept.unnoted { if let job = try store.job(id) { try spool.note(job) } }
        return (swept, survey.withoutFolder.count)
    }
}

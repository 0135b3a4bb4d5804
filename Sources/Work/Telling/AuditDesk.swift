import Foundation
import Jobs
import Logging
import Synchronization

/// Keeps who did what. One thread writes it, many entries with one sync of the disk: threads that serve sockets only hand
/// over, handlers wait until theirs is on the disk. What comes too often is counted; see ``AuditTally``.
///
/// Once in a while it moves what is older than the keeping time into files of the data folder: nothing is thrown away.
package final class AuditDesk: Sendable {
    private struct State {
        var tally = AuditTally()
        var waiting: [AuditEntry] = []
        /// How many entries were ever handed over, and how many of them are written, or lost.
        var taken = 0, settled = 0
        var isEnding = false
        var hasEnded = false
    }

    private let log: any AuditLog
    private let keepDays: Int
    private let folder: URL
    private let logger: Logger
    private let state = Mutex(State())
    private let bell = Bell()
    private let settledBell = Bell()

    /// How often minutes that are over are looked for.
    private static let tick = Duration.seconds(2)
    /// Time between two moves of old entries, in seconds.
    private static let exportPause = 3_600.0

    /// - Parameters:
    ///   - keepDays: days that entries stay in the table; 0 keeps them there for ever.
    ///   - folder: where older ones are moved to.
    package init(_ log: any AuditLog, keepDays: Int, folder: URL, logger: Logger) {
        self.log = log
        self.keepDays = keepDays
        self.folder = folder
        self.logger = logger
    }

    package func start() {
        let thread = Thread { [self] in
            var nextExport = Date()
            while true {
                let seen = bell.count
                let isEnding = writeWhatWaits()
                if isEnding { break }
                if Date() >= nextExport {
                    moveOldEntries(at: Date())
                    nextExport = Date() + Self.exportPause
                }
                bell.wait(past: seen, timeout: Self.tick)
            }
            state.withLock { $0.hasEnded = true }
            settledBell.ring()
        }
        thread.name = "audit"
        thread.start()
    }

    /// Writes all that was handed over and counted, and ends the thread.
    package func end() {
        state.withLock { $0.isEnding = true }
        bell.ring()
        wait { $0.hasEnded }
    }

    /// Hands an entry over without waiting for the disk.
    package func note(_ entry: AuditEntry) { _ = take(entry) }

    /// Keeps an entry; returns once it is on the disk, or counted.
    package func keep(_ entry: AuditEntry) {
        guard let number = take(entry) else { return }
        wait { $0.settled >= number || $0.hasEnded }
    }

    /// Returns once all that was handed over is on the disk; what was only counted in this minute is not.
    package func flush() {
        let number = state.withLock { $0.taken }
        wait { $0.settled >= number || $0.hasEnded }
    }

    /// The number of the entry among those that are written; nil if it is only counted.
    private func take(_ entry: AuditEntry) -> Int? {
        let number: Int? = state.withLock { state in
            let due = state.tally.due(at: entry.time)
            state.waiting += due
            state.taken += due.count
            guard state.tally.admits(entry) else { return nil }
            state.waiting.append(entry)
            state.taken += 1
            return state.taken
        }
        if number != nil { bell.ring() }
        return number
    }

    private func wait(until holds: (borrowing State) -> Bool) {
        while true {
            let seen = settledBell.count
            if state.withLock({ holds($0) }) { return }
            settledBell.wait(past: seen, timeout: .seconds(5))
        }
    }

    /// Returns whether the desk is to end, and all is written.
    private func writeWhatWaits() -> Bool {
        let (entries, isEnding) = state.withLock { state in
            let due = state.tally.due(at: Date(), all: state.isEnding)
            state.taken += due.count
            defer { state.waiting = [] }
            return (state.waiting + due, state.isEnding)
        }
        guard !entries.isEmpty else { return isEnding }
        do {
            try log.append(entries)
        } catch {
            // What was done stays done: the log says that nobody will read of it.
            logger.error(
                "audit entries lost",
                metadata: [
                    "entries": "\(entries.count)", "actions": "\(Set(entries.map(\.action)).sorted())",
                    "error": "\(type(of: error))",
                ])
        }
        state.withLock { $0.settled += entries.count }
        settledBell.ring()
        return isEnding
    }

    /// Moves what is a day older than the keeping time or more: so there is a file a day at most.
    package func moveOldEntries(at now: Date) {
        guard keepDays > 0 else { return }
        let day = 86_400.0
        let limit = now - Double(keepDays) * day
        do {
            guard let first = try log.entries(after: 0, limit: 1).first, first.time < limit - day,
                let moved = try log.export(olderThan: limit, to: folder)
            else { return }
            logger.notice(
                "old audit entries moved",
                metadata: ["entries": "\(moved.entries)", "file": "\(moved.file.lastPathComponent)"])
        } catch {
            logger.error("old audit entries stay", metadata: ["error": "\(type(of: error))"])
        }
    }
}

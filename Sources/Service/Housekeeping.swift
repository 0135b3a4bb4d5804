import Foundation
import Jobs
import Logging
import Synchronization

/// Removes what was kept long enough: finished jobs with all their files, and old events. One thread, once in a while.
final class Housekeeping: Sendable {
    private let store: any JobStore
    private let spool: Spool
    private let resultsKeepDays, eventsKeepDays: Int
    private let logger: Logger
    private let isEnding = Mutex(false)
    private let bell = DispatchSemaphore(value: 0)

    /// Time between two rounds.
    private static let pause = 600.0
    /// Jobs removed in one step.
    private static let step = 100

    /// - Parameters:
    ///   - resultsKeepDays: days after its end that a job is kept; 0 keeps it until it is deleted.
    ///   - eventsKeepDays: days that events are kept.
    init(store: any JobStore, spool: Spool, resultsKeepDays: Int, eventsKeepDays: Int, logger: Logger) {
        self.store = store
        self.spool = spool
        self.resultsKeepDays = resultsKeepDays
        self.eventsKeepDays = eventsKeepDays
        self.logger = logger
    }

    func start() {
        let thread = Thread { [self] in
            repeat { round(at: Date()) } while !isOver(after: Self.pause)
        }
        thread.name = "housekeeping"
        thread.start()
    }

    func end() {
        isEnding.withLock { $0 = true }
        bell.signal()
    }

    /// Removes what is old at `now`.
    func round(at now: Date) {
        do {
            let day = 86_400.0
            if resultsKeepDays > 0 {
                let limit = now.addingTimeInterval(-Double(resultsKeepDays) * day)
                var removed = 0
                while case let jobs = try store.expired(finishedBefore: limit, limit: Self.step), !jobs.isEmpty {
                    for id in jobs {
                        try store.remove(id, at: now)
                        try spool.remove(id)
                        removed += 1
                    }
                    if isEnding.withLock({ $0 }) { break }
                }
                if removed > 0 { logger.info("old jobs removed", metadata: ["jobs": "\(removed)"]) }
            }
            _ = try store.trimEvents(olderThan: now.addingTimeInterval(-Double(eventsKeepDays) * day))
        } catch {
            logger.error("housekeeping stopped early", metadata: ["error": "\(type(of: error))"])
        }
    }

    private func isOver(after seconds: Double) -> Bool {
        if isEnding.withLock({ $0 }) { return true }
        _ = bell.wait(timeout: .now() + seconds)
        return isEnding.withLock { $0 }
    }
}

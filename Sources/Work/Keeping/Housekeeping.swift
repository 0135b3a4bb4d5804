import Foundation
import Jobs
import Logging
import Synchronization

/// Removes what was kept long enough: finished jobs with all their files, old events, and what was set aside. One thread,
/// once in a while.
package final class Housekeeping: Sendable {
    private let store: any JobStore
    private let spool: Spool
    private let clock: RetentionClock
    private let resultsKeepDays, eventsKeepDays: Int
    private let logger: Logger
    private let now: @Sendable () -> Date
    private let isEnding = Mutex(false)
    private let lastRound = Mutex<(time: ContinuousClock.Instant, wasBehind: Bool)>((.now, false))
    private let bell = DispatchSemaphore(value: 0)

    /// Time between two rounds.
    private static let pause = 600.0
    /// Jobs removed in one step.
    private static let step = 100

    /// - Parameters:
    ///   - clock: the time to go by.
    ///   - resultsKeepDays: days after its end that a job is kept; 0 keeps it until it is deleted.
    ///   - eventsKeepDays: days that events are kept.
    ///   - now: the wall clock, which may be set at any time.
    package init(
        store: any JobStore, spool: Spool, clock: RetentionClock, resultsKeepDays: Int, eventsKeepDays: Int,
        logger: Logger, now: @escaping @Sendable () -> Date = { Date() }
    ) {
        self.now = now
        self.store = store
        self.spool = spool
        self.clock = clock
        self.resultsKeepDays = resultsKeepDays
        self.eventsKeepDays = eventsKeepDays
        self.logger = logger
    }

    package func start() {
        let thread = Thread { [self] in
            repeat { round() } while !isOver(after: Self.pause)
        }
        thread.name = "housekeeping"
        thread.start()
    }

    package func end() {
        isEnding.withLock { $0 = true }
        bell.signal()
    }

    /// Asks the clock what time it is, and removes what is old then.
    package func round() {
        let now = now()
        let elapsed = lastRound.withLock { last in
            defer { last.time = .now }
            return last.time.duration(to: .now) / .seconds(1)
        }
        let time = clock.time(at: now, elapsed: elapsed)
        let hasChanged = lastRound.withLock { last in
            defer { last.wasBehind = clock.isBehind }
            return last.wasBehind != clock.isBehind
        }
        if hasChanged && clock.isBehind {
            logger.warning(
                "the clock jumped ahead: retention follows slowly",
                metadata: ["behind_hours": "\(Int(clock.behind / 3_600))", "kept": "\(time.formatted(.iso8601))"])
        } else if hasChanged {
            logger.notice("retention has caught up with the clock")
        }
        round(at: time)
    }

    private func round(at now: Date) {
        do {
            let day = 86_400.0
            if resultsKeepDays > 0 {
                let removed = try removeJobs(finishedBefore: now.addingTimeInterval(-Double(resultsKeepDays) * day))
                if removed > 0 { logger.info("old jobs removed", metadata: ["jobs": "\(removed)"]) }
            }
            _ = try store.trimEvents(olderThan: now.addingTimeInterval(-Double(eventsKeepDays) * day))
            let leftovers = try spool.removeLeftovers(at: now)
            if leftovers > 0 { logger.notice("old leftovers removed", metadata: ["days": "\(leftovers)"]) }
        } catch let error as JobStoreError where error.isDamage {
            logger.error("housekeeping stopped: the job database is damaged", metadata: ["error": "\(error)"])
        } catch {
            logger.error("housekeeping stopped early", metadata: ["error": "\(type(of: error))"])
        }
    }

    /// - Returns: how many jobs were removed.
    private func removeJobs(finishedBefore limit: Date) throws -> Int {
        var removed = 0
        while case let jobs = try store.expired(finishedBefore: limit, limit: Self.step), !jobs.isEmpty {
            var isProgress = false
            for id in jobs {
                do throws(JobStoreError) {
                    // The list is that of an index; the row itself has to say so too.
                    guard let end = try store.job(id)?.finishedAt, end < limit else { continue }
                    try store.remove(id, at: now())
                    removed += 1
                } catch {
                    // A client was faster, who had it run again or deleted it.
                    switch error {
                    case .notFinished, .removed: break
                    default: throw error
                    }
                    isProgress = true
                    continue
                }
                try spool.remove(id)
                isProgress = true
            }
            if isEnding.withLock({ $0 }) { break }
            guard isProgress else { throw JobStoreError.damaged(jobs[0]) }
        }
        return removed
    }

    private func isOver(after seconds: Double) -> Bool {
        if isEnding.withLock({ $0 }) { return true }
        _ = bell.wait(timeout: .now() + seconds)
        return isEnding.withLock { $0 }
    }
}

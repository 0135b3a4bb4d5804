import Foundation
import Synchronization

/// The time that retention goes by. It follows the wall clock, but not when that jumps ahead: then it runs at most
/// ``catchUp`` times as fast as time really passes, over restarts too, until it is there again. So a clock that is wrong by
/// 100 days removes nothing on its first day, and a server that was switched off for a weekend has caught up in hours. A
/// clock that is set back is followed at once: that removes less.
package final class RetentionClock: Sendable {
    /// How much faster than real time it may run.
    package static let catchUp = 8.0
    /// Seconds behind the wall clock from which an operator is told.
    package static let tolerance = 86_400.0

    private let file: URL
    private let state: Mutex<(kept: Date, behind: TimeInterval)>

    /// Goes on from where an earlier process was.
    ///
    /// - Parameters:
    ///   - file: where the time is kept, in milliseconds since 1970.
    ///   - lastEvent: the newest event of the store, where no time was kept yet.
    package init(file: URL, lastEvent: Date?, now: Date) {
        self.file = file
        let text = try? String(contentsOf: file, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
        let time = text.flatMap(Double.init).map { Date(timeIntervalSince1970: $0 / 1_000) }
        let kept = min(time ?? lastEvent ?? now, now)
        state = Mutex((kept, now.timeIntervalSince(kept)))
    }

    /// The time to go by.
    ///
    /// - Parameters:
    ///   - now: what the wall clock says.
    ///   - elapsed: seconds that really passed since this was last asked, by a clock that nobody sets.
    package func time(at now: Date, elapsed: TimeInterval) -> Date {
        let kept = state.withLock { state in
            state.kept = min(now, state.kept.addingTimeInterval(elapsed * Self.catchUp))
            state.behind = now.timeIntervalSince(state.kept)
            return state.kept
        }
        // As well as can be: what is lost with it is that the next process begins some minutes further back.
        let text = "\(Int64(kept.timeIntervalSince1970 * 1_000))\n"
        try? Data(text.utf8).write(to: file, options: .atomic)
        return kept
    }

    /// Seconds that it is behind the wall clock, as of when it was last asked.
    package var behind: TimeInterval { state.withLock { $0.behind } }

    /// Whether an operator is to be told that it is behind.
    package var isBehind: Bool { behind > Self.tolerance }
}

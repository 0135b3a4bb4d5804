public import Foundation

/// How urgent a job is.
///
/// Jobs are started in the order of their ``Job/rank``: the time since which a job waits, and its ``handicap`` later. So
/// a job passes one of lower priority only if it came less than the difference of their handicaps after it, and none
/// starves: what can pass a routine job is the stat jobs of two hours, and a bulk job what comes within a day.
public enum JobPriority: String, Codable, CaseIterable, Sendable {
    /// Someone waits at the scanner.
    case stat
    /// The daily work.
    case routine
    /// Studies and re-runs, for the night.
    case bulk

    /// How much later than it came a job takes its place in the queue: 0, 2 and 24 hours.
    public var handicap: Duration {
        switch self {
        case .stat: .zero
        case .routine: .seconds(2 * 3_600)
        case .bulk: .seconds(24 * 3_600)
        }
    }
}

extension Job {
    /// The job's place in the queue: the earliest is started first, of equals the one that was named first.
    public var rank: Date { queuedAt + priority.handicap / .seconds(1) }
}

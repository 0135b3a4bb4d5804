import Foundation

/// How long a job still takes, from how long others took.
///
/// Its own part takes the cost that is left × the measured pace; before that, as many workers as there are share the
/// work ahead. The pace is the median of the last ``runsMeasured`` successful runs, so that one disturbed run, or one
/// that resumed a broken one, does not count.
public enum JobEstimate {
    /// From how many runs the pace is taken.
    public static let runsMeasured = 20

    /// Seconds for one unit of cost: the median, nil before the first run.
    public static func pace(of runs: [Double]) -> Double? {
        let sorted = runs.sorted()
        guard !sorted.isEmpty else { return nil }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}

extension Job {
    /// Seconds that the run took for one unit of cost; nil unless it succeeded by a run of its own and its cost is known.
    public var measuredPace: Double? {
        guard state == .succeeded, let cost, cost > 0, let startedAt, let finishedAt else { return nil }
        return max(0, finishedAt.timeIntervalSince(startedAt)) / cost
    }

    /// Time until the job has finished, zero if it has; nil where its cost is unknown.
    ///
    /// - Parameters:
    ///   - workAhead: cost of all that is done before this job is started: what is left of the running jobs and all
    ///     that waits before it. Has no part in the time left of a running job.
    ///   - pace: seconds for one unit of cost.
    ///   - workers: how many jobs run side by side, at least 1.
    public func timeLeft(workAhead: Double, pace: Double, workers: Int) -> Duration? {
        precondition(workers >= 1)
        guard !state.isFinal else { return .zero }
        guard let cost else { return nil }
        let own = cost * (1 - progress) * pace
        return .seconds(state == .running ? own : own + workAhead * pace / Double(workers))
    }
}

/// Where a job is in its life. The only place that knows which step may follow which; stores write what it returns.
public enum JobState: String, Codable, CaseIterable, Sendable {
    case queued, running, succeeded, failed, cancelled

    /// What can happen to a job. `retry` also stands for a worker that died: its lease ran out. `reuse` is an earlier
    /// job's result that spares the run, `restart` a client's wish for another try after the end.
    public enum Event: CaseIterable, Sendable { case claim, finish, retry, fail, cancel, reuse, restart }

    /// The state after `event`, or nil where the event is not allowed.
    ///
    /// A queued job can fail: when its attempts are used up it is not started once more.
    public func after(_ event: Event) -> JobState? {
        switch (self, event) {
        case (.queued, .claim): .running
        case (.running, .finish), (.queued, .reuse): .succeeded
        case (.running, .retry): .queued
        case (.queued, .fail), (.running, .fail): .failed
        case (.queued, .cancel), (.running, .cancel): .cancelled
        case (.failed, .restart), (.cancelled, .restart): .queued
        default: nil
        }
    }

    /// Whether nothing more happens to the job by itself: only a client can have it run again.
    public var isFinal: Bool { Event.allCases.allSatisfy { $0 == .restart || after($0) == nil } }
}

/// What a token is for. A token has one or more; they add up.
public enum Role: String, CaseIterable, Sendable {
    /// Sends scans, and withdraws what it sent.
    case submit
    /// May, beside `submit`, send scans before everyone else's; alone it allows nothing.
    case stat
    /// Sees the jobs that were sent under its own name.
    case readOwn = "read_own"
    /// Sees every job.
    case readAll = "read_all"
    /// May do everything.
    case admin
}

/// What somebody may want to do.
public enum Action: String, CaseIterable, Sendable {
    /// Queue a job, have a scan looked at without one, or score masks.
    case submit
    /// Queue a job with priority `stat`, or queue such a job again; beside ``submit`` or ``changeJob``.
    case submitStat = "submit_stat"
    /// See a job's state.
    case readJob = "read_job"
    /// See the list of jobs, or the feed of events.
    case listJobs = "list_jobs"
    /// Fetch masks, reports and pictures.
    case readResult = "read_result"
    /// Cancel, retry or verify a job, or give it a reference.
    case changeJob = "change_job"
    /// Remove a job with all its files.
    case deleteJob = "delete_job"
    /// Pause and resume the queue, change a priority, and send dead webhooks again.
    case controlQueue = "control_queue"
    /// Read the audit table.
    case readAudit = "read_audit"
    /// Read the metrics.
    case readMetrics = "read_metrics"
    /// Read which software of which versions answers.
    case readInfo = "read_info"
}

/// Which jobs an action may be done to.
public enum Reach: Int, Comparable, Sendable {
    /// None: the action is refused.
    case none
    /// Those that were submitted under the caller's name.
    case own
    /// All of them; also said of actions that are about no job.
    case all

    /// A narrower reach comes first.
    public static func < (a: Reach, b: Reach) -> Bool { a.rawValue < b.rawValue }
}

extension Role {
    /// The rules: how far this role reaches with an action.
    ///
    /// Metrics hold numbers about the service and nothing about a job or a patient, so every token may read them: give
    /// Prometheus one with `read_own`, which sees no job at all.
    public func reach(_ action: Action) -> Reach {
        switch (self, action) {
        case (.admin, _): .all
        case (_, .readMetrics): .all
        case (.submit, .submit), (.stat, .submitStat): .all
        case (.submit, .changeJob), (.submit, .deleteJob): .own
        case (.readOwn, .readJob), (.readOwn, .listJobs), (.readOwn, .readResult): .own
        case (.readAll, .readJob), (.readAll, .listJobs), (.readAll, .readResult): .all
        default: .none
        }
    }
}

public import Foundation
import Glibc
public import Logging

/// Worker threads that claim jobs, run them, keep their leases and finish them.
///
/// What the work throws decides how a job goes on:
/// - ``JobFailure``: it fails, with that reason.
/// - ``RetryableFailure``, or a full disk (``SpoolError/diskFull``): it waits and runs again; the attempt is not counted.
/// - ``AttemptFailure``: it runs again until its attempts are used up, then fails with that reason.
/// - ``CancelledError`` or `CancellationError`, after being asked to stop: it is cancelled, or queued again if the
///   server stops.
/// - anything else: an internal error. It runs again until its attempts are used up, then fails. The text shown to the
///   user says nothing of the error; the log names its type.
public final class WorkerPool: Sendable {
    /// Works on a job whose files are in the folder, and returns the summary to keep with it. Result files go into the
    /// folder; the pool syncs them to disk before the job counts as succeeded. A run may follow one that was broken off
    /// anywhere, so write under another name and rename.
    public typealias Work = @Sendable (Job, URL, JobContext) throws -> Data

    private let crew: Crew

    /// Makes a pool that does nothing until ``start()``.
    ///
    /// - Parameters:
    ///   - store: where jobs are claimed.
    ///   - spool: where their files are.
    ///   - workers: how many jobs run side by side, at least 1.
    ///   - lease: renewed every third of it. A job whose lease ran out is started again, unless this pool is at work on it.
    ///   - maxAttempts: how often a job may be started.
    ///   - logger: gets one line for each change of state.
    ///   - work: called on a worker's thread; may block and may use all cores.
    public convenience init(
        store: any JobStore, spool: Spool, workers: Int, lease: Duration, maxAttempts: Int, logger: Logger,
        work: @escaping Work
    ) {
        let settings = Crew.Settings(workers: workers, lease: lease, maxAttempts: maxAttempts)
        self.init(crew: Crew(store: store, spool: spool, settings: settings, logger: logger, work: work))
    }

    init(crew: Crew) {
        self.crew = crew
    }

    deinit { crew.beginStop() }

    /// Starts the threads. To be called once.
    public func start() {
        crew.start()
    }

    /// Whether the store answered when a worker last asked it for a job, or told it how one ended.
    public var isStoreAnswering: Bool { crew.isStoreAnswering }

    /// Makes idle workers look for a job, and running jobs for a request to cancel, at once instead of within a
    /// second. To be called after a job was queued or cancelled.
    public func wake() {
        crew.bell.ring()
    }

    /// Takes no more jobs, gives running ones time to end, then asks them to stop and queues them again, without an
    /// attempt counted. Returns when that is done; the pool cannot be started again.
    ///
    /// - Parameter timeout: how long running jobs may go on.
    /// - Returns: whether every job had ended, or had stopped when asked. Others were queued again all the same; what
    ///   their threads still bring is refused.
    @discardableResult
    public func stop(timeout: Duration) -> Bool {
        crew.stop(timeout: timeout)
    }
}

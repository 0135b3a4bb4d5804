import Synchronization

/// What the work on a job reports to, and where it learns that it is to stop.
///
/// Both are cheap enough to be called for each slice: nothing is written or read here. The pool's keeper thread carries
/// reports to the store, and requests to stop back, about twice a second.
public final class JobContext: Sendable {
    /// Why the work is to stop.
    enum Stop: Sendable, Equatable {
        case cancelled, leaseLost, shutdown
    }

    struct Report: Sendable, Equatable {
        var stage: String
        var progress: Double
    }

    private struct State {
        var report = Report(stage: "", progress: 0)
        var isNew = false
        var stop: Stop?
    }

    private let state = Mutex(State())
    private let stopped = Atomic<Bool>(false)

    /// A context that nobody asks to stop: the pool makes one for each run, and a test of the work can have its own.
    public init() {}

    /// Says what the work is busy with and how much of all of it is done (0...1).
    public func report(stage: String, progress: Double) {
        let progress = progress.isNaN ? 0 : min(max(progress, 0), 1)
        state.withLock { state in
            let report = Report(stage: stage, progress: progress)
            state.isNew = state.isNew || report != state.report
            state.report = report
        }
    }

    /// Whether the work is to stop: a client cancelled the job, the lease was lost, or the server stops.
    public var isCancelled: Bool { stopped.load(ordering: .relaxed) }

    /// Throws if the work is to stop. Let the error pass through: the pool knows what to do with it.
    public func checkCancelled() throws(CancelledError) {
        if isCancelled { throw CancelledError() }
    }

    /// The first reason to stop, if there is one.
    var stop: Stop? { state.withLock { $0.stop } }

    /// Asks the work to stop; only the first reason counts, but a lost lease outweighs the others.
    func requestStop(_ reason: Stop) {
        state.withLock { state in
            if state.stop == nil || reason == .leaseLost { state.stop = reason }
        }
        stopped.store(true, ordering: .relaxed)
    }

    /// The last report, and whether it changed since this was last asked.
    func takeReport() -> (report: Report, isNew: Bool) {
        state.withLock { state in
            defer { state.isNew = false }
            return (state.report, state.isNew)
        }
    }
}

/// Thrown by work that stops because it was asked to.
public struct CancelledError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The error has no content: the pool knows who asked.
    public init() {}

    /// The sentence for the user.
    public var description: String { "The job was cancelled." }
}

/// Thrown by work whose run came to nothing, perhaps through the job's own fault: it is queued again until its attempts
/// are used up, and then fails with this reason.
public struct AttemptFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// What the job shows.
    public var failure: JobFailure

    /// A reason with its code and its sentence for the user.
    public init(code: String, message: String) { failure = JobFailure(code: code, message: message) }

    /// The sentence for the user.
    public var description: String { failure.message }
}

/// Thrown by work that cannot go on now, through no fault of the job: it is queued again after `delay`, as often as
/// it takes, and the attempt is not counted.
public struct RetryableFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// What the job shows while it waits.
    public var failure: JobFailure
    /// How long to wait before the next run.
    public var delay: Duration

    /// A reason with its code, its sentence for the user and the time to wait.
    public init(code: String, message: String, delay: Duration = .seconds(30)) {
        failure = JobFailure(code: code, message: message)
        self.delay = delay
    }

    /// The sentence for the user.
    public var description: String { failure.message }
}

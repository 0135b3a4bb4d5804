public import Foundation

/// How a run ended.
public enum JobOutcome: Sendable, Equatable {
    /// With a result; its summary is kept as it is.
    case succeeded(result: Data)
    /// For good: another attempt would end alike.
    case failed(JobFailure)
    /// Through a fault that may not come again: queued once more, unless this was the last attempt.
    case retry(reason: JobFailure)
    /// Through no fault of the job: queued once more, not before `until`, and the attempt is not counted.
    case postponed(reason: JobFailure?, until: Date)
    /// Because a client asked to cancel.
    case cancelled
}

/// The rules of a job's life, as pure functions from a job to what it becomes; nil where ``JobState`` does not allow
/// the step. A store calls them inside a transaction and writes what they return.
extension Job {
    /// The job as a worker takes it.
    public func claimed(at now: Date) -> Job? {
        guard var job = moved(by: .claim) else { return nil }
        job.attempts += 1
        job.startedAt = now
        job.notBefore = nil
        job.failure = nil
        job.stage = nil
        job.progress = 0
        return job
    }

    /// The job after its run ended with `outcome`.
    ///
    /// A job that is to be cancelled is not queued again, and one whose attempts are used up fails with the reason of
    /// its last run.
    public func finished(_ outcome: JobOutcome, at now: Date, maxAttempts: Int) -> Job? {
        switch outcome {
        case .succeeded(let result):
            guard var job = moved(by: .finish, at: now) else { return nil }
            job.result = result
            job.progress = 1
            return job
        case .failed(let failure):
            return failed(failure, at: now)
        case .cancelled:
            return moved(by: .cancel, at: now)
        case .retry(let reason):
            if !cancelRequested && attempts >= maxAttempts { return failed(reason, at: now) }
            return requeued(at: now, reason: reason)
        case .postponed(let reason, let until):
            guard var job = requeued(at: now, reason: reason) else { return nil }
            guard job.state == .queued else { return job }
            job.attempts -= 1
            job.notBefore = until > now ? until : nil
            return job
        }
    }

    /// A running job after its worker was lost: the lease ran out, or the process that held it has ended.
    ///
    /// - Parameter maxAttempts: the job fails once this many runs were started; nil leaves that to the next claim.
    public func abandoned(at now: Date, maxAttempts: Int?) -> Job? {
        if let maxAttempts, !cancelRequested, attempts >= maxAttempts {
            return failed(.attemptsExhausted(attempts), at: now)
        }
        return requeued(at: now, reason: .interrupted)
    }

    /// A queued job that has used its attempts, as it fails instead of being started again.
    public func givenUp(at now: Date) -> Job? {
        failed(.attemptsExhausted(attempts), at: now)
    }

    /// The job after a client asked to cancel it: a queued one at once, a running one when its worker
    /// has noticed; a finished one stays as it is.
    public func cancelling(at now: Date) -> Job {
        switch state {
        case .queued:
            return moved(by: .cancel, at: now) ?? self
        case .running:
            var job = self
            job.cancelRequested = true
            return job
        case .succeeded, .failed, .cancelled:
            return self
        }
    }

    /// A failed or cancelled job after a client asked to run it again: as if it had just come, with all its attempts.
    public func retried(at now: Date) -> Job? {
        guard var job = moved(by: .restart) else { return nil }
        job.attempts = 0
        job.queuedAt = now
        job.startedAt = nil
        job.finishedAt = nil
        job.stage = nil
        job.progress = 0
        job.cancelRequested = false
        job.failure = nil
        return job
    }

    /// A job that was just accepted, as it ends at once with the result of an earlier one; nil if that has none.
    public func reusing(_ earlier: Job, at now: Date) -> Job? {
        guard earlier.state == .succeeded, var job = moved(by: .reuse, at: now) else { return nil }
        job.result = earlier.result
        job.progress = 1
        job.copiedFrom = earlier.copiedFrom ?? earlier.id
        return job
    }

    private func failed(_ failure: JobFailure, at now: Date) -> Job? {
        guard var job = moved(by: .fail, at: now) else { return nil }
        job.failure = failure
        return job
    }

    private func requeued(at now: Date, reason: JobFailure?) -> Job? {
        if cancelRequested { return moved(by: .cancel, at: now) }
        guard var job = moved(by: .retry) else { return nil }
        job.startedAt = nil
        job.stage = nil
        job.progress = 0
        job.failure = reason
        return job
    }

    /// The job in the state that follows; with the time and without waiting fields if the state is final.
    private func moved(by event: JobState.Event, at now: Date? = nil) -> Job? {
        guard let next = state.after(event) else { return nil }
        var job = self
        job.state = next
        if next.isFinal {
            job.finishedAt = now
            job.notBefore = nil
            job.failure = nil
            if event == .cancel { job.cancelRequested = true }
        }
        return job
    }
}

extension JobFailure {
    /// The job was started as often as is allowed, and each time its worker was lost.
    static func attemptsExhausted(_ attempts: Int) -> JobFailure {
        JobFailure(
            code: "attempts_exhausted",
            message: "The job was started \(attempts) times and did not finish: the server stopped while it ran. "
                + "Send the scan again; if it fails again, ask the operator of this server.")
    }

    /// The worker was lost; the job waits for its next attempt.
    static let interrupted = JobFailure(
        code: "interrupted", message: "The server stopped while the job ran. The job starts again by itself.")
}

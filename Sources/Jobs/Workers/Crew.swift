import Foundation
import Logging
import Synchronization

/// What the threads of a ``WorkerPool`` share: the workers, and the keeper that renews leases.
final class Crew: Sendable {
    struct Settings: Sendable {
        var workers: Int
        var lease: Duration
        var maxAttempts: Int
        /// How often an idle worker looks for a job that nobody announced.
        var poll: Duration = .seconds(1)
        /// How often the keeper carries progress and requests to cancel.
        var tick: Duration = .milliseconds(500)
        /// How long a job that was asked to stop may take to do so when the server stops.
        var grace: Duration = .seconds(5)
        /// How often a finished run is offered to a store that does not answer, and the time between.
        var finishTries = 60
        var finishPause: Duration = .seconds(1)
        /// The wall clock, which may be set at any time.
        var now: @Sendable () -> Date = { Date() }
    }

    /// A run in progress.
    private struct Run: Sendable {
        let claim: ClaimedJob
        let context: JobContext
        var renewAfter: ContinuousClock.Instant
    }

    private struct State {
        var runs: [UUID: Run] = [:]
        var liveWorkers = 0
        var isStopping = false
        var isStoreFailing = false
    }

    let bell = Bell()
    /// Held from a claim until its run is known, so that no other claim takes it for lost in between.
    private let claiming = Mutex<Void>(())
    private let store: any JobStore
    private let spool: Spool
    private let settings: Settings
    private let logger: Logger
    private let work: WorkerPool.Work
    private let state = Mutex(State())

    init(
        store: any JobStore, spool: Spool, settings: Settings, logger: Logger, work: @escaping WorkerPool.Work
    ) {
        precondition(settings.workers >= 1 && settings.maxAttempts >= 1 && settings.lease > .zero)
        self.store = store
        self.spool = spool
        self.settings = settings
        self.logger = logger
        self.work = work
    }

    func start() {
        state.withLock { state in
            precondition(state.liveWorkers == 0 && !state.isStopping, "a worker pool is started once")
            state.liveWorkers = settings.workers
        }
        for _ in 0..<settings.workers { startThread { self.workerLoop() } }
        startThread { self.keeperLoop() }
    }

    func beginStop() {
        state.withLock { $0.isStopping = true }
        bell.ring()
    }

    func stop(timeout: Duration) -> Bool {
        beginStop()
        if waitForWorkers(timeout) { return true }
        for run in state.withLock({ Array($0.runs.values) }) { run.context.requestStop(.shutdown) }
        if waitForWorkers(settings.grace) { return true }
        for run in state.withLock({ Array($0.runs.values) }) {
            run.context.requestStop(.leaseLost)
            finish(run.claim, .postponed(reason: nil, until: settings.now()))
        }
        return false
    }

    private func waitForWorkers(_ timeout: Duration) -> Bool {
        let end = ContinuousClock.now + timeout
        while true {
            let seen = bell.count
            if state.withLock({ $0.liveWorkers }) == 0 { return true }
            let left = end - ContinuousClock.now
            guard left > .zero else { return false }
            bell.wait(past: seen, timeout: left)
        }
    }

    private var isStopping: Bool { state.withLock { $0.isStopping } }

    /// Whether the store answered when it was last asked for a job, or told how one ended.
    var isStoreAnswering: Bool { state.withLock { !$0.isStoreFailing } }

    // MARK: - Workers

    private func workerLoop() {
        while !isStopping {
            let seen = bell.count
            if let run = claim() { self.run(run) } else if !isStopping { bell.wait(past: seen, timeout: settings.poll) }
        }
        state.withLock { $0.liveWorkers -= 1 }
        bell.ring()
    }

    private func claim() -> Run? {
        claiming.withLock { _ in
            do throws(JobStoreError) {
                let held = Set(state.withLock { $0.runs.keys })
                let claim = try store.claim(
                    at: settings.now(), lease: settings.lease, maxAttempts: settings.maxAttempts, held: held,
                    alsoChanged: logEnd)
                storeAnswers(nil)
                guard let claim else { return nil }
                let run = Run(claim: claim, context: JobContext(), renewAfter: .now + settings.lease / 3)
                state.withLock { $0.runs[claim.token] = run }
                return run
            } catch {
                storeAnswers(error)
                return nil
            }
        }
    }

    private func run(_ run: Run) {
        let claim = run.claim
        let waited = claim.job.startedAt?.timeIntervalSince(claim.job.queuedAt) ?? 0
        logger(of: claim.job).info("job started", metadata: ["waited_ms": .stringConvertible(Int(waited * 1_000))])
        let outcome = outcome(of: claim, run.context)
        if let outcome { finish(claim, outcome) }
        // Only now: until the end is written the job is ours.
        state.withLock { $0.runs[claim.token] = nil }
    }

    /// How the run ended, or nil if it is not ours to say: the lease was lost.
    private func outcome(of claim: ClaimedJob, _ context: JobContext) -> JobOutcome? {
        do {
            let result = try work(claim.job, spool.folder(of: claim.job.id), context)
            try spool.sync(claim.job.id)
            return .succeeded(result: result)
        } catch let failure as JobFailure {
            return .failed(failure)
        } catch let failure as RetryableFailure {
            return .postponed(reason: failure.failure, until: settings.now() + failure.delay / .seconds(1))
        } catch let failure as AttemptFailure {
            return .retry(reason: failure.failure)
        } catch SpoolError.diskFull {
            return .postponed(reason: .diskFull, until: settings.now() + 30)
        } catch let error where error is CancelledError || error is CancellationError {
            switch context.stop {
            case .cancelled: return .cancelled
            case .shutdown: return .postponed(reason: nil, until: settings.now())
            case .leaseLost:
                logger.warning("job abandoned: its lease was lost", metadata: ["job": "\(claim.job.id)"])
                return nil
            case nil: return internalError(error, claim)
            }
        } catch {
            return internalError(error, claim)
        }
    }

    private func internalError(_ error: any Error, _ claim: ClaimedJob) -> JobOutcome {
        // The type only: an error's text may hold a file name or a part of the upload.
        logger.error(
            "job met an internal error",
            metadata: [
                "job": "\(claim.job.id)", "attempt": .stringConvertible(claim.job.attempts),
                "error": "\(type(of: error))",
                "code": "\((error as NSError).code)",
            ])
        return .retry(reason: .internalError)
    }

    /// Writes how a run ended, again and again while the store does not answer. If it never does, the lease runs out
    /// and the job is started again.
    private func finish(_ claim: ClaimedJob, _ outcome: JobOutcome) {
        for attempt in 1...settings.finishTries {
            do throws(JobStoreError) {
                let job = try store.finish(claim, outcome, at: settings.now())
                storeAnswers(nil)
                if let job {
                    logEnd(job)
                } else {
                    logger.warning("job result refused: its lease was lost", metadata: ["job": "\(claim.job.id)"])
                }
                return
            } catch {
                storeAnswers(error)
                if case .removed = error { return }
                if isStopping && attempt > 3 { return }
                Thread.sleep(forTimeInterval: settings.finishPause / .seconds(1))
            }
        }
    }

    // MARK: - Keeper

    private func keeperLoop() {
        while state.withLock({ !$0.isStopping || $0.liveWorkers > 0 }) {
            let seen = bell.count
            for run in state.withLock({ Array($0.runs.values) }) { keep(run) }
            bell.wait(past: seen, timeout: settings.tick)
        }
    }

    /// Writes what is new of a run and renews its lease when that is due; otherwise only looks for a request to cancel.
    private func keep(_ run: Run) {
        let (report, isNew) = run.context.takeReport()
        do throws(JobStoreError) {
            guard isNew || ContinuousClock.now >= run.renewAfter else {
                if try store.job(run.claim.job.id)?.cancelRequested == true { run.context.requestStop(.cancelled) }
                return
            }
            let lease = try store.renew(
                run.claim, stage: report.stage, progress: report.progress,
                until: settings.now() + settings.lease / .seconds(1))
            state.withLock { $0.runs[run.claim.token]?.renewAfter = .now + settings.lease / 3 }
            switch lease {
            case .held: break
            case .cancelRequested: run.context.requestStop(.cancelled)
            case .lost: run.context.requestStop(.leaseLost)
            }
        } catch {
            if case .removed = error { run.context.requestStop(.leaseLost) } else { storeAnswers(error) }
        }
    }

    // MARK: - Log

    /// Names the job, its run, and the request that brought it, so that one id leads from a proxy's log to this one.
    private func logger(of job: Job) -> Logger {
        var logger = logger
        logger[metadataKey: "job"] = "\(job.id)"
        logger[metadataKey: "attempt"] = .stringConvertible(job.attempts)
        if let request = job.request { logger[metadataKey: "request"] = "\(request)" }
        return logger
    }

    private func logEnd(_ job: Job) {
        var logger = logger(of: job)
        if let failure = job.failure { logger[metadataKey: "code"] = "\(failure.code)" }
        if let start = job.startedAt, let end = job.finishedAt {
            logger[metadataKey: "run_ms"] = .stringConvertible(Int(end.timeIntervalSince(start) * 1_000))
        }
        switch job.state {
        case .succeeded: logger.info("job succeeded")
        case .cancelled: logger.info("job cancelled")
        case .failed: logger.error("job failed")
        case .queued: logger.warning("job queued again")
        case .running: logger.info("job running")
        }
    }

    /// One line when the store stops answering and one when it answers again, however often it is asked.
    private func storeAnswers(_ error: JobStoreError?) {
        let changed = state.withLock { state in
            defer { state.isStoreFailing = error != nil }
            return state.isStoreFailing != (error != nil)
        }
        guard changed else { return }
        if let error {
            logger.error("job store does not answer", metadata: ["error": "\(error)"])
        } else {
            logger.info("job store answers again")
        }
    }
}

extension JobFailure {
    /// Something threw that the work should have turned into a reason.
    static let internalError = JobFailure(
        code: "internal_error",
        message: "The server met an internal error. Send the scan again; if it fails again, ask the operator.")

    /// A result could not be written; the job waits.
    static let diskFull = JobFailure(
        code: "disk_full", message: "The server's disk is full. The job starts again by itself once there is space.")
}

// MARK: - Threads

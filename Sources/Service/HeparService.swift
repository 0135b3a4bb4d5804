import Compute
import Foundation
import HTTPDaemon
import Imaging
import Jobs
import Logging
import Segmentation

/// The running service: HTTP in front, workers behind, the store and the spool between them.
public final class HeparService: Sendable {
    private let daemon: HTTPDaemon
    private let workers: WorkerPool
    private let watch: JobWatch
    private let housekeeping: Housekeeping
    private let lock: SpoolLock

    /// The port that is listened on.
    public var port: Int { daemon.port }

    /// Recovers what an earlier process left, starts the workers, and listens.
    ///
    /// - Parameter store: where jobs are kept; only this process may use it.
    /// - Throws: ``SpoolError/inUse(folder:)`` if another server works on the folder, and ``DaemonError``.
    public init(
        _ config: ServiceConfig, store: any JobStore, spool: Spool, segmenter: Segmenter, team: ThreadTeam,
        logger: Logger
    ) throws {
        lock = try spool.lock()
        let watch = JobWatch()
        self.watch = watch
        let store = WatchedJobStore(store) { watch.changed($0) }
        let budget = MemoryBudget(
            limit: config.memoryLimitMiB > 0 ? config.memoryLimitMiB << 20 : MemoryBudget.fourFifthsOfMemory)
        let key = try SigningKey(file: URL(filePath: config.dataFolder).appending(path: "signing.key"))
        // A store that cannot answer stops the sweep: files of accepted jobs must never be taken for leftovers.
        let removed = try spool.sweep(keeping: store.contains)
        let requeued = try store.releaseAll(at: Date())
        logger.info("recovered", metadata: ["requeued": "\(requeued.count)", "leftovers": "\(removed)"])
        workers = WorkerPool(
            store: store, spool: spool, workers: config.workers, lease: .seconds(config.leaseSeconds),
            maxAttempts: config.attempts, logger: logger
        ) { job, folder, context in
            try budget.reserving(JobRequest(of: job).memoryBytes ?? 0, checkStop: context.checkCancelled) {
                try work(
                    job, in: folder, limits: config.volumeLimits, segmenter: segmenter, key: key, team: team,
                    context: context)
            }
        }
        housekeeping = Housekeeping(
            store: store, spool: spool, resultsKeepDays: config.resultsKeepDays, eventsKeepDays: config.eventsKeepDays,
            logger: logger)
        let routes = Routes(
            config: config, store: store, spool: spool, workers: workers, watch: watch, segmenter: segmenter,
            budget: budget, key: key, team: team, logger: logger)
        var settings = DaemonSettings()
        settings.host = config.host
        settings.port = config.port
        settings.handlerThreads = config.handlerThreads
        settings.connectionLimit = config.connectionLimit
        settings.idleTimeoutSeconds = config.idleTimeoutSeconds
        daemon = try HTTPDaemon(
            settings: settings, logger: logger, plan: { routes.plan($0) }, answer: { routes.answer($0) })
        workers.start()
        housekeeping.start()
    }

    /// Stops listening, then gives running jobs back to the queue.
    public func stop() {
        housekeeping.end()
        watch.end()
        daemon.stop()
        workers.stop(timeout: .seconds(10))
    }
}

/// What a worker does with a job: the case's files are in the job's folder, and so its mask and report will be.
private func work(
    _ job: Job, in folder: URL, limits: VolumeLimits, segmenter: Segmenter, key: SigningKey, team: ThreadTeam,
    context: JobContext
) throws -> Data {
    guard let image = JobFiles.uploaded("image", in: folder) else {
        throw JobFailure(code: "upload_lost", message: "The upload is no longer on the server's disk. Send it again.")
    }
    let request = try JobRequest(of: job)
    let files = Case(
        image: image, reference: JobFiles.uploaded("reference", in: folder),
        mask: folder.appending(path: JobFiles.mask), probabilities: folder.appending(path: JobFiles.probabilities),
        journal: folder.appending(path: JobFiles.journal), options: request.options, limits: limits)
    do {
        context.report(stage: "read", progress: 0)
        let report = try run(files, with: segmenter, key: key, team: team) { progress in
            try context.checkCancelled()
            context.report(stage: progress.stage.rawValue, progress: progress.fraction)
        }
        try report.write(to: folder.appending(path: JobFiles.report))
        let verification = request.verifies.flatMap { earlier in
            report.provenance.map { Verification(earlier, now: $0.statement) }
        }
        return try JSONEncoder.hepar.encode(JobResult(report, verification: verification))
    } catch let error as VolumeError {
        if error.isUsersFault { throw JobFailure(code: error.code, message: "\(error)") }
        // Space may come back; anything else that fails again and again must end.
        if case .diskFull = error { throw RetryableFailure(code: error.code, message: "\(error)") }
        throw error
    }
}

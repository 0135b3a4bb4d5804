import Compute
import Dicom
import Foundation
import HTTPDaemon
import Imaging
import Inference
import Jobs
import Logging
import Segmentation
import Telemetry

/// The running service: HTTP in front, workers behind, the store and the spool between them.
public final class HeparService: Sendable {
    private let daemon: HTTPDaemon
    private let workers: WorkerPool
    private let watch: JobWatch
    private let courier: WebhookCourier?
    private let housekeeping: Housekeeping
    private let lock: SpoolLock

    /// The port that is listened on.
    public var port: Int { daemon.port }

    /// Recovers what an earlier process left, starts the workers, and listens.
    ///
    /// - Parameters:
    ///   - store: where jobs are kept; only this process may use it.
    ///   - program: the program that reads DICOM files apart from this process, by its command `import-dicom`.
    /// - Throws: ``SpoolError/inUse(folder:)`` if another server works on the folder, and ``DaemonError``.
    public init(
        _ config: ServiceConfig, store: any JobStore, outbox: Outbox, audit: AuditLog, spool: Spool,
        segmenter: Segmenter, program: URL, team: ThreadTeam, logger: Logger
    ) throws {
        let gate = try Gate(config, logger: logger)
        lock = try spool.lock()
        let metrics = ServiceMetrics()
        let courier = gate.sender.map {
            WebhookCourier(
                outbox: outbox, targets: gate.webhooks, sender: $0, outcomes: metrics.webhookDeliveries, logger: logger)
        }
        self.courier = courier
        let watch = JobWatch()
        self.watch = watch
        let store = WatchedJobStore(store) {
            watch.changed($0)
            courier?.wake()
        }
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
                    slices: metrics.slices, context: context)
            }
        }
        housekeeping = Housekeeping(
            store: store, spool: spool, resultsKeepDays: config.resultsKeepDays, eventsKeepDays: config.eventsKeepDays,
            logger: logger)
        let routes = Routes(
            config: config, store: store, spool: spool, workers: workers, watch: watch, segmenter: segmenter,
            budget: budget, key: key, gate: gate, outbox: outbox, audit: audit, metrics: metrics,
            importer: DicomImporter(executable: program), imports: Places(max(1, config.handlerThreads / 2)),
            team: team, logger: logger)
        let jobMetrics = try JobMetrics(metrics, store: store, outbox: outbox, spool: spool)
        metrics.registry.onExposition {
            jobMetrics.refresh()
            routes.noteReadiness()
        }
        metrics.beginAtZero()
        metrics.buildInfo.set(
            1, Hepar.version, segmenter.modelName, "\(InstructionSet.best(width: segmenter.liverModel.width))")
        metrics.startTime.set(Date().timeIntervalSince1970)
        var settings = DaemonSettings()
        settings.host = config.host
        settings.port = config.port
        settings.partLimit = DicomLimits().files
        settings.handlerThreads = config.handlerThreads
        settings.connectionLimit = config.connectionLimit
        settings.idleTimeoutSeconds = config.idleTimeoutSeconds
        daemon = try HTTPDaemon(
            settings: settings, logger: logger, plan: { routes.plan($0) }, answer: { routes.answer($0) })
        workers.start()
        housekeeping.start()
        courier?.start()
    }

    /// Stops listening, then gives running jobs back to the queue.
    public func stop() {
        courier?.end()
        housekeeping.end()
        watch.end()
        daemon.stop()
        workers.stop(timeout: .seconds(10))
    }
}

/// What a worker does with a job: the case's files are in the job's folder, and so its mask and report will be.
private func work(
    _ job: Job, in folder: URL, limits: VolumeLimits, segmenter: Segmenter, key: SigningKey, team: ThreadTeam,
    slices: Telemetry.Counter, context: JobContext
) throws -> Data {
    guard let image = JobFiles.uploaded("image", in: folder) else {
        throw JobFailure(code: "upload_lost", message: "The upload is no longer on the server's disk. Send it again.")
    }
    let request = try JobRequest(of: job)
    let files = Case(
        image: image, reference: JobFiles.uploaded("reference", in: folder),
        mask: folder.appending(path: JobFiles.mask), probabilities: folder.appending(path: JobFiles.probabilities),
        journal: folder.appending(path: JobFiles.journal), options: request.options, findings: request.findings,
        limits: limits)
    do {
        context.report(stage: "read", progress: 0)
        let report = try run(files, with: segmenter, key: key, team: team) { progress in
            try context.checkCancelled()
            if progress.stage != .rules, progress.done < progress.total { slices.add(1, progress.stage.rawValue) }
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

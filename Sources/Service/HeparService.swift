import Compute
import Dicom
import Foundation
import HTTPDaemon
import Imaging
import Inference
import Jobs
import Logging
import Sandbox
import Segmentation
import Telemetry

/// The running service: HTTP in front, workers behind, the store and the spool between them.
public final class HeparService: Sendable {
    private let daemon: HTTPDaemon
    private let workers: WorkerPool
    private let watch: JobWatch
    private let courier: WebhookCourier?
    private let housekeeping: Housekeeping
    private let places: Places
    private let auditDesk: AuditDesk
    private let storage: Storage
    private let lock: SpoolLock

    /// The port that is listened on.
    public var port: Int { daemon.port }

    /// Recovers what an earlier process left, starts the workers, and listens.
    ///
    /// - Parameters:
    ///   - store: where jobs are kept; only this process may use it.
    ///   - program: `hepar`, whose commands `import-dicom` and `work` do apart from this process whatever reads uploads.
    /// - Throws: ``SpoolError/inUse(folder:)`` if another server works on the folder; ``ImplausibleDatabase``, and then
    ///   nothing was changed; ``DaemonError``.
    public init(
        _ config: ServiceConfig, store: any JobStore, outbox: Outbox, audit: AuditLog, spool: Spool,
        segmenter: Segmenter, program: URL, logger: Logger
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
        let data = URL(filePath: config.dataFolder)
        // Before this process makes events of its own.
        let clock = RetentionClock(
            file: data.appending(path: "retention.clock"), lastEvent: try store.lastEventTime(), now: Date())
        // A store that cannot answer, or is not of this folder, stops the start: files of accepted jobs must never be taken
        // for leftovers.
        let found = try spool.recover(with: store, dataFolder: config.dataFolder, day: Date())
        let requeued = try store.releaseAll(at: Date())
        logger.info("recovered", metadata: ["requeued": "\(requeued.count)", "leftovers": "\(found.swept.removed)"])
        if found.swept.setAside > 0 {
            logger.warning("folders without a job set aside", metadata: ["folders": "\(found.swept.setAside)"])
        }
        if found.withoutFolder > 0 {
            logger.error("jobs have lost their files", metadata: ["jobs": "\(found.withoutFolder)"])
        }
        let workshop = Workshop(program: program)
        do {
            _ = try workshop.run(ProbeWork())
        } catch let lost as WorkerLost {
            throw IsolationError(lost: lost)
        }
        logger.info("uploads are read in confined processes", metadata: Kernel.guards)
        let cores = Cores(threads: config.computeThreads)
        let quarantine = Quarantine(folder: URL(filePath: config.dataFolder).appending(path: "quarantine"))
        let bench = JobBench(
            workshop: workshop, cores: cores, quarantine: quarantine, config: config, segmenter: segmenter, key: key,
            slices: metrics.slices)
        let storage = Storage(store: store, spool: spool, config: config, logger: logger)
        self.storage = storage
        let auditDesk = AuditDesk(
            audit, keepDays: config.auditKeepDays, folder: URL(filePath: config.dataFolder), logger: logger)
        self.auditDesk = auditDesk
        workers = WorkerPool(
            store: store, spool: spool, workers: config.workers, lease: .seconds(config.leaseSeconds),
            maxAttempts: config.attempts, logger: logger
        ) { job, folder, context in
            defer { storage.measure(job.id) }
            return try budget.reserving(JobRequest(of: job).memoryBytes ?? 0, checkStop: context.checkCancelled) {
                try bench.work(on: job, in: folder, context: context)
            }
        }
        housekeeping = Housekeeping(
            store: store, spool: spool, clock: clock, resultsKeepDays: config.resultsKeepDays,
            eventsKeepDays: config.eventsKeepDays, logger: logger)
        let places = Places(threads: config.handlerThreads)
        self.places = places
        let routes = Routes(
            config: config, store: store, spool: spool, workers: workers, watch: watch, segmenter: segmenter,
            budget: budget, key: key, gate: gate, outbox: outbox, audit: audit, auditDesk: auditDesk, storage: storage,
            metrics: metrics, importer: DicomImporter(executable: program), places: places, workshop: workshop,
            cores: cores, quarantine: quarantine, retentionClock: clock, logger: logger)
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
        // What needs a child process has threads of its own.
        settings.handlerThreads = 4
        settings.connectionLimit = config.connectionLimit
        settings.connectionsPerAddressLimit = config.connectionsPerAddress
        settings.idleTimeoutSeconds = config.idleTimeoutSeconds
        daemon = try HTTPDaemon(
            settings: settings, logger: logger, isVital: { Routes.isVital($0) },
            isExempt: { gate.doorkeeper.isTrustedProxy($0) }, plan: { routes.plan($0) },
            answer: { routes.answer($0) })
        auditDesk.start()
        storage.startMeasuring()
        workers.start()
        housekeeping.start()
        courier?.start()
    }

    /// Stops listening, then gives running jobs back to the queue.
    public func stop() {
        courier?.end()
        housekeeping.end()
        watch.end()
        places.end()
        daemon.stop()
        workers.stop(timeout: .seconds(10))
        storage.end()
        auditDesk.end()
    }
}

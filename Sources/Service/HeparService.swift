import API
import Cases
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
import Work

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
    private let host: SingleHost

    /// The port that is listened on.
    public var port: Int { daemon.port }

    /// Recovers what an earlier process left, starts the workers, and listens.
    ///
    /// - Parameters:
    ///   - base: where jobs are kept; only this process may use it.
    ///   - program: `hepar`, whose commands `import-dicom` and `work` do apart from this process whatever reads uploads.
    /// - Throws: ``SpoolError/inUse(folder:)`` if another server works on the folder; ``ImplausibleDatabase``, and then
    ///   nothing was changed; ``DaemonError``.
    public init(
        _ config: ServiceConfig, store base: any Store & SingleHostStore, spool: Spool, segmenter: Segmenter,
        program: URL, logger: Logger
    ) throws {
        let gate = try Gate(config, logger: logger)
        host = try SingleHost(of: spool)
        let metrics = ServiceMetrics()
        let courier = gate.sender.map {
            WebhookCourier(
                outbox: base, targets: gate.webhooks, sender: $0, outcomes: metrics.webhookDeliveries, logger: logger)
        }
        self.courier = courier
        let watch = JobWatch()
        self.watch = watch
        let store = WatchedJobStore(base) {
            watch.changed($0)
            courier?.wake()
        }
        let budget = MemoryBudget(
            limit: config.memoryLimitMiB > 0 ? config.memoryLimitMiB << 20 : MemoryBudget.fourFifthsOfMemory)
        let data = URL(filePath: config.dataFolder)
        let key = try SigningKey(file: data.appending(path: "signing.key"))
        // Before this process makes events of its own.
        let clock = RetentionClock(
            file: data.appending(path: "retention.clock"), lastEvent: try store.lastEventTime(), now: Date())
        // A store that cannot answer, or is not of this folder, stops the start: files of accepted jobs must never be taken
        // for leftovers.
        let found = try host.recover(store, dataFolder: config.dataFolder, day: Date())
        let requeued = try host.release(base, at: Date())
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
        let incidents = IncidentLog(folder: data.appending(path: "quarantine"))
        let runner = JobRunner(
            workshop: workshop, cores: cores, incidents: incidents, segmenter: segmenter,
            models: URL(filePath: config.modelFolder), limits: config.volumeLimits, attempts: config.attempts,
            freeSpaceMiB: config.freeSpaceMiB, key: key, slices: metrics.slices)
        let storage = Storage(store: store, spool: spool, standardMiB: config.storedMiB, logger: logger)
        self.storage = storage
        let auditDesk = AuditDesk(base, keepDays: config.auditKeepDays, folder: data, logger: logger)
        self.auditDesk = auditDesk
        workers = WorkerPool(
            store: store, spool: spool, workers: config.workers, lease: .seconds(config.leaseSeconds),
            maxAttempts: config.attempts, logger: logger
        ) { job, folder, context in
            defer { storage.measure(job.id) }
            return try budget.reserving(JobRequest(of: job).memoryBytes ?? 0, checkStop: context.checkCancelled) {
                try runner.work(on: job, in: folder, context: context)
            }
        }
        housekeeping = Housekeeping(
            store: store, spool: spool, clock: clock, resultsKeepDays: config.resultsKeepDays,
            eventsKeepDays: config.eventsKeepDays, logger: logger)
        let places = Places(threads: config.handlerThreads)
        self.places = places
        let limits = InterfaceLimits(
            volumes: config.volumeLimits, uploadBytes: config.uploadLimitMiB << 20,
            underWayBytes: config.inFlightMiB << 20, freeSpaceMiB: config.freeSpaceMiB, queue: config.queueLimit,
            workers: config.workers, keepsUIDs: config.keepsUIDs)
        let routes = Routes(
            Interface(
                store: store, outbox: base, audit: base, spool: spool, storage: storage, gate: gate,
                workers: workers, watch: watch, auditDesk: auditDesk, metrics: metrics, segmenter: segmenter,
                workshop: workshop, cores: cores, incidents: incidents,
                places: places, budget: budget, key: key, retentionClock: clock, limits: limits, logger: logger))
        let jobMetrics = try JobMetrics(metrics, store: store, outbox: base, spool: spool)
        metrics.registry.onExposition {
            jobMetrics.refresh()
            routes.noteReadiness()
        }
        routes.beginAtZero()
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
            isExempt: { gate.doorkeeper.isTrustedProxy($0) }, loggedPath: { routes.loggedPath($0) },
            plan: { routes.plan($0) })
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

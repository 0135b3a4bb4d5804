import Cases
import Dicom
import Foundation
import HTTPDaemon
import Imaging
import Jobs
import Logging
import Segmentation
import Telemetry
import Work

/// All that the HTTP interface works with. Each resource is given the few of them that it needs.
package struct Interface {
    /// Jobs, what is to be told of them, and who did what.
    package let store: any JobStore, outbox: any Outbox, audit: any AuditLog
    /// The jobs' files, and what each caller holds of them.
    package let spool: Spool, storage: Storage
    /// Who may ask.
    package let gate: Gate
    /// Who works on jobs, waits for them, or is told of them.
    package let workers: WorkerPool, watch: JobWatch, auditDesk: AuditDesk, metrics: ServiceMetrics
    /// The model that answers.
    package let segmenter: Segmenter
    /// What reads files.
    package let workshop: Workshop, cores: Cores, incidents: IncidentLog
    package let places: Places
    package let budget: MemoryBudget
    package let key: SigningKey
    package let retentionClock: RetentionClock
    package let limits: InterfaceLimits
    package let logger: Logger

    package init(
        store: any JobStore, outbox: any Outbox, audit: any AuditLog, spool: Spool, storage: Storage, gate: Gate,
        workers: WorkerPool, watch: JobWatch, auditDesk: AuditDesk, metrics: ServiceMetrics, segmenter: Segmenter,
        workshop: Workshop, cores: Cores, incidents: IncidentLog, places: Places,
        budget: MemoryBudget, key: SigningKey, retentionClock: RetentionClock, limits: InterfaceLimits, logger: Logger
    ) {
        self.store = store
        self.outbox = outbox
        self.audit = audit
        self.spool = spool
        self.storage = storage
        self.gate = gate
        self.workers = workers
        self.watch = watch
        self.auditDesk = auditDesk
        self.metrics = metrics
        self.segmenter = segmenter
        self.workshop = workshop
        self.cores = cores
        self.incidents = incidents
        self.places = places
        self.budget = budget
        self.key = key
        self.retentionClock = retentionClock
        self.limits = limits
        self.logger = logger
    }
}

/// What may come, and how much of it.
package struct InterfaceLimits: Sendable {
    /// What a scan may have.
    package let volumes: VolumeLimits
    /// The most bytes of one upload, and of those under way with a token that has no quota of its own.
    package let uploadBytes: Int, underWayBytes: Int
    /// Free space on the disk below which nothing is taken, in MiB.
    package let freeSpaceMiB: Int
    /// Jobs that may wait, and that are worked on at once.
    package let queue: Int, workers: Int
    /// Whether UIDs of DICOM uploads are kept where a request does not say.
    package let keepsUIDs: Bool

    package init(
        volumes: VolumeLimits, uploadBytes: Int, underWayBytes: Int, freeSpaceMiB: Int, queue: Int, workers: Int,
        keepsUIDs: Bool
    ) {
        self.volumes = volumes
        self.uploadBytes = uploadBytes
        self.underWayBytes = underWayBytes
        self.freeSpaceMiB = freeSpaceMiB
        self.queue = queue
        self.workers = workers
        self.keepsUIDs = keepsUIDs
    }
}

extension Routes {
    /// The interface, wired.
    package init(_ parts: Interface) {
        let limits = parts.limits
        let (store, spool, workers) = (parts.store, parts.spool, parts.workers)
        let wake: @Sendable () -> Void = { workers.wake() }
        let lookup = JobLookup(store: store, spool: spool, workers: limits.workers)
        let children = Children(
            workshop: parts.workshop, cores: parts.cores, limits: limits.volumes, incidents: parts.incidents)
        let admission = Admission(
            store: store, spool: spool, storage: parts.storage, queueLimit: limits.queue, workers: limits.workers)
        let judge = UploadJudge(
            children: children, spool: spool, segmenter: parts.segmenter,
            budget: parts.budget, freeSpaceMiB: limits.freeSpaceMiB, keepsUIDs: limits.keepsUIDs)
        health = HealthResource(
            store: store, spool: spool, workers: workers, gate: parts.gate, metrics: parts.metrics,
            retentionClock: parts.retentionClock, freeSpaceMiB: limits.freeSpaceMiB)
        let jobs = JobResource(
            lookup: lookup, store: store, spool: spool, watch: parts.watch, admission: admission,
            auditDesk: parts.auditDesk, wake: wake)
        let submit = SubmitResource(
            judge: judge, admission: admission, lookup: lookup, gate: parts.gate, metrics: parts.metrics,
            wake: wake)
        let operators = OperatorResource(
            metrics: parts.metrics, audit: parts.audit, auditDesk: parts.auditDesk, outbox: parts.outbox, key: parts.key
        )
        table =
            jobs.routes + submit.routes
            + ResultResource(lookup: lookup, children: children, storage: parts.storage).routes
            + ScoreResource(lookup: lookup, children: children, storage: parts.storage).routes
            + EventResource(store: store, watch: parts.watch).routes + QueueResource(store: store, wake: wake).routes
            + operators.routes + health.routes
        words = Set(table.flatMap { $0.path.split(separator: "/").map(String.init) }.filter { !$0.hasPrefix("{") })
        gate = parts.gate
        places = parts.places
        auditDesk = parts.auditDesk
        metrics = parts.metrics
        incoming = spool.incoming
        uploadLimit = limits.uploadBytes
        underWay = UploadsUnderWay(standardBytes: limits.underWayBytes)
        wasRemoved = { id in
            do {
                _ = try store.job(id)
                return false
            } catch JobStoreError.removed {
                return true
            } catch {
                return false
            }
        }
        logger = parts.logger
    }

    /// Tells the metrics whether the service is ready.
    package func noteReadiness() { health.noteReadiness() }
}

import Access
import Cases
import Compute
import Dicom
import Foundation
import HTTPDaemon
import Jobs
import Logging
import MemoryJobs
import Segmentation
import Telemetry
import TestSupport
import Webhooks
import Work

@testable import API

/// The HTTP interface without sockets: a request goes through ``Routes`` as the daemon would hand it over. Children are the
/// real program.
struct InProcess {
    let routes: Routes
    let store: InMemoryStore
    let spool: Spool
    private let places: Places

    private static let program = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "hepar")
    private static let segmenter: Segmenter = {
        let models = SharedData.repository.appending(path: "Models/default")
        return try! Segmenter(models: models, algorithm: .winograd, team: ThreadTeam(threads: 1))
    }()

    /// - Parameter folder: an empty one, for the jobs' files.
    init(in folder: URL, tokens: TokenWatch? = nil) throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        spool = try Spool(folder: folder)
        let store = InMemoryStore()
        self.store = store
        places = Places(threads: 3)
        let audit = AuditDesk(store, keepDays: 0, folder: folder, logger: logger)
        audit.start()
        routes = Routes(
            Interface(
                store: store, outbox: store, audit: store, spool: spool,
                storage: Storage(store: store, spool: spool, standardMiB: 0, logger: logger),
                gate: Gate(doorkeeper: Doorkeeper(tokens: tokens), webhooks: .none, sender: nil),
                workers: WorkerPool(
                    store: store, spool: spool, workers: 1, lease: .seconds(60), maxAttempts: 3, logger: logger
                ) { _, _, _ in Data() },
                watch: JobWatch(), auditDesk: audit, metrics: ServiceMetrics(), segmenter: Self.segmenter,
                workshop: Workshop(program: Self.program), cores: Cores(threads: 1),
                importer: DicomImporter(executable: Self.program),
                incidents: IncidentLog(folder: folder.appending(path: "quarantine")), places: places,
                budget: MemoryBudget(limit: 1 << 32), key: try SigningKey(file: folder.appending(path: "signing.key")),
                retentionClock: RetentionClock(
                    file: folder.appending(path: "retention.clock"), lastEvent: nil, now: Date()),
                limits: InterfaceLimits(
                    volumes: .init(), uploadBytes: 1 << 30, underWayBytes: 1 << 32, freeSpaceMiB: 0, queue: 100,
                    workers: 1), logger: logger))
    }
}

import Access
import Cases
import Compute
import Dicom
import Foundation
import Jobs
import Logging
import MemoryJobs
import Segmentation
import Synchronization
import Telemetry
import TestSupport
import Webhooks
import Work

@testable import API
@testable import HTTPDaemon

/// The HTTP interface without sockets and without a database: a request goes through ``Routes`` as the daemon would hand it
/// over, its body by way of the daemon's own receiver. Children are the real program.
struct InProcess {
    /// What a server of its own may be set to.
    struct Settings {
        var tokens: TokenWatch?
        /// Wrong tokens that an address may send.
        var wrongTokens = 10
        var uploadBytes = 1 << 30
        var freeSpaceMiB = 0
        var queue = 100
        /// What reads uploads.
        var program = InProcess.program
        /// Called after each change of a job, with the store.
        var changed: @Sendable (JobID, InMemoryStore) -> Void = { _, _ in }
    }

    let routes: Routes
    let store: InMemoryStore
    let spool: Spool
    let doorkeeper: Doorkeeper
    private let places: Places
    private let auditDesk: AuditDesk

    private static let program = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "hepar")
    private static let segmenter: Segmenter = {
        let models = SharedData.repository.appending(path: "Models/default")
        return try! Segmenter(models: models, algorithm: .winograd, team: ThreadTeam(threads: 1))
    }()
    /// One for all: a server makes it on its first start.
    private static let key = try! withTemporaryFolder { try SigningKey(file: $0.appending(path: "signing.key")) }

    /// - Parameter folder: an empty one, for the jobs' files.
    init(in folder: URL, _ settings: Settings = Settings()) throws {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        spool = try Spool(folder: folder)
        let base = InMemoryStore()
        store = base
        let store = WatchedJobStore(base) { settings.changed($0, base) }
        places = Places(threads: 3)
        auditDesk = AuditDesk(base, keepDays: 0, folder: folder, logger: logger)
        auditDesk.start()
        doorkeeper = Doorkeeper(tokens: settings.tokens, limiter: FailureLimiter(burst: settings.wrongTokens))
        routes = Routes(
            Interface(
                store: store, outbox: base, audit: base, spool: spool,
                storage: Storage(store: store, spool: spool, standardMiB: 0, logger: logger),
                gate: Gate(doorkeeper: doorkeeper, webhooks: .none, sender: nil),
                workers: WorkerPool(
                    store: store, spool: spool, workers: 1, lease: .seconds(60), maxAttempts: 3, logger: logger
                ) { _, _, _ in Data() },
                watch: JobWatch(), auditDesk: auditDesk, metrics: ServiceMetrics(), segmenter: Self.segmenter,
                workshop: Workshop(program: settings.program), cores: Cores(threads: 1),
                incidents: IncidentLog(folder: folder.appending(path: "quarantine")), places: places,
                budget: MemoryBudget(limit: 1 << 32), key: Self.key,
                retentionClock: RetentionClock(
                    file: folder.appending(path: "retention.clock"), lastEvent: nil, now: Date()),
                limits: InterfaceLimits(
                    volumes: .init(), uploadBytes: settings.uploadBytes, underWayBytes: 1 << 32,
                    freeSpaceMiB: settings.freeSpaceMiB, queue: settings.queue, workers: 1, keepsUIDs: false),
                logger: logger))
    }

    /// Runs `body` on a server in a folder of its own, and ends its threads.
    static func withServer<Result>(_ settings: Settings = Settings(), _ body: (InProcess) throws -> Result) throws
        -> Result
    {
        try withTemporaryFolder { folder in
            let server = try InProcess(in: folder, settings)
            defer { server.end() }
            return try body(server)
        }
    }

    /// From now on all that needs a child is refused, as when the service stops.
    func endPlaces() { places.end() }

    private func end() {
        places.end()
        auditDesk.end()
    }

    // MARK: - Requests

    /// What is sent.
    struct Ask: Sendable {
        var method: String
        var path: String
        var query: [String: String] = [:]
        var headers: [String: String] = [:]
        /// Sent as `Authorization: Bearer`.
        var token: String?
        var body: (type: String, bytes: Data)?

        /// Puts this in the place of `{id}` or `{study}`.
        mutating func name(_ name: some CustomStringConvertible) {
            path = path.replacing(/\{[a-z]+\}/, with: "\(name)")
        }

        /// A body of form fields: each a file, but for those whose name is `options`.
        mutating func send(form: [(name: String, bytes: Data)]) {
            var bytes = Data()
            for (name, content) in form {
                let file = name == "options" ? "" : "; filename=\"f\""
                bytes += Data("--b\r\nContent-Disposition: form-data; name=\"\(name)\"\(file)\r\n\r\n".utf8)
                bytes += content + Data("\r\n".utf8)
            }
            body = ("multipart/form-data; boundary=b", bytes + Data("--b--\r\n".utf8))
        }
    }

    /// The status and the bytes that the client gets.
    func send(_ ask: Ask) throws -> (status: Int, body: Data) {
        let (head, plan) = plan(ask)
        return try answer(head, plan, ask)
    }

    /// What is decided when the head is there.
    func plan(_ ask: Ask) -> (RequestHead, RequestPlan) {
        var headers = Headers()
        for (name, value) in ask.headers { headers.add(name, value) }
        if let token = ask.token { headers.add("Authorization", "Bearer \(token)") }
        if let body = ask.body {
            headers.add("Content-Type", body.type)
            headers.add("Content-Length", "\(body.bytes.count)")
        }
        let head = RequestHead(method: ask.method, path: ask.path, query: ask.query, headers: headers)
        return (head, routes.plan(head))
    }

    /// The rest of it, as the daemon does it.
    func answer(_ head: RequestHead, _ plan: RequestPlan, _ ask: Ask) throws -> (status: Int, body: Data) {
        guard case .accept(let bodyPlan, _, let handler) = plan else {
            guard case .refuse(let response) = plan else { return (0, Data()) }
            return try sent(response, head)
        }
        var body = Body.none
        var files: [URL] = []
        defer { for file in files { try? FileManager.default.removeItem(at: file) } }
        var meter: BodyMeter?
        if case .files(_, _, let own) = bodyPlan { meter = own }
        defer { meter?.end() }
        if let (_, bytes) = ask.body {
            if let refusal = meter?.take(bytes.count) { return try sent(refusal, head) }
            do throws(BodyError) {
                var receiver = try BodyReceiver(
                    plan: bodyPlan, head: head, declared: bytes.count, limits: PartLimits(parts: 100, fields: 10),
                    write: { Glibc.write($0, $1.baseAddress, $1.count) })
                defer { files = receiver.abandon() }
                // Copied: what is lent of Data can throw no error of a type.
                let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
                defer { chunk.deallocate() }
                bytes.copyBytes(to: chunk)
                try receiver.feed(UnsafeRawBufferPointer(chunk))
                body = try receiver.finish()
            } catch {
                return try sent(error.refusal.response, head)
            }
        }
        switch handler(Request(head: head, body: body)) {
        case .now(let response): return try sent(response, head)
        case .later(let begin):
            let (there, kept) = (DispatchSemaphore(value: 0), Kept())
            begin(
                Reply(isAwaited: { true }) { response in
                    kept.response.withLock { $0 = response }
                    there.signal()
                })
            guard there.wait(timeout: .now() + 60) == .success, let response = kept.response.withLock({ $0 }) else {
                throw CocoaError(.coderReadCorrupt)
            }
            return try sent(response, head)
        }
    }

    private final class Kept: Sendable { let response = Mutex<Response?>(nil) }

    /// The response as it leaves the daemon: cut to what was asked for.
    private func sent(_ response: Response, _ head: RequestHead) throws -> (status: Int, body: Data) {
        var prepared = PreparedResponse(
            response, id: head.id, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        prepared.select(by: head.headers)
        defer { prepared.discard() }
        guard case .data(let data) = prepared.body else { return (prepared.status, Data()) }
        return (prepared.status, data)
    }
}

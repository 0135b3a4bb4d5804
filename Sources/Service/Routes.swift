import Access
import Dicom
import Foundation
import HTTPDaemon
import Imaging
import Jobs
import Logging
import Segmentation
import Telemetry

/// The HTTP interface: openapi.yaml in code. Finds the handler of a request and what body it may have.
struct Routes: Sendable {
    let config: ServiceConfig
    let store: any JobStore
    let spool: Spool
    let workers: WorkerPool
    let watch: JobWatch
    let segmenter: Segmenter
    let budget: MemoryBudget
    let key: SigningKey
    let gate: Gate
    let outbox: Outbox
    let audit: AuditLog
    let auditDesk: AuditDesk
    let storage: Storage
    let metrics: ServiceMetrics
    let importer: DicomImporter
    let places: Places
    let workshop: Workshop
    let cores: Cores
    let quarantine: Quarantine
    let retentionClock: RetentionClock
    let logger: Logger

    /// One address and method.
    struct Route: Sendable {
        /// As openapi.yaml writes it.
        let method: String, path: String
        /// What a caller must be allowed to do; nil for what everyone may ask.
        let action: Action?
        /// Whether the body is written to files in the spool; others have none.
        var takesFiles = false
        /// What the audit table calls it; nil for what is not kept there.
        var audited: String?
        let handle: @Sendable (Routes, Call) throws -> Handling
    }

    /// What a handler makes of a request.
    enum Handling {
        /// The response.
        case now(Response)
        /// Called at once with what the response is given to later.
        case later(@Sendable (Reply) -> Void)
        /// A child process is needed: the response is made in one of the ``places``.
        case inPlace(Places.Kind, @Sendable () throws -> Response)
    }

    /// What a handler is given.
    struct Call: Sendable {
        let request: Request
        /// What stands for `{id}`, or another name in braces, in the path; "" where nothing does.
        let id: String
        /// Who asks, and for what.
        let caller: Caller, action: Action?
        let logger: Logger

        /// The query's parameters, none but `names`.
        func query(_ names: String...) throws -> [String: String] { try query(names) }

        /// The query's parameters, none but `names`.
        func query(_ names: [String]) throws -> [String: String] {
            let query = request.head.query
            guard let unknown = query.keys.sorted().first(where: { !names.contains($0) }) else { return query }
            let known = names.isEmpty ? "Nothing" : "Only \(names.joined(separator: ", "))"
            throw Problem(400, "bad_query", "\(unknown.prefix(40)) is not known here. \(known) may be asked for.")
        }
    }

    /// Every address; a test holds them against openapi.yaml.
    static let table: [Route] = [
        Route(method: "GET", path: "/v1/jobs", action: .listJobs) { .now(try $0.list($1)) },
        Route(method: "POST", path: "/v1/jobs", action: .submit, takesFiles: true, audited: "job.submit") {
            try $0.submit($1)
        },
        Route(method: "POST", path: "/v1/scans", action: .submit, takesFiles: true, audited: "scan.judge") {
            try $0.judgeScan($1)
        },
        Route(
            method: "POST", path: "/v1/dicomweb/studies", action: .submit, takesFiles: true, audited: "job.submit"
        ) { try $0.storeInstances($1) },
        Route(
            method: "POST", path: "/v1/dicomweb/studies/{study}", action: .submit, takesFiles: true,
            audited: "job.submit"
        ) { try $0.storeInstances($1) },
        Route(method: "GET", path: "/v1/jobs/{id}", action: .readJob) { try $0.state($1) },
        Route(method: "DELETE", path: "/v1/jobs/{id}", action: .deleteJob, audited: "job.delete") {
            .now(try $0.delete($1))
        },
        Route(method: "POST", path: "/v1/jobs/{id}/cancel", action: .changeJob, audited: "job.cancel") {
            .now(try $0.cancel($1))
        },
        Route(method: "POST", path: "/v1/jobs/{id}/retry", action: .changeJob, audited: "job.retry") {
            .now(try $0.retry($1))
        },
        Route(method: "GET", path: "/v1/jobs/{id}/dicom", action: .readJob) { .now(try $0.dicom($1)) },
        Route(method: "GET", path: "/v1/jobs/{id}/mask", action: .readResult, audited: "result.read") {
            try $0.mask($1)
        },
        Route(method: "GET", path: "/v1/jobs/{id}/probabilities", action: .readResult, audited: "result.read") {
            .now(try $0.probabilities($1))
        },
        Route(method: "GET", path: "/v1/jobs/{id}/report", action: .readResult, audited: "result.read") {
            try $0.report($1)
        },
        Route(method: "GET", path: "/v1/jobs/{id}/preview.png", action: .readResult, audited: "result.read") {
            try $0.preview($1)
        },
        Route(
            method: "PUT", path: "/v1/jobs/{id}/reference", action: .changeJob, takesFiles: true, audited: "job.score"
        ) { try $0.putReference($1) },
        Route(method: "POST", path: "/v1/jobs/{id}/verify", action: .changeJob, audited: "job.verify") {
            .now(try $0.verify($1))
        },
        Route(method: "GET", path: "/v1/events", action: .listJobs) { try $0.events($1) },
        Route(method: "GET", path: "/v1/queue", action: .listJobs) { .now(try $0.queue($1)) },
        Route(method: "POST", path: "/v1/queue/pause", action: .controlQueue, audited: "queue.pause") {
            .now(try $0.pause($1))
        },
        Route(method: "POST", path: "/v1/queue/resume", action: .controlQueue, audited: "queue.resume") {
            .now(try $0.resume($1))
        },
        Route(method: "POST", path: "/v1/evaluations", action: .submit, takesFiles: true, audited: "masks.score") {
            try $0.evaluate($1)
        },
        Route(method: "GET", path: "/v1/signing-key", action: .readJob) { routes, call in
            _ = try call.query()
            return .now(.json(200, SigningKeyJSON(routes.key)))
        },
        Route(method: "GET", path: "/v1/audit", action: .readAudit, audited: "audit.read") {
            .now(try $0.auditTable($1))
        },
        Route(method: "GET", path: "/v1/webhooks/dead", action: .controlQueue) { .now(try $0.deadWebhooks($1)) },
        Route(method: "POST", path: "/v1/webhooks/dead/{id}/retry", action: .controlQueue, audited: "webhook.retry") {
            .now(try $0.retryWebhook($1))
        },
        Route(method: "GET", path: "/v1/info", action: .readInfo) { _, call in
            _ = try call.query()
            return .now(.json(200, Software()))
        },
        Route(method: "GET", path: "/metrics", action: .readMetrics) { .now(try $0.metricsPage($1)) },
        Route(method: "GET", path: "/openapi.yaml", action: nil) { _, call in
            _ = try call.query()
            return .now(Contract.response)
        },
        Route(method: "GET", path: "/healthz", action: nil) { _, _ in .now(.json(200, ["status": "ok"])) },
        Route(method: "GET", path: "/readyz", action: nil) { routes, _ in .now(routes.readiness().response) },
    ]

    /// Whether a request is about the server's health, and must be answered whatever else goes on.
    static func isVital(_ head: RequestHead) -> Bool { ["/healthz", "/readyz"].contains(head.path) }

    /// A path as it may be logged: UIDs, which DICOMweb has in paths, lead to a patient.
    static func loggedPath(_ head: RequestHead) -> String {
        let base = "/v1/dicomweb/studies/"
        return head.path.hasPrefix(base) ? base + "..." : head.path
    }

    /// The routes of a path, one for each method, and what stands for `{id}` in it.
    private static func routes(at path: String) -> (routes: [Route], id: String) {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        var id = ""
        let routes = table.filter { route in
            let pattern = route.path.split(separator: "/")
            guard pattern.count == segments.count else { return false }
            return zip(pattern, segments).allSatisfy { expected, found in
                let isName = expected.first == "{"
                if isName { id = String(found) }
                return isName || expected == found
            }
        }
        return (routes, id)
    }

    /// Asked before any byte of a body is read: who may not send it is told so at once.
    func plan(_ head: RequestHead) -> BodyPlan {
        let found = Self.routes(at: head.path).routes
        guard let route = found.first(where: { $0.method == head.method }) else {
            return .refuse(Self.noRoute(found).response)
        }
        guard let action = route.action else { return .none }
        var caller = Caller.unknown
        do throws(AccessRefusal) {
            caller = try gate.caller(head)
            try caller.check(action)
        } catch {
            metrics.authenticationFailures.add(1, error.code)
            metrics.httpRequests.add(1, route.path, route.method, "\(error.status)")
            // Strangers' requests are counted and limited; they would fill the table.
            if let action = route.audited, caller != .unknown {
                record(action, by: caller, job: nil, outcome: "\(error.status)", request: head)
            }
            return .refuse(error.problem.response)
        }
        if route.takesFiles, !places.hasRoom(for: caller.name) {
            metrics.httpRequests.add(1, route.path, route.method, "429")
            return .refuse(Places.Refusal.ownShare.problem(share: places.share).response)
        }
        guard route.takesFiles else { return .none }
        let limit = config.uploadLimitMiB << 20
        let declared = head.headers["Content-Length"].flatMap { Int($0) }
        // What is too large for everyone is refused as such, before a byte of it.
        guard declared ?? 0 <= limit else { return .files(folder: spool.incoming, limit: limit) }
        do {
            let meter = try storage.meter(for: caller, declared: declared)
            return .files(folder: spool.incoming, limit: limit, meter: meter)
        } catch {
            metrics.httpRequests.add(1, route.path, route.method, "\(error.status)")
            metrics.uploads.add(1, error.code)
            if let action = route.audited {
                record(action, by: caller, job: nil, outcome: "\(error.status)", request: head)
            }
            return .refuse(error.response)
        }
    }

    func answer(_ request: Request) -> Answer {
        var logger = logger
        logger[metadataKey: "request"] = "\(request.head.id)"
        logger[metadataKey: "client"] = "\(gate.client(request.head))"
        let (routes, id) = Self.routes(at: request.head.path)
        guard let route = routes.first(where: { $0.method == request.head.method }) else {
            return .now(Self.noRoute(routes).response)
        }
        return answer(request, route, id: id, logger: logger)
    }

    /// What is said of an address, with these routes, that does not answer a method.
    private static func noRoute(_ routes: [Route]) -> Problem {
        let methods = routes.map(\.method)
        guard !methods.isEmpty else {
            return Problem(404, "not_found", "There is nothing at this address. GET /openapi.yaml tells what there is.")
        }
        let allowed = (methods.contains("GET") ? methods + ["HEAD"] : methods).sorted().joined(separator: ", ")
        return Problem(405, "method_not_allowed", "This address answers \(allowed).", headers: [("Allow", allowed)])
    }

    private func answer(_ request: Request, _ route: Route, id: String, logger: Logger) -> Answer {
        let start = ContinuousClock.now
        let name = route.path
        @Sendable func counted(_ response: Response) -> Response {
            metrics.httpRequests.add(1, name, route.method, "\(response.status)")
            metrics.httpTime.observe((ContinuousClock.now - start) / .seconds(1), name, route.method)
            return response
        }
        let caller: Caller
        do {
            caller = route.action == nil ? .anonymous : try gate.caller(request.head)
        } catch {
            return .now(counted(error.problem.response))
        }
        let call = Call(request: request, id: id, caller: caller, action: route.action, logger: logger)
        do {
            switch try route.handle(self, call) {
            case .now(let response): return .now(counted(done(response, call, route)))
            case .later(let begin): return .later { begin($0.changed(by: counted)) }
            case .inPlace(let kind, let work):
                return .later { [self] reply in
                    places.run(kind, for: caller.name, reply: reply) { refusal in
                        do {
                            if let refusal { throw refusal }
                            try check(call)
                            return counted(done(try work(), call, route))
                        } catch {
                            return counted(failed(error, call, route))
                        }
                    }
                }
            }
        } catch {
            return .now(counted(failed(error, call, route)))
        }
    }

    /// Keeps that a request was answered.
    private func done(_ response: Response, _ call: Call, _ route: Route) -> Response {
        if let action = route.audited {
            let made = response.headers.first { $0.0 == "Location" }?.1.split(separator: "/").last
            record(
                action, by: call.caller, job: JobID(made.map(String.init) ?? call.id),
                outcome: response.status < 400 ? AuditEntry.done : "\(response.status)", request: call.request.head)
        }
        return response
    }

    /// Keeps that a request failed, and says why.
    private func failed(_ error: any Error, _ call: Call, _ route: Route) -> Response {
        let problem =
            (error as? Places.Refusal)?.problem(share: places.share)
            ?? problem(for: cause(of: error, call, route), call.logger)
        if route.takesFiles { metrics.uploads.add(1, problem.code) }
        if let action = route.audited {
            record(
                action, by: call.caller, job: JobID(call.id), outcome: "\(problem.status)", request: call.request.head)
        }
        return problem.response
    }

    /// Says no if the caller's token is no longer in force, or does no longer allow what is asked for.
    func check(_ call: Call) throws(AccessRefusal) {
        guard let action = call.action else { return }
        try gate.doorkeeper.stillCaller { call.request.head.headers[$0] }.check(action)
    }

    /// The error to answer: files that are missing are those of a job that was deleted after it was found.
    private func cause(of error: any Error, _ call: Call, _ route: Route) -> any Error {
        let isOfFiles = (error as? Problem).map { $0.code == "upload_lost" } ?? !(error is AccessRefusal)
        guard isOfFiles, route.path.hasPrefix("/v1/jobs/{id}"), let id = JobID(call.id) else { return error }
        do {
            _ = try store.job(id)
        } catch JobStoreError.removed {
            return JobStoreError.removed(id)
        } catch {}
        return error
    }

    /// What a client is told of an error.
    static func problem(for error: any Error, _ logger: Logger) -> Problem {
        switch error {
        case let problem as Problem:
            return problem
        case let refusal as AccessRefusal:
            return refusal.problem
        case let error as DicomError:
            if !error.isUsersFault { logger.error("DICOM import failed", metadata: ["code": "\(error.code)"]) }
            return error.problem
        case let error as VolumeError where error.isUsersFault:
            return Problem(422, error.code, "\(error)")
        case let error as VolumeError:
            return Problem(507, "storage_failed", "\(error)")
        case let lost as WorkerLost where lost.end == .notStarted:
            logger.error("a child process could not be started")
            return Problem(
                503, "no_process", "The server cannot start another process just now. Send it again.",
                headers: [("Retry-After", "10")])
        case let lost as WorkerLost:
            return lost.problem
        case JobStoreError.removed:
            return Problem(410, "deleted", "The job was deleted, with its files.")
        case JobStoreError.queueFull(let limit):
            return queueFull(limit, retryAfterSeconds: 60)
        case JobStoreError.ownerQueueFull, JobStoreError.ownerBytesFull:
            return Problem(429, "quota_used", "\(error)", headers: [("Retry-After", "60")])
        case JobStoreError.ownerStorageFull:
            return Problem(507, "stored_quota_used", "\(error)", headers: [("Retry-After", "600")])
        case JobStoreError.keyReused:
            return Problem(409, "key_reused", "\(error)")
        case JobStoreError.notRetryable:
            return Problem(409, "not_retryable", "\(error)")
        case JobStoreError.notFinished(let state):
            return Problem(409, "not_finished", "The job is \(state.rawValue) again. DELETE it once more.")
        case JobStoreError.diskFull, SpoolError.diskFull:
            return Problem.storageFull
        case let damage as JobStoreError where damage.isDamage:
            logger.error("the job database is damaged", metadata: ["error": "\(damage)"])
            return Problem(
                500, "database_damaged",
                "The server's job database is damaged. Sending it again will not help: tell the operator of this server."
            )
        default:
            logger.error("request failed", metadata: ["error": "\(type(of: error))"])
            return Problem(500, "internal", "The service could not answer. Its log has the details.")
        }
    }

    /// The problem document for an error.
    static func response(to error: any Error, _ logger: Logger) -> Response { problem(for: error, logger).response }

    /// The problem document for an error that says when to come again.
    private func problem(for error: any Error, _ logger: Logger) -> Problem {
        guard case JobStoreError.queueFull(let limit) = error else { return Self.problem(for: error, logger) }
        return Self.queueFull(limit, retryAfterSeconds: secondsUntilRoom())
    }

    private static func queueFull(_ limit: Int, retryAfterSeconds: Int) -> Problem {
        let text = "The queue is full: \(limit) jobs wait. Try again in \(retryAfterSeconds) seconds."
        return Problem(503, "queue_full", text, headers: [("Retry-After", "\(retryAfterSeconds)")])
    }

    /// When a waiting job will probably be started, and so leave its place: when the first of the running ones ends. A
    /// minute where that is not known, as in a paused queue; at least 5 s and at most 10 minutes.
    private func secondsUntilRoom() -> Int {
        guard let report = try? store.report(), !report.isPaused,
            let running = try? store.jobs(JobFilter(state: .running, limit: config.workers))
        else { return 60 }
        let left = running.compactMap { try? store.estimate(for: $0.id, workers: config.workers) }.min()
        guard let left else { return 60 }
        return Int(min(600, max(5, (left / .seconds(1)).rounded(.up))))
    }
}

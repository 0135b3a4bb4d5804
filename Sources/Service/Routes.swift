import Compute
import Foundation
import HTTPDaemon
import Imaging
import Jobs
import Logging
import Segmentation

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
    let team: ThreadTeam
    let logger: Logger

    /// One address and method.
    struct Route: Sendable {
        /// As openapi.yaml writes it.
        let method: String, path: String
        /// Whether the body is written to files in the spool; others have none.
        var takesFiles = false
        let handle: @Sendable (Routes, Call) throws -> Answer
    }

    /// What a handler is given.
    struct Call: Sendable {
        let request: Request
        /// What stands for `{id}` in the path.
        let id: String
        let logger: Logger

        /// The query's parameters, none but `names`.
        func query(_ names: String...) throws -> [String: String] {
            let query = request.head.query
            guard let unknown = query.keys.sorted().first(where: { !names.contains($0) }) else { return query }
            let known = names.isEmpty ? "Nothing" : "Only \(names.joined(separator: ", "))"
            throw Problem(400, "bad_query", "\(unknown.prefix(40)) is not known here. \(known) may be asked for.")
        }
    }

    /// Every address; a test holds them against openapi.yaml.
    static let table: [Route] = [
        Route(method: "GET", path: "/v1/jobs") { .now(try $0.list($1)) },
        Route(method: "POST", path: "/v1/jobs", takesFiles: true) { .now(try $0.submit($1)) },
        Route(method: "GET", path: "/v1/jobs/{id}") { try $0.state($1) },
        Route(method: "DELETE", path: "/v1/jobs/{id}") { .now(try $0.delete($1)) },
        Route(method: "POST", path: "/v1/jobs/{id}/cancel") { .now(try $0.cancel($1)) },
        Route(method: "POST", path: "/v1/jobs/{id}/retry") { .now(try $0.retry($1)) },
        Route(method: "GET", path: "/v1/jobs/{id}/mask") { .now(try $0.mask($1)) },
        Route(method: "GET", path: "/v1/jobs/{id}/probabilities") { .now(try $0.probabilities($1)) },
        Route(method: "GET", path: "/v1/jobs/{id}/report") { .now(try $0.report($1)) },
        Route(method: "PUT", path: "/v1/jobs/{id}/reference", takesFiles: true) { .now(try $0.putReference($1)) },
        Route(method: "POST", path: "/v1/jobs/{id}/verify") { .now(try $0.verify($1)) },
        Route(method: "GET", path: "/v1/events") { try $0.events($1) },
        Route(method: "GET", path: "/v1/queue") { .now(try $0.queue($1)) },
        Route(method: "POST", path: "/v1/queue/pause") { .now(try $0.pause($1)) },
        Route(method: "POST", path: "/v1/queue/resume") { .now(try $0.resume($1)) },
        Route(method: "POST", path: "/v1/evaluations", takesFiles: true) { .now(try $0.evaluate($1)) },
        Route(method: "GET", path: "/v1/signing-key") { routes, _ in .now(.json(200, SigningKeyJSON(routes.key))) },
        Route(method: "GET", path: "/healthz") { _, _ in .now(.json(200, ["status": "ok"])) },
        Route(method: "GET", path: "/readyz") { routes, _ in .now(routes.readiness()) },
    ]

    /// The routes of a path, one for each method, and what stands for `{id}` in it.
    private static func routes(at path: String) -> (routes: [Route], id: String) {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        var id = ""
        let routes = table.filter { route in
            let pattern = route.path.split(separator: "/")
            guard pattern.count == segments.count else { return false }
            return zip(pattern, segments).allSatisfy { expected, found in
                if expected == "{id}" { id = String(found) }
                return expected == "{id}" || expected == found
            }
        }
        return (routes, id)
    }

    /// Asked before any byte of a body is read.
    func plan(_ head: RequestHead) -> BodyPlan {
        let route = Self.routes(at: head.path).routes.first { $0.method == head.method }
        guard route?.takesFiles == true else { return .none }
        return .files(folder: spool.incoming, limit: config.uploadLimitMiB << 20)
    }

    func answer(_ request: Request) -> Answer {
        var logger = logger
        logger[metadataKey: "request"] = "\(request.head.id)"
        do {
            let (routes, id) = Self.routes(at: request.head.path)
            guard !routes.isEmpty else {
                throw Problem(404, "not_found", "There is nothing at this address. openapi.yaml lists what there is.")
            }
            guard let route = routes.first(where: { $0.method == request.head.method }) else {
                let methods = routes.map(\.method)
                let allowed = (methods.contains("GET") ? methods + ["HEAD"] : methods).sorted().joined(separator: ", ")
                throw Problem(
                    405, "method_not_allowed", "This address answers \(allowed).", headers: [("Allow", allowed)])
            }
            return try route.handle(self, Call(request: request, id: id, logger: logger))
        } catch {
            return .now(Self.response(to: error, logger))
        }
    }

    /// What a client is told of an error.
    static func response(to error: any Error, _ logger: Logger) -> Response {
        switch error {
        case let problem as Problem:
            return problem.response
        case let error as VolumeError where error.isUsersFault:
            return Problem(422, error.code, "\(error)").response
        case let error as VolumeError:
            return Problem(507, "storage_failed", "\(error)").response
        case JobStoreError.removed:
            return Problem(410, "deleted", "The job was deleted, with its files.").response
        case JobStoreError.queueFull(let limit):
            let text = "The queue is full: \(limit) jobs wait. Try again in a minute."
            return Problem(503, "queue_full", text, headers: [("Retry-After", "60")]).response
        case JobStoreError.keyReused:
            return Problem(409, "key_reused", "\(error)").response
        case JobStoreError.notRetryable:
            return Problem(409, "not_retryable", "\(error)").response
        case JobStoreError.diskFull, SpoolError.diskFull:
            return Problem.storageFull.response
        default:
            logger.error("request failed", metadata: ["error": "\(type(of: error))"])
            return Problem(500, "internal", "The service could not answer. Its log has the details.").response
        }
    }

    /// 200 when a job would be taken and worked on; 503 with what is not ready.
    private func readiness() -> Response {
        let database = (try? store.lastEvent()) != nil
        let disk = spool.freeBytes() > config.freeSpaceMiB << 20
        let ready = database && disk
        let checks = ["database": database, "disk": disk].mapValues { $0 ? "ok" : "failing" }
        return .json(ready ? 200 : 503, ReadinessJSON(status: ready ? "ready" : "not_ready", checks: checks))
    }
}

/// openapi.yaml, schema `Readiness`.
struct ReadinessJSON: Codable, Sendable {
    let status: String
    let checks: [String: String]
}

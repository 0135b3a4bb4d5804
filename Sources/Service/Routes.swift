import Foundation
import HTTPDaemon
import Jobs
import Logging

/// The HTTP interface: openapi.yaml in code. Finds the handler of a request and what body it may have.
struct Routes: Sendable {
    let config: ServiceConfig
    let store: any JobStore
    let spool: Spool
    let workers: WorkerPool
    let watch: JobWatch
    let logger: Logger

    /// Every path and its methods, as openapi.yaml writes them; a test holds the two together.
    static let table: [(path: String, methods: [String])] = [
        ("/v1/jobs", ["GET", "POST"]),
        ("/v1/jobs/{id}", ["DELETE", "GET"]),
        ("/v1/jobs/{id}/mask", ["GET"]),
        ("/v1/jobs/{id}/report", ["GET"]),
        ("/healthz", ["GET"]),
        ("/readyz", ["GET"]),
    ]

    /// Asked before any byte of a body is read.
    func plan(_ head: RequestHead) -> BodyPlan {
        guard head.method == "POST", head.path == "/v1/jobs" else { return .none }
        return .files(folder: spool.incoming, limit: config.uploadLimitMiB << 20)
    }

    func answer(_ request: Request) -> Answer {
        var logger = logger
        logger[metadataKey: "request"] = "\(request.head.id)"
        let segments = request.head.path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            .map(String.init)
        let method = request.head.method
        do {
            guard let methods = Self.methods(for: segments) else {
                throw Problem(404, "not_found", "There is nothing at this address. openapi.yaml lists what there is.")
            }
            guard methods.contains(method) else {
                let allowed = (methods.contains("GET") ? methods + ["HEAD"] : methods).sorted().joined(separator: ", ")
                throw Problem(
                    405, "method_not_allowed", "This address answers \(allowed).", headers: [("Allow", allowed)])
            }
            if method == "GET", segments.count == 3 {
                return try state(of: job(segments[2]), query: request.head.query, logger: logger)
            }
            return .now(try answer(request, method: method, segments: segments, logger: logger))
        } catch let problem as Problem {
            return .now(problem.response)
        } catch {
            return .now(Self.response(to: error, logger))
        }
    }

    private static func response(to error: any Error, _ logger: Logger) -> Response {
        switch error {
        case JobStoreError.removed:
            return Problem(410, "deleted", "The job was deleted, with its files.").response
        case JobStoreError.diskFull:
            return Problem.storageFull.response
        default:
            logger.error("request failed", metadata: ["error": "\(type(of: error))"])
            return Problem(500, "internal", "The service could not answer. Its log has the details.").response
        }
    }

    /// The methods of the path that `segments` matches.
    private static func methods(for segments: [String]) -> [String]? {
        table.first { entry in
            let pattern = entry.path.split(separator: "/")
            return pattern.count == segments.count
                && zip(pattern, segments).allSatisfy { $0 == "{id}" || $0 == $1 }
        }?.methods
    }

    private func answer(
        _ request: Request, method: String, segments: [String], logger: Logger
    ) throws -> Response {
        switch (method, segments.count) {
        case (_, 1):
            return segments[0] == "healthz" ? .json(200, ["status": "ok"]) : readiness()
        case ("POST", 2):
            let submit = SubmitJob(config: config, store: store, spool: spool, wakeWorkers: { workers.wake() })
            return submit.answer(request, logger: logger)
        case (_, 2):
            return try list(request.head)
        case ("DELETE", 3):
            return try delete(job(segments[2]), logger: logger)
        default:
            return try result(of: job(segments[2]), segments[3])
        }
    }

    private func job(_ text: String) throws -> Job {
        guard let id = JobID(text) else {
            throw Problem(404, "unknown_job", "This is not a job's id. POST /v1/jobs answers with one.")
        }
        guard let job = try store.job(id) else {
            throw Problem(404, "unknown_job", "There is no job with this id.")
        }
        return job
    }

    /// The longest time in seconds that a client may wait for a job to change.
    static let longestWait = 300

    /// The job as it is; with `wait`, as it is once its state has changed, or that many seconds are over.
    private func state(of job: Job, query: [String: String], logger: Logger) throws -> Answer {
        if let name = query.keys.first(where: { $0 != "wait" }) {
            throw Problem(400, "bad_query", "\(name.prefix(40)) is not known here. Only wait may be asked for.")
        }
        guard let text = query["wait"] else { return .now(.json(200, JobJSON(job))) }
        guard let seconds = Int(text), (0...Self.longestWait).contains(seconds) else {
            throw Problem(400, "bad_query", "wait must be a whole number of seconds from 0 to \(Self.longestWait).")
        }
        guard !job.state.isFinal, seconds > 0 else { return .now(.json(200, JobJSON(job))) }
        return .later { [store, watch] reply in
            @Sendable func answer() {
                do {
                    guard let now = try store.job(job.id) else { throw JobStoreError.removed(job.id) }
                    reply.send(.json(200, JobJSON(now)))
                } catch {
                    reply.send(Self.response(to: error, logger))
                }
            }
            watch.wait(for: job.id, timeout: .seconds(seconds), answer: answer)
            // What changed between the first look and the wait has told nobody.
            if (try? store.job(job.id))?.state != job.state { answer() }
        }
    }

    private func list(_ head: RequestHead) throws -> Response {
        var filter = JobFilter()
        filter.limit = 50
        for (key, value) in head.query.sorted(by: { $0.key < $1.key }) {
            switch key {
            case "limit":
                guard let limit = Int(value), (1...500).contains(limit) else {
                    throw Problem(400, "bad_query", "limit must be a whole number from 1 to 500.")
                }
                filter.limit = limit
            case "state":
                guard let state = JobState(rawValue: value) else {
                    let states = JobState.allCases.map(\.rawValue).joined(separator: ", ")
                    throw Problem(400, "bad_query", "state must be one of \(states).")
                }
                filter.state = state
            case "before":
                guard let id = JobID(value) else { throw Problem(400, "bad_query", "before must be a job's id.") }
                filter.before = id
            default:
                throw Problem(400, "bad_query", "Only limit, state and before may be asked for.")
            }
        }
        let jobs = try store.jobs(filter)
        let next = jobs.count == filter.limit ? jobs.last.map { "\($0.id)" } : nil
        return .json(200, JobListJSON(jobs: jobs.map(JobJSON.init), next: next))
    }

    /// Cancels a job that waits or runs; removes a finished one, row first, so that no row ever points at missing files.
    private func delete(_ job: Job, logger: Logger) throws -> Response {
        var job = job
        if job.state == .queued || job.state == .running {
            job = try store.cancel(job.id, at: Date()) ?? job
            workers.wake()
        }
        guard job.state != .running else { return .json(202, JobJSON(job)) }
        try store.remove(job.id)
        try spool.remove(job.id)
        logger.info("job deleted", metadata: ["job": "\(job.id)"])
        return Response(status: 204)
    }

    private func result(of job: Job, _ name: String) throws -> Response {
        switch job.state {
        case .queued, .running:
            throw Problem(
                409, "not_ready", "The job is \(job.state.rawValue). Ask again when it has succeeded.",
                headers: [("Retry-After", "2")])
        case .failed:
            throw Problem(409, "job_failed", job.failure?.message ?? "The job failed.")
        case .cancelled:
            throw Problem(409, "job_cancelled", "The job was cancelled; it has no result.")
        case .succeeded:
            break
        }
        let folder = spool.folder(of: job.id)
        if name == "report" {
            return .file(200, folder.appending(path: JobFiles.report), type: "application/json")
        }
        var response = Response.file(200, folder.appending(path: JobFiles.mask), type: "application/gzip")
        response.headers.append(("Content-Disposition", "attachment; filename=\"hepar-\(job.id).nii.gz\""))
        return response
    }

    /// 200 when a job would be taken and worked on; 503 with what is not ready.
    private func readiness() -> Response {
        let database = (try? store.counts()) != nil
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

/// Names of a job's files in its spool folder.
enum JobFiles {
    static let mask = "mask.nii.gz"
    static let report = "report.json"
}

import Foundation
import HTTPDaemon
import Jobs

/// The queue as a whole, and what an operator does with it.
extension Routes {
    func queue(_ call: Call) throws -> Response {
        _ = try call.query()
        return .json(200, QueueJSON(try store.report()))
    }

    /// From now on no job is started; running jobs go on.
    func pause(_ call: Call) throws -> Response { try setPaused(true, call) }

    /// Jobs are started again.
    func resume(_ call: Call) throws -> Response { try setPaused(false, call) }

    private func setPaused(_ isPaused: Bool, _ call: Call) throws -> Response {
        _ = try call.query()
        try store.setPaused(isPaused)
        if !isPaused { workers.wake() }
        call.logger.notice(isPaused ? "queue paused" : "queue resumed")
        return .json(200, QueueJSON(try store.report()))
    }

    /// Runs a failed or cancelled job again.
    func retry(_ call: Call) throws -> Response {
        _ = try call.query()
        let job = try job(call)
        if job.priority == .stat { try call.caller.check(.submitStat) }
        guard JobFiles.uploaded("image", in: spool.folder(of: job.id)) != nil else {
            throw Problem(409, "upload_lost", "The scan is no longer on the server's disk. Send it again.")
        }
        guard let queued = try store.retry(job.id, limits: limits(for: call.caller), at: Date()) else {
            throw Problem(404, "unknown_job", "There is no job with this id.")
        }
        workers.wake()
        call.logger.info("job queued again by request", metadata: ["job": "\(job.id)"])
        return .json(202, try shown(queued))
    }

    /// Cancels a job and keeps its row: a waiting one at once, a running one between two slices.
    func cancel(_ call: Call) throws -> Response {
        _ = try call.query()
        let job = try job(call)
        guard !job.state.isFinal || job.state == .cancelled else {
            throw Problem(409, "already_ended", "The job has \(job.state.rawValue). DELETE removes it.")
        }
        let cancelled = try store.cancel(job.id, at: Date()) ?? job
        workers.wake()
        return .json(cancelled.state == .running ? 202 : 200, try shown(cancelled))
    }
}

/// openapi.yaml, schema `Queue`.
struct QueueJSON: Codable, Sendable {
    let paused: Bool
    let counts: [String: [String: Int]]
    @Nullable var oldestWaitingSince: Date?

    enum CodingKeys: String, CodingKey {
        case paused, counts
        case oldestWaitingSince = "oldest_waiting_since"
    }

    init(_ report: QueueReport) {
        paused = report.isPaused
        counts = Dictionary(
            uniqueKeysWithValues: report.counts.map { state, byPriority in
                (state.rawValue, Dictionary(uniqueKeysWithValues: byPriority.map { ($0.rawValue, $1) }))
            })
        oldestWaitingSince = report.oldestWaiting
    }
}

import Cases
import Foundation
import HTTPDaemon
import Jobs

/// The queue as a whole, and what an operator does with it.
struct QueueResource: Sendable {
    let store: any JobStore
    /// Tells the workers that jobs may start.
    let wake: @Sendable () -> Void

    var routes: [Route] {
        [
            Route(method: "GET", path: "/v1/queue", action: .listJobs) { .now(try queue($0)) },
            Route(method: "POST", path: "/v1/queue/pause", action: .controlQueue, audited: "queue.pause") {
                .now(try pause($0))
            },
            Route(method: "POST", path: "/v1/queue/resume", action: .controlQueue, audited: "queue.resume") {
                .now(try resume($0))
            },
        ]
    }

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
        if !isPaused { wake() }
        call.logger.notice(isPaused ? "queue paused" : "queue resumed")
        return .json(200, QueueJSON(try store.report()))
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

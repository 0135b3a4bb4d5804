import HTTPDaemon
import Work

/// Whether a job would be taken and worked on, and what else an operator should know at once.
struct Readiness: Sendable, Equatable {
    /// Whether the job database can claim and list jobs.
    var database: Bool
    /// Whether uploads may be written.
    var disk: Bool
    /// Whether the file of tokens can be read, or there is to be none.
    var tokens: Bool
    /// Whether the wall clock goes on from where it was when the server last looked; see ``RetentionClock``.
    var clock: Bool

    /// A clock that jumped stops nothing either: retention waits. Tokens that cannot be read again leave the server as useful as it was: the last ones stay in force. To take it out
    /// of service for that would turn a slip of the hand in a file into an outage, so it stays ready and tells.
    var isReady: Bool { database && disk }

    /// openapi.yaml, schema `Readiness`: 200 or 503.
    var response: Response {
        var checks = ["database": database, "disk": disk].mapValues { $0 ? "ok" : "failing" }
        checks["tokens"] = tokens ? "ok" : "stale"
        checks["clock"] = clock ? "ok" : "jumped"
        return .json(isReady ? 200 : 503, ReadinessJSON(status: isReady ? "ready" : "not_ready", checks: checks))
    }
}

/// openapi.yaml, schema `Readiness`.
struct ReadinessJSON: Codable, Sendable {
    let status: String
    let checks: [String: String]
}

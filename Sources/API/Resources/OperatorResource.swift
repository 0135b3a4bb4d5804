import Access
import Cases
import Foundation
import HTTPDaemon
import Jobs
import Logging
import Telemetry
import Work

/// What operators look at: metrics, the audit table, webhooks that were given up.
struct OperatorResource: Sendable {
    let metrics: ServiceMetrics
    let audit: any AuditLog
    let auditDesk: AuditDesk
    let outbox: any Outbox
    let key: SigningKey

    var routes: [Route] {
        [
            Route(method: "GET", path: "/v1/signing-key", action: .readJob) { call in
                _ = try call.query()
                return .now(.json(200, SigningKeyJSON(key)))
            },
            Route(method: "GET", path: "/v1/audit", action: .readAudit, audited: "audit.read") {
                .now(try auditTable($0))
            },
            Route(method: "GET", path: "/v1/webhooks/dead", action: .controlQueue) { .now(try deadWebhooks($0)) },
            Route(
                method: "POST", path: "/v1/webhooks/dead/{id}/retry", action: .controlQueue, audited: "webhook.retry"
            ) { .now(try retryWebhook($0)) },
            Route(method: "GET", path: "/v1/info", action: .readInfo) { call in
                _ = try call.query()
                return .now(.json(200, Software()))
            },
            Route(method: "GET", path: "/metrics", action: .readMetrics) { .now(try metricsPage($0)) },
        ]
    }

    func metricsPage(_ call: Call) throws -> Response {
        _ = try call.query()
        return .data(200, Data(metrics.registry.exposition().utf8), type: MetricRegistry.contentType)
    }

    func auditTable(_ call: Call) throws -> Response {
        let query = try call.query("after", "limit")
        let after = try wholeNumber(query["after"], "after", in: 0...largestNumber) ?? 0
        let limit = try wholeNumber(query["limit"], "limit", in: 1...1_000) ?? 100
        auditDesk.flush()
        let entries = try audit.entries(after: after, limit: limit)
        return .json(200, AuditJSON(entries: entries.map(AuditEntryJSON.init), last: entries.last?.sequence ?? after))
    }

    func deadWebhooks(_ call: Call) throws -> Response {
        let query = try call.query("after", "limit")
        let after = try wholeNumber(query["after"], "after", in: 0...largestNumber) ?? 0
        let limit = try wholeNumber(query["limit"], "limit", in: 1...500) ?? 50
        return .json(
            200,
            DeadWebhooksJSON(webhooks: try outbox.deadLetters(after: after, limit: limit).map(DeadWebhookJSON.init)))
    }

    /// Tries a webhook again that was given up.
    func retryWebhook(_ call: Call) throws -> Response {
        _ = try call.query()
        guard let id = Int(call.id), try outbox.revive(id, at: Date()) else {
            throw Problem(404, "unknown_webhook", "There is no webhook with this number that was given up.")
        }
        return Response(status: 204)
    }
}

extension AuditDesk {
    /// Keeps who did what, and how it ended: `ok`, or a status. What was done is on the disk before it is answered; a
    /// refusal is only handed over, as threads that serve sockets refuse too.
    func record(_ action: String, by caller: Caller, job: JobID?, outcome: String, request: RequestHead) {
        let entry = AuditEntry(actor: caller.name, action: action, job: job, outcome: outcome, request: request.id)
        if outcome == AuditEntry.done { keep(entry) } else { note(entry) }
    }
}

extension Caller {
    /// Someone who did not say who they are.
    static let unknown = Caller(name: "unknown", roles: [])
}

/// openapi.yaml, schema `Audit`.
struct AuditJSON: Codable, Sendable {
    let entries: [AuditEntryJSON]
    let last: Int
}

/// One row of the audit table.
struct AuditEntryJSON: Codable, Sendable {
    let sequence: Int
    let time: Date
    let actor: String
    let action: String
    @Nullable var job: String?
    let outcome: String
    @Nullable var request: String?
    let count: Int

    init(_ entry: AuditEntry) {
        sequence = entry.sequence
        time = entry.time
        actor = entry.actor
        action = entry.action
        outcome = entry.outcome
        count = entry.count
        job = entry.job.map { "\($0)" }
        request = entry.request
    }
}

/// openapi.yaml, schema `DeadWebhooks`. The URL may hold a secret of the client: it is not shown.
struct DeadWebhooksJSON: Codable, Sendable { let webhooks: [DeadWebhookJSON] }

/// A webhook that was given up.
struct DeadWebhookJSON: Codable, Sendable {
    let id: Int
    let job: String
    let state: JobState
    let attempts: Int
    @Nullable var failure: String?
    let createdAt: Date

    enum CodingKeys: String, CodingKey {
        case id, job, state, attempts, failure
        case createdAt = "created_at"
    }

    init(_ delivery: WebhookDelivery) {
        id = delivery.id
        job = "\(delivery.job)"
        state = delivery.state
        attempts = delivery.attempts
        createdAt = delivery.createdAt
        failure = delivery.failure
    }
}

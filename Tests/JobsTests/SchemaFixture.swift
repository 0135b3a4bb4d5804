import Foundation
import GRDB
import Jobs
import TestSupport
import Testing

@testable import SQLiteJobs

/// A small database as each version of the schema left it: `Tests/Fixtures/jobs/schema-<version>.sqlite`.
///
/// Each was written by the migrations up to its version and then filled by SQL that names the columns of that version
/// only. The files are kept: should a released migration be changed, they still have what was released.
struct SchemaFixture: Sendable, CustomTestStringConvertible {
    let version: Int

    static let all = (1...jobSchema.migrations.count).map(SchemaFixture.init)

    var testDescription: String { "schema \(version)" }

    /// Where the files are kept.
    static let folder = SharedData.fixture("jobs")

    /// A database of a version that is still to come.
    static let later = folder.appending(path: "schema-later.sqlite")

    var file: URL { Self.folder.appending(path: "schema-\(version).sqlite") }

    /// A copy that may be changed.
    func copy(into folder: URL) throws -> URL {
        let copy = folder.appending(path: "jobs.sqlite")
        try FileManager.default.copyItem(at: file, to: copy)
        return copy
    }

    // MARK: - What is in it

    static let queued = name(1), putOff = name(2), running = name(3), succeeded = name(4), failed = name(5)
    static let cancelled = name(6), copied = name(7), removed = name(8)

    private static func name(_ number: Int) -> JobID { JobID("019b7a00-0000-7000-8000-00000000000\(number)")! }

    /// The jobs as the present program has to see them: what a column of a later version would hold is as by default.
    var jobs: [Job] {
        var jobs = [Self.queued, Self.putOff, Self.running, Self.succeeded, Self.failed, Self.cancelled].map(job)
        jobs[1].attempts = 1
        jobs[1].notBefore = time(90)
        jobs[1].failure = JobFailure(code: "disk_full", message: "The server's disk is full.")
        jobs[2].state = .running
        jobs[2].attempts = 2
        jobs[2].startedAt = time(20)
        jobs[2].stage = "liver"
        jobs[2].progress = 0.25
        jobs[2].cancelRequested = false
        jobs[3].state = .succeeded
        jobs[3].stage = "rules"
        jobs[3].progress = 1
        jobs[3].hasReference = true
        jobs[3].result = Data(#"{"liver_ml":1500}"#.utf8)
        jobs[4].state = .failed
        jobs[4].attempts = 3
        jobs[4].progress = 0.5
        jobs[4].failure = broken
        jobs[5].state = .cancelled
        jobs[5].cancelRequested = true
        for index in 3...5 {
            jobs[index].attempts = max(1, jobs[index].attempts)
            jobs[index].startedAt = time(30)
            jobs[index].finishedAt = time(60.25)
        }
        if version >= 4 {
            for (index, priority) in zip(0..., [JobPriority.bulk, .stat, .routine, .stat, .bulk, .routine]) {
                jobs[index].priority = priority
                jobs[index].queuedAt = time(Double(index) + 5)
                jobs[index].cost = Double(index) + 0.5
                jobs[index].owner = index % 2 == 0 ? "pacs" : nil
                jobs[index].webhook = index == 3 ? "https://receiver.example/hook" : nil
                jobs[index].contentKey = "key-\(index)"
            }
            var copied = jobs[3]
            copied.id = Self.copied
            copied.createdAt = time(7)
            copied.queuedAt = time(7)
            copied.attempts = 0
            copied.startedAt = nil
            copied.copiedFrom = Self.succeeded
            copied.webhook = nil
            jobs.append(copied)
        }
        // Before it was noted the upload stands for it.
        if version >= 8 { for index in jobs.indices { jobs[index].storedBytes = 2_000 + index } }
        if version >= 7 { for index in jobs.indices { jobs[index].request = "request-\(index)" } }
        return jobs
    }

    private func job(_ id: JobID) -> Job {
        let number = Double(id.description.suffix(1))!
        var job = Job(
            NewJob(
                id: id, options: Data(#"{"options":{"full":\#(number == 2)}}"#.utf8), hasReference: false,
                uploadBytes: 1_000 + Int(number), createdAt: time(number)))
        job.queuedAt = job.createdAt
        return job
    }

    /// Under which key the queued job was sent, from version 2 on.
    static let retryKey = RetryKey(key: "pacs/4711", digest: String(repeating: "ab", count: 32))

    /// The events, from version 3 on. The first two were trimmed.
    var events: [JobEvent] {
        guard version >= 3 else { return [] }
        return [
            JobEvent(sequence: 3, job: Self.succeeded, kind: .succeeded, time: time(60.25)),
            JobEvent(sequence: 4, job: Self.failed, kind: .failed, time: time(60.25)),
            JobEvent(sequence: 5, job: Self.removed, kind: .deleted, time: time(61)),
        ]
    }

    /// What is still to be told, and what was given up, from version 5 on.
    var deliveries: [WebhookDelivery] {
        guard version >= 5 else { return [] }
        return [false, true].map { isDead in
            var delivery = WebhookDelivery(
                id: isDead ? 2 : 1, job: Self.succeeded, state: .succeeded, event: 3,
                url: "https://receiver.example/hook", createdAt: time(60.25))
            if version >= 8 { delivery.since = time(65) }
            delivery.attempts = isDead ? 20 : 1
            delivery.dueAt = time(70)
            delivery.failure = "The receiver answered with status 503."
            delivery.isDead = isDead
            return delivery
        }
    }

    /// The audit, from version 6 on.
    var audit: [AuditEntry] {
        guard version >= 6 else { return [] }
        var entries = [
            AuditEntry(
                time: time(1), actor: "pacs", action: "job.submit", job: Self.queued, outcome: "ok", request: "r"),
            AuditEntry(time: time(61), actor: "operator", action: "job.delete", job: Self.removed, outcome: "ok"),
        ]
        for index in entries.indices { entries[index].sequence = index + 1 }
        if version >= 8 { entries[1].count = 7 }
        return entries
    }

    // MARK: - Making it

    /// Writes the file: the migrations up to this version, then the rows.
    func make() throws {
        try? FileManager.default.removeItem(at: file)
        // A pool, as the server has: the file says that it is in WAL mode.
        let pool = try DatabasePool(path: file.path, configuration: settingsToWrite())
        try jobSchema.migrate(pool, upTo: jobSchema.migrations[version - 1])
        try pool.write { db in
            let known = Set(try db.columns(in: "job").map(\.name))
            for job in jobs {
                let isRunning = job.state == .running
                let lease = isRunning ? "00000000-0000-4000-8000-000000000003" : nil
                try insert(
                    "job",
                    [
                        "id": job.id.description, "state": job.state.rawValue, "attempts": job.attempts,
                        "created_ms": job.createdAt.milliseconds, "started_ms": job.startedAt?.milliseconds,
                        "finished_ms": job.finishedAt?.milliseconds,
                        "not_before_ms": job.notBefore?.milliseconds ?? 0, "stage": job.stage,
                        "progress": job.progress, "cancel_requested": job.cancelRequested,
                        "failure_code": job.failure?.code, "failure_message": job.failure?.message,
                        "has_reference": job.hasReference, "upload_bytes": job.uploadBytes,
                        "stored_bytes": job.storedBytes, "lease_token": lease,
                        "lease_until_ms": isRunning ? time(80).milliseconds : nil, "options": job.options,
                        "result": job.result, "priority": job.priority.rawValue,
                        "queued_ms": job.queuedAt.milliseconds, "rank_ms": job.rank.milliseconds, "cost": job.cost,
                        "owner": job.owner, "webhook": job.webhook, "content_key": job.contentKey,
                        "copied_from": job.copiedFrom?.description, "request": job.request,
                    ].filter { known.contains($0.key) }, in: db)
            }
            try insert("removed_job", ["id": Self.removed.description], in: db)
            if version >= 2 {
                try insert(
                    "retry_key",
                    [
                        "key": Self.retryKey.key, "digest": Self.retryKey.digest,
                        "job_id": Self.queued.description,
                    ], in: db)
            }
            for event in events {
                try insert(
                    "job_event",
                    [
                        "seq": event.sequence, "job_id": event.job.description, "kind": event.kind.rawValue,
                        "at_ms": event.time.milliseconds,
                    ], in: db)
            }
            if version >= 4 {
                try db.execute(sql: "UPDATE queue SET is_paused = 1")
                for pace in [2.0, 3.0, 10.0] { try insert("measured_run", ["seconds_per_cost": pace], in: db) }
            }
            if version >= 8 {
                try db.execute(sql: "UPDATE turn SET served = served + 5")
            }
            for delivery in deliveries {
                let receiver = "https://receiver.example"
                let columns = Set(try db.columns(in: "delivery").map(\.name))
                try insert(
                    "delivery",
                    [
                        "receiver": receiver, "since_ms": delivery.since.milliseconds,
                        "id": delivery.id, "job_id": delivery.job.description, "state": delivery.state.rawValue,
                        "event_seq": delivery.event, "url": delivery.url,
                        "created_ms": delivery.createdAt.milliseconds, "attempts": delivery.attempts,
                        "due_ms": delivery.dueAt.milliseconds, "failure": delivery.failure,
                        "is_dead": delivery.isDead,
                    ].filter { columns.contains($0.key) }, in: db)
            }
            let auditColumns = version >= 6 ? Set(try db.columns(in: "audit").map(\.name)) : []
            for entry in audit {
                try insert(
                    "audit",
                    [
                        "seq": entry.sequence, "at_ms": entry.time.milliseconds, "actor": entry.actor,
                        "action": entry.action, "job_id": entry.job?.description, "outcome": entry.outcome,
                        "request": entry.request, "count": entry.count,
                    ].filter { auditColumns.contains($0.key) }, in: db)
            }
            try RowDigests.sealAll(in: db)
        }
        try pool.close()
    }

    private func insert(_ table: String, _ row: [String: (any DatabaseValueConvertible)?], in db: Database) throws {
        let names = row.keys.sorted()
        let marks = names.map { _ in "?" }.joined(separator: ", ")
        try db.execute(
            sql: "INSERT INTO \(table) (\(names.joined(separator: ", "))) VALUES (\(marks))",
            arguments: StatementArguments(names.map { row[$0] ?? nil }))
    }
}

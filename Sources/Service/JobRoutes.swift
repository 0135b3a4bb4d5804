import Foundation
import HTTPDaemon
import Jobs
import Logging

/// Jobs as such: their state, their list, their end.
extension Routes {
    /// The job that a path names.
    func job(_ call: Call) throws -> Job {
        guard let id = JobID(call.id) else {
            throw Problem(404, "unknown_job", "This is not a job's id. POST /v1/jobs answers with one.")
        }
        guard let job = try store.job(id) else {
            throw Problem(404, "unknown_job", "There is no job with this id.")
        }
        if let action = call.action { try call.caller.check(action, jobOf: job.owner) }
        return job
    }

    /// The longest time in seconds that a client may wait for a job to change.
    static let longestWait = 300

    /// The job as it is; with `wait`, as it is once its state has changed, or that many seconds are over.
    func state(_ call: Call) throws -> Handling {
        let query = try call.query("wait")
        let job = try job(call)
        guard let text = query["wait"] else { return .now(try answer(job, call)) }
        guard let seconds = Int(text), (0...Self.longestWait).contains(seconds) else {
            throw Problem(400, "bad_query", "wait must be a whole number of seconds from 0 to \(Self.longestWait).")
        }
        guard !job.state.isFinal, seconds > 0 else { return .now(try answer(job, call)) }
        return .later { [self] reply in
            @Sendable func send() {
                do {
                    try check(call)
                    guard let now = try store.job(job.id) else { throw JobStoreError.removed(job.id) }
                    reply.send(try answer(now, call))
                } catch {
                    reply.send(Self.response(to: error, call.logger))
                }
            }
            watch.wait(
                for: job.id, timeout: .seconds(seconds), isAwaited: { reply.isAwaited },
                mayWait: { (try? check(call)) != nil }, answer: send)
            // What changed between the first look and the wait has told nobody.
            if (try? store.job(job.id))?.state != job.state { send() }
        }
    }

    /// A job as it is shown, with the time it will still take.
    func shown(_ job: Job) throws -> JobJSON {
        JobJSON(job, timeLeft: job.state.isFinal ? nil : try store.estimate(for: job.id, workers: config.workers))
    }

    /// A job, and when to ask again. Who is shown the UIDs of a scan is kept.
    private func answer(_ job: Job, _ call: Call) throws -> Response {
        let shown = try shown(job)
        if shown.dicom?.uids != nil {
            record("uids.read", by: call.caller, job: job.id, outcome: AuditEntry.done, request: call.request.head)
        }
        var response = Response.json(200, shown)
        if let left = shown.estimatedSecondsLeft {
            response.headers.append(("Retry-After", "\(min(max(Int(left.rounded(.up)), 1), 3_600))"))
        }
        return response
    }

    func list(_ call: Call) throws -> Response {
        var filter = JobFilter()
        filter.limit = 50
        if call.caller.reach(.listJobs) == .own { filter.owner = call.caller.name }
        for (key, value) in try call.query("limit", "state", "before").sorted(by: { $0.key < $1.key }) {
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
            default:
                guard let id = JobID(value) else { throw Problem(400, "bad_query", "before must be a job's id.") }
                filter.before = id
            }
        }
        let jobs = try store.jobs(filter)
        let next = jobs.count == filter.limit ? jobs.last.map { "\($0.id)" } : nil
        let shown = jobs.map { JobJSON($0) }
        let withUIDs = shown.count { $0.dicom?.uids != nil }
        if withUIDs > 0 {
            record(
                "uids.list", by: call.caller, job: nil, outcome: AuditEntry.done, request: call.request.head,
                count: withUIDs)
        }
        return .json(200, JobListJSON(jobs: shown.map(\.inList), next: next))
    }

    /// Cancels a job that waits or runs; removes a finished one, row first, so that no row ever points at missing files.
    func delete(_ call: Call) throws -> Response {
        _ = try call.query()
        let job = try job(call)
        // A client may have the job run again between two of these steps; who deletes has the last word, if not for ever.
        for isLast in [false, false, false, false, true] {
            let state = try store.cancel(job.id, at: Date()) ?? job
            workers.wake()
            guard state.state != .running else { return .json(202, try shown(state)) }
            do throws(JobStoreError) {
                try store.remove(job.id, at: Date())
                break
            } catch {
                guard case .notFinished = error, !isLast else { throw error }
            }
        }
        try spool.remove(job.id)
        call.logger.info("job deleted", metadata: ["job": "\(job.id)"])
        return Response(status: 204)
    }
}

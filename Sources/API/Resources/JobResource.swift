import Cases
import Foundation
import HTTPDaemon
import Jobs
import Logging
import Work

/// Jobs as such: their state, their list, their end.
struct JobResource: Sendable {
    let lookup: JobLookup
    let store: any JobStore
    let spool: Spool
    let watch: JobWatch
    let admission: Admission
    let auditDesk: AuditDesk
    /// Tells the workers that a job waits, or is to stop.
    let wake: @Sendable () -> Void

    var routes: [Route] {
        [
            Route(method: "GET", path: "/v1/jobs", action: .listJobs) { .now(try list($0)) },
            Route(method: "GET", path: "/v1/jobs/{id}", action: .readJob, handle: state),
            Route(method: "GET", path: "/v1/jobs/{id}/dicom", action: .readJob) { .now(try dicom($0)) },
            Route(method: "DELETE", path: "/v1/jobs/{id}", action: .deleteJob, audited: "job.delete") {
                .now(try delete($0))
            },
            Route(method: "POST", path: "/v1/jobs/{id}/cancel", action: .changeJob, audited: "job.cancel") {
                .now(try cancel($0))
            },
            Route(method: "POST", path: "/v1/jobs/{id}/retry", action: .changeJob, audited: "job.retry") {
                .now(try retry($0))
            },
        ]
    }

    /// The job as it is; with `wait`, as it is once its state has changed, or with `until=ended` once it has ended, or that
    /// many seconds are over.
    func state(_ call: Call) throws -> Handling {
        let query = try call.query("wait", "until")
        guard let untilEnded = [nil: false, "changed": false, "ended": true][query["until"]] else {
            throw Problem(400, "bad_query", "until must be changed or ended.")
        }
        let job = try lookup.job(call)
        guard let text = query["wait"] else { return .now(try answer(job, call)) }
        guard let seconds = Int(text), (0...longestWait).contains(seconds) else {
            throw Problem(400, "bad_query", "wait must be a whole number of seconds from 0 to \(longestWait).")
        }
        guard !job.state.isFinal, seconds > 0 else { return .now(try answer(job, call)) }
        return .later { [self] reply in
            let end = ContinuousClock.now + .seconds(seconds)
            @Sendable func send() {
                do {
                    try call.check()
                    guard let now = try store.job(job.id) else { throw JobStoreError.removed(job.id) }
                    if untilEnded, !now.state.isFinal, ContinuousClock.now < end, !watch.hasEnded {
                        return wait(since: now.state)
                    }
                    reply.send(try answer(now, call))
                } catch {
                    reply.send(Problem.of(error, call.logger).response)
                }
            }
            @Sendable func wait(since state: JobState) {
                watch.wait(
                    for: job.id, timeout: end - ContinuousClock.now, isAwaited: { reply.isAwaited },
                    mayWait: { (try? call.check()) != nil }, answer: send)
                // What changed between the last look and the wait has told nobody.
                let now = (try? store.job(job.id))?.state
                if now != state, !untilEnded || now?.isFinal ?? true { send() }
            }
            wait(since: job.state)
        }
    }

    /// What the DICOM files held that were sent. Who is shown UIDs is kept.
    func dicom(_ call: Call) throws -> Response {
        _ = try call.query()
        let job = try lookup.job(call)
        guard let report = try JobRequest(of: job).dicom else {
            throw Problem(404, "no_dicom", "The job's scan did not come as DICOM.")
        }
        if report.uids != nil {
            auditDesk.record(
                "uids.read", by: call.caller, job: job.id, outcome: AuditEntry.done, request: call.request.head)
        }
        return .json(200, report)
    }

    /// A job, and when to ask again.
    private func answer(_ job: Job, _ call: Call) throws -> Response {
        let shown = try lookup.shown(job)
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
        let query = try call.query(
            "limit", "state", "before", "priority", "created_after", "created_before", "needs_review")
        for (key, value) in query.sorted(by: { $0.key < $1.key }) {
            switch key {
            case "limit":
                guard let limit = Int(value), (1...500).contains(limit) else {
                    throw Problem(400, "bad_query", "limit must be a whole number from 1 to 500.")
                }
                filter.limit = limit
            case "state":
                let states = value.split(separator: ",", omittingEmptySubsequences: false).map {
                    JobState(rawValue: String($0))
                }
                guard !states.contains(nil) else {
                    let states = JobState.allCases.map(\.rawValue).joined(separator: ", ")
                    throw Problem(400, "bad_query", "state must be one of \(states); or several with commas between.")
                }
                filter.states = Set(states.compactMap { $0 })
            case "priority": filter.priority = try checkedPriority(value)
            case "created_after": filter.createdFrom = try checkedTime(value, key)
            case "created_before": filter.createdBefore = try checkedTime(value, key)
            case "needs_review":
                guard let needsReview = ["true": true, "false": false][value] else {
                    throw Problem(400, "bad_query", "needs_review must be true or false.")
                }
                filter.needsReview = needsReview
            default:
                guard let id = JobID(value) else { throw Problem(400, "bad_query", "before must be a job's id.") }
                filter.before = id
            }
        }
        let jobs = try shown(filter)
        let next = jobs.count == filter.limit ? jobs.last?.id : nil
        return .json(200, JobListJSON(jobs: jobs, next: next))
    }

    /// A page, read in bites: a job with the UIDs of 20,000 slices has megabytes of them, which are not shown.
    private func shown(_ filter: JobFilter) throws -> [JobJSON] {
        var shown: [JobJSON] = []
        var bite = filter
        while shown.count < filter.limit {
            bite.limit = min(50, filter.limit - shown.count)
            let jobs = try store.jobs(bite)
            shown += jobs.map { JobJSON($0) }
            guard jobs.count == bite.limit, let last = jobs.last else { break }
            bite.before = last.id
        }
        return shown
    }

    /// Cancels a job that waits or runs; removes a finished one, row first, so that no row ever points at missing files.
    func delete(_ call: Call) throws -> Response {
        _ = try call.query()
        let job = try lookup.job(call)
        // A client may have the job run again between two of these steps; who deletes has the last word, if not for ever.
        for isLast in [false, false, false, false, true] {
            let state = try store.cancel(job.id, at: Date()) ?? job
            wake()
            guard state.state != .running else { return .json(202, try lookup.shown(state)) }
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

    /// Runs a failed or cancelled job again.
    func retry(_ call: Call) throws -> Response {
        _ = try call.query()
        let job = try lookup.job(call)
        if job.priority == .stat { try call.caller.check(.submitStat) }
        guard JobFiles.uploaded("image", in: spool.folder(of: job.id)) != nil else {
            throw Problem(409, "upload_lost", "The scan is no longer on the server's disk. Send it again.")
        }
        guard let queued = try admission.retry(job.id, by: call.caller) else {
            throw Problem(404, "unknown_job", "There is no job with this id.")
        }
        wake()
        call.logger.info("job queued again by request", metadata: ["job": "\(job.id)"])
        return .json(202, try lookup.shown(queued))
    }

    /// Cancels a job and keeps its row: a waiting one at once, a running one between two slices.
    func cancel(_ call: Call) throws -> Response {
        _ = try call.query()
        let job = try lookup.job(call)
        guard !job.state.isFinal || job.state == .cancelled else {
            throw Problem(409, "already_ended", "The job has \(job.state.rawValue). DELETE removes it.")
        }
        let cancelled = try store.cancel(job.id, at: Date()) ?? job
        wake()
        return .json(cancelled.state == .running ? 202 : 200, try lookup.shown(cancelled))
    }
}

/// The longest time in seconds that a client may wait for a job to change.
let longestWait = 300

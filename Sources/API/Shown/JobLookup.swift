import Access
import Cases
import Foundation
import HTTPDaemon
import Jobs
import Work

/// Finds the job that a request names, if its caller may have to do with it.
struct JobLookup: Sendable {
    let store: any JobStore
    let spool: Spool
    /// Jobs worked on at once, for estimates.
    let workers: Int

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

    /// A job as it is shown, with the time it will still take.
    func shown(_ job: Job) throws -> JobJSON {
        JobJSON(job, timeLeft: job.state.isFinal ? nil : try store.estimate(for: job.id, workers: workers))
    }

    /// A job that has succeeded, with its folder and what its row keeps of the report.
    func succeeded(_ call: Call) throws -> (job: Job, folder: URL, result: JobResult?) {
        let job = try job(call)
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
            return (job, spool.folder(of: job.id), JobResult(of: job))
        }
    }
}

import Foundation
import HTTPClient

/// What the bridge asks of Hepar.
struct HeparServer {
    let server: RetryingClient

    /// The part of a job that matters here.
    struct Job: Decodable {
        struct Failure: Decodable { let code: String }

        let id: String
        let state: String
        let failure: Failure?
    }

    /// Sends a zip of a series; the same zip under the same key is one job, however often it is sent.
    func submit(_ zip: URL, key: String) throws(BridgeFault) -> Job {
        let job = try server.json(
            Job.self,
            HTTPRequest(
                method: "POST", path: "/v1/jobs?uids=true", headers: ["Idempotency-Key: \(key)"],
                body: .file(zip, type: "application/octet-stream")))
        // It becomes part of addresses.
        guard UUID(uuidString: job.id) != nil else { throw .refused(code: "unreadable_answer") }
        return job
    }

    /// Waits for a job's end.
    func end(of job: Job) throws(BridgeFault) -> Job {
        var job = job
        while job.state == "queued" || job.state == "running" {
            job = try server.json(Job.self, HTTPRequest(path: "/v1/jobs/\(job.id)?wait=60"))
        }
        return job
    }

    /// Writes a job's result as a DICOM segmentation.
    func segmentation(of job: Job, to file: URL) throws(BridgeFault) {
        let path = "/v1/jobs/\(job.id)/mask"
        _ = try server.ask(HTTPRequest(path: path, headers: ["Accept: application/dicom"], output: file))
    }

    /// A job's report, as `json` or `html`.
    func report(of job: Job, as format: String) throws(BridgeFault) -> Data {
        try server.ask(HTTPRequest(path: "/v1/jobs/\(job.id)/report?format=\(format)")).body
    }
}

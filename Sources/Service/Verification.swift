import Foundation
import HTTPDaemon
import Jobs

/// Whether a job that ran once more gave the same mask, bit for bit.
struct Verification: Codable, Sendable {
    /// The result that is repeated.
    struct Earlier: Codable, Sendable {
        let job: String
        let statement: Provenance.Statement
    }

    /// The job that was repeated.
    let job: String
    /// Whether the two mask files have the same bytes.
    let identical: Bool
    /// What was not the same as then: of `version`, `model`, `input`, `options`.
    let differences: [String]

    enum CodingKeys: String, CodingKey { case job, identical, differences }

    init(_ earlier: Earlier, now: Provenance.Statement) {
        let then = earlier.statement
        job = earlier.job
        identical = then.maskSha256 == now.maskSha256
        let isOther = [
            ("version", then.heparVersion != now.heparVersion),
            (
                "model",
                then.liverModelSha256 != now.liverModelSha256 || then.lesionModelSha256 != now.lesionModelSha256
            ),
            ("input", then.inputSha256 != now.inputSha256), ("options", then.options != now.options),
        ]
        differences = isOther.filter(\.1).map(\.0)
    }
}

extension Routes {
    /// Queues a job that segments the same scan once more and compares.
    func verify(_ call: Call) throws -> Response {
        _ = try call.query()
        let (job, folder, _) = try succeeded(call)
        guard let provenance = try Report(at: folder.appending(path: JobFiles.report)).provenance else {
            throw Problem(
                409, "no_provenance", "This job was made by a version that kept no hashes. Send the scan again.")
        }
        guard let image = JobFiles.uploaded("image", in: folder) else {
            throw Problem(409, "upload_lost", "The scan is no longer on the server's disk.")
        }
        // A link of its own: the first job may be deleted while the second runs.
        let id = JobID()
        let link = spool.incoming.appending(path: "verify-\(id)")
        try FileManager.default.linkItem(at: image, to: link)
        defer { try? FileManager.default.removeItem(at: link) }
        let earlier = try JobRequest(of: job)
        let request = JobRequest(
            options: earlier.options, memoryBytes: earlier.memoryBytes,
            verifies: Verification.Earlier(job: "\(job.id)", statement: provenance.statement))
        let new = NewJob(
            id: id, options: try JSONEncoder.hepar.encode(request), hasReference: false, uploadBytes: job.uploadBytes,
            priority: call.caller.reach(.submitStat) == .none && job.priority == .stat ? .routine : job.priority,
            cost: job.cost, owner: call.caller.name)
        let queued = try enqueue(new, files: [(from: link, name: image.lastPathComponent)], by: call.caller)
        workers.wake()
        call.logger.info("verification queued", metadata: ["job": "\(queued.id)", "of": "\(job.id)"])
        return .json(202, try shown(queued), headers: ["Location": "/v1/jobs/\(queued.id)"])
    }
}

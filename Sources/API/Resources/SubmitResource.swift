import Access
import Cases
import Dicom
import Foundation
import HTTPDaemon
import Imaging
import Jobs
import Logging
import Segmentation
import Telemetry
import Webhooks
import Work

/// `POST /v1/jobs`. Judges the upload, keeps it, queues a job: 202 with `Location`, or a problem document that says what
/// to change. Both the files and the row are on disk before 202 is sent.
struct SubmitResource: Sendable {
    let judge: UploadJudge
    let admission: Admission
    let lookup: JobLookup
    let gate: Gate
    let metrics: ServiceMetrics
    /// Tells the workers that a job waits.
    let wake: @Sendable () -> Void

    var routes: [Route] {
        [
            Route(
                method: "POST", path: "/v1/jobs", action: .submit, takesFiles: true, audited: "job.submit",
                handle: submit),
            Route(
                method: "POST", path: "/v1/scans", action: .submit, takesFiles: true, audited: "scan.judge",
                handle: judgeScan),
            Route(
                method: "POST", path: "/v1/dicomweb/studies", action: .submit, takesFiles: true, audited: "job.submit",
                handle: storeInstances),
            Route(
                method: "POST", path: "/v1/dicomweb/studies/{study}", action: .submit, takesFiles: true,
                audited: "job.submit", handle: storeInstances),
            Route(method: "POST", path: "/v1/jobs/{id}/verify", action: .changeJob, audited: "job.verify") {
                .now(try verify($0))
            },
        ]
    }

    func submit(_ call: Call) throws -> Handling {
        .inPlace(try judge.reading(call)) { [self] in
            let (job, headers) = try accept(call, try call.query(Self.jobQuery))
            var response = Response.json(202, try lookup.shown(job))
            response.headers += headers
            return response
        }
    }

    /// What a query that makes a job may ask for.
    static let jobQuery = ["priority", "webhook", "label"] + UploadJudge.dicomQuery

    /// Queues a job, or finds the one that answers the request already; with the header fields that tell of it.
    ///
    /// - Parameter told: told what became of each instance, also where the scan is refused; it must be DICOM then.
    func accept(
        _ call: Call, _ query: [String: String], told: (([SentInstance]) -> Void)? = nil
    ) throws -> (job: Job, headers: [(String, String)]) {
        var webhook: String?
        if let url = query["webhook"] {
            do {
                webhook = try gate.webhooks.target(url).url
            } catch {
                throw Problem(422, error.code, "\(error)")
            }
        }
        // Before the scan is read, which may take minutes.
        let priority = try checkedPriority(query["priority"]) ?? .routine
        let label = try checkedLabel(query["label"])
        if priority == .stat { try call.caller.check(.submitStat) }
        try admission.storage.checkRoom(for: call.caller)
        let headers = call.request.head.headers
        let requestKey = try RequestKey(headers)
        let upload = try Upload(call.request)
        let judged = try judge.judge(upload, query, call, told: told)
        defer { judged.dicom?.discard() }
        let key = try requestKey.map { key in
            RetryKey(key: "\(call.caller.name)/\(key.text)", digest: try upload.digest(query))
        }
        let request = JobRequest(
            options: upload.options, findings: judged.findings, memoryBytes: judged.cost.bytes,
            dicom: judged.dicom?.report, label: label)
        let new = NewJob(
            options: try JSONEncoder.hepar.encode(request), hasReference: upload.reference != nil,
            uploadBytes: upload.bytes, retryKey: key, priority: priority,
            cost: judged.cost.work, owner: call.caller.name, webhook: webhook, contentKey: judged.contentKey,
            request: call.request.head.id)
        let isFresh = headers["Cache-Control"]?.lowercased().contains("no-cache") == true
        let job =
            try (isFresh ? nil : admission.finished(new, upload, by: call.caller))
            ?? admission.enqueue(new, files: judged.files, by: call.caller)
        let isNew = job.id == new.id
        if isNew {
            wake()
            metrics.uploads.add(1, "accepted")
            metrics.uploadBytes.add(Double(upload.bytes))
            let facts: Logger.Metadata = ["job": "\(job.id)", "bytes": "\(job.uploadBytes)"]
            call.logger.info(job.copiedFrom == nil ? "job queued" : "job answered by an earlier one", metadata: facts)
        } else {
            call.logger.info("request repeated", metadata: ["job": "\(job.id)"])
        }
        var location = [("Location", "/v1/jobs/\(job.id)")]
        if key != nil { location.append(("Idempotent-Replayed", isNew ? "false" : "true")) }
        return (job, location)
    }

    /// `POST /v1/scans`: the verdict on a scan, without a job. What would be refused is refused here, alike.
    func judgeScan(_ call: Call) throws -> Handling {
        let query = try call.query(UploadJudge.dicomQuery)
        let upload = try Upload(call.request)
        return .inPlace(try judge.reading(call)) { [self] in
            let judged = try judge.judge(upload, query, call)
            defer { judged.dicom?.discard() }
            return .json(200, ScanJSON(judged))
        }
    }

    /// Queues a job that segments the same scan once more and compares.
    func verify(_ call: Call) throws -> Response {
        _ = try call.query()
        let (job, folder, _) = try lookup.succeeded(call)
        guard let provenance = try Report(at: folder.appending(path: JobFiles.report)).provenance else {
            throw Problem(
                409, "no_provenance", "This job was made by a version that kept no hashes. Send the scan again.")
        }
        guard let image = JobFiles.uploaded("image", in: folder) else {
            throw Problem(409, "upload_lost", "The scan is no longer on the server's disk.")
        }
        // A link of its own: the first job may be deleted while the second runs.
        let id = JobID()
        let link = admission.spool.incoming.appending(path: "verify-\(id)")
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
        let queued = try admission.enqueue(new, files: [(from: link, name: image.lastPathComponent)], by: call.caller)
        wake()
        call.logger.info("verification queued", metadata: ["job": "\(queued.id)", "of": "\(job.id)"])
        return .json(202, try lookup.shown(queued), headers: ["Location": "/v1/jobs/\(queued.id)"])
    }
}

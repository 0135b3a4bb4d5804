import Access
import Dicom
import Foundation
import HTTPDaemon
import Imaging
import Jobs
import Logging
import Segmentation

/// `POST /v1/jobs`. Judges the upload, keeps it, queues a job: 202 with `Location`, or a problem document that says what
/// to change. Both the files and the row are on disk before 202 is sent.
extension Routes {
    func submit(_ call: Call) throws -> Handling {
        .inPlace(try reading(call)) { [self] in
            let (job, headers) = try accept(call, try call.query(Self.jobQuery))
            var response = Response.json(202, try shown(job))
            response.headers += headers
            return response
        }
    }

    /// What a query that makes a job may ask for.
    static let jobQuery = ["priority", "webhook", "label"] + dicomQuery

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
        let priority = try Self.priority(query["priority"]) ?? .routine
        let label = try checkedLabel(query["label"])
        if priority == .stat { try call.caller.check(.submitStat) }
        try storage.checkRoom(for: call.caller)
        let headers = call.request.head.headers
        let requestKey = try RequestKey(headers)
        let upload = try Upload(call.request)
        let judged = try judge(upload, query, call, told: told)
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
            try (isFresh ? nil : finished(new, upload, by: call.caller))
            ?? enqueue(new, files: judged.files, by: call.caller)
        let isNew = job.id == new.id
        if isNew {
            workers.wake()
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

    static func priority(_ text: String?) throws -> JobPriority? {
        guard let text else { return nil }
        guard let priority = JobPriority(rawValue: text) else {
            let known = JobPriority.allCases.map(\.rawValue).joined(separator: ", ")
            throw Problem(400, "bad_query", "priority must be one of \(known).")
        }
        return priority
    }

    /// What may wait in the queue, of all and of this caller, and what of this caller may be kept.
    func limits(for caller: Caller) -> QueueLimits {
        QueueLimits(
            jobs: config.queueLimit, ownerJobs: caller.quota.queuedJobs, ownerBytes: caller.quota.queuedBytes,
            ownerStored: storage.storedLimit(of: caller))
    }

    /// Keeps the files and queues the job; if an earlier request with the same key has, its job is returned and the
    /// files are dropped.
    func enqueue(_ new: NewJob, files: [(from: URL, name: String)], by caller: Caller) throws -> Job {
        try keep(new, files: files) { new in try store.enqueue(new, limits: limits(for: caller)) }!
    }

    /// The job with the result of an earlier one of the same scan; nil if there is none. It takes no room on the disk but
    /// for its report: all else are links to the earlier job's files, the scan as well. That is the file that the report's
    /// hash tells; what was sent has the same voxels and geometry.
    private func finished(_ new: NewJob, _ upload: Upload, by caller: Caller) throws -> Job? {
        guard let key = new.contentKey, let earlier = try store.succeeded(contentKey: key) else { return nil }
        let folder = spool.folder(of: earlier.id)
        var links: [(from: URL, name: String)] = []
        defer { for link in links { try? FileManager.default.removeItem(at: link.from) } }
        func link(_ file: URL, as name: String) throws {
            let link = spool.incoming.appending(path: "\(new.id)-\(name)")
            try FileManager.default.linkItem(at: file, to: link)
            links.append((from: link, name: name))
        }
        do {
            // Links, for the bytes are the same; none of these files is ever written in place.
            try link(folder.appending(path: JobFiles.mask), as: JobFiles.mask)
            if upload.options.probabilities {
                try link(folder.appending(path: JobFiles.probabilities), as: JobFiles.probabilities)
            }
            var report = try Report(at: folder.appending(path: JobFiles.report))
            // Scores against a reference that came later are the earlier job's own.
            report.scores = nil
            let copy = spool.incoming.appending(path: "\(new.id)-\(JobFiles.report)")
            links.append((from: copy, name: JobFiles.report))
            try report.write(to: copy)
            guard let image = JobFiles.uploaded("image", in: folder) else { return nil }
            try link(image, as: image.lastPathComponent)
        } catch {
            // The earlier job was deleted meanwhile.
            return nil
        }
        return try keep(new, files: links) { new in
            try store.enqueueFinished(new, copying: earlier.id, limits: limits(for: caller))
        }
    }

    /// Puts the files into the new job's folder, and removes them again unless `enter` makes the job.
    private func keep(
        _ new: NewJob, files: [(from: URL, name: String)], _ enter: (NewJob) throws -> Job?
    ) throws -> Job? {
        try spool.adopt(files: files, of: new)
        var new = new
        new.storedBytes = spool.storedBytes(of: new.id)
        let job: Job?
        do {
            job = try enter(new)
        } catch {
            // A commit that failed may have come through all the same: the files go only if there is no job. Else the next
            // start sees to them.
            let hasCome = (try? store.job(new.id) != nil) ?? true
            if !hasCome { try? spool.remove(new.id) }
            throw error
        }
        if job?.id == new.id { try spool.accepted(new.id) } else { try spool.remove(new.id) }
        return job
    }
}

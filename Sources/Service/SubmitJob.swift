import Foundation
import HTTPDaemon
import Imaging
import Jobs
import Logging
import Segmentation

/// `POST /v1/jobs`. Judges the upload, keeps it, queues a job: 202 with `Location`, or a problem document that says what
/// to change. Both the files and the row are on disk before 202 is sent.
extension Routes {
    func submit(_ call: Call) throws -> Response {
        _ = try call.query()
        let upload = try Upload(call.request)
        let files = try judge(upload)
        let key = try RequestKey(call.request.head.headers).map { key in
            RetryKey(key: key.text, digest: try upload.digest())
        }
        let new = NewJob(
            options: try JSONEncoder.hepar.encode(JobRequest(options: upload.options)),
            hasReference: upload.reference != nil, uploadBytes: upload.bytes, retryKey: key)
        let job = try enqueue(new, files: files)
        let isNew = job.id == new.id
        if isNew {
            workers.wake()
            call.logger.info("job queued", metadata: ["job": "\(job.id)", "bytes": "\(job.uploadBytes)"])
        } else {
            call.logger.info("request repeated", metadata: ["job": "\(job.id)"])
        }
        var response = Response.json(202, JobJSON(job), headers: ["Location": "/v1/jobs/\(job.id)"])
        if key != nil { response.headers.append(("Idempotent-Replayed", isNew ? "false" : "true")) }
        return response
    }

    /// Reads every byte once and refuses what could not become a mask.
    private func judge(_ upload: Upload) throws -> [(from: URL, name: String)] {
        guard spool.freeBytes() > config.freeSpaceMiB << 20 else { throw Problem.storageFull }
        let scan = try inspectScan(at: upload.image, limits: config.volumeLimits)
        var files = [(from: upload.image, name: try volumeName("image", for: upload.image))]
        if let reference = upload.reference {
            try naming("reference") {
                let mask = try inspectMask(at: reference, limits: config.volumeLimits)
                if let difference = mask.header.gridDifference(from: scan.header) {
                    throw VolumeError.gridMismatch(difference: difference)
                }
            }
            files.append((from: reference, name: try volumeName("reference", for: reference)))
        }
        return files
    }

    /// Keeps the files and queues the job; if an earlier request with the same key has, its job is returned and the
    /// files are dropped.
    func enqueue(_ new: NewJob, files: [(from: URL, name: String)]) throws -> Job {
        try spool.adopt(files: files, for: new.id)
        do {
            let job = try store.enqueue(new, queueLimit: config.queueLimit)
            if job.id != new.id { try spool.remove(new.id) }
            return job
        } catch {
            try? spool.remove(new.id)
            throw error
        }
    }
}

/// What a request brought: a multipart form with `image`, perhaps `reference` and `options`, or the bare scan.
struct Upload {
    let image: URL
    let reference: URL?
    let options: Segmenter.Options
    let bytes: Int

    init(_ request: Request) throws(Problem) {
        let form = try FormFiles(request, bare: "image", allowed: ["image", "reference"], texts: ["options"])
        image = try form.required("image")
        reference = form.files["reference"]?.url
        bytes = form.bytes
        options = if let field = form.texts["options"] { try Segmenter.Options(field: field) } else { .init() }
    }
}

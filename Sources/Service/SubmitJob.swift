import Compute
import Foundation
import HTTPDaemon
import Imaging
import Jobs
import Logging
import Segmentation

/// `POST /v1/jobs`. Judges the upload, keeps it, queues a job: 202 with `Location`, or a problem document that says what
/// to change. Both the files and the row are on disk before 202 is sent.
struct SubmitJob: Sendable {
    let config: ServiceConfig
    let store: any JobStore
    let spool: Spool
    let wakeWorkers: @Sendable () -> Void

    func answer(_ request: Request, logger: Logger) -> Response {
        do {
            let upload = try Upload(request)
            let files = try judge(upload)
            let key = try RequestKey(request.head.headers).map { key in
                RetryKey(key: key.text, digest: try upload.digest())
            }
            let (job, isNew) = try keep(upload, files: files, key: key)
            if isNew {
                wakeWorkers()
                logger.info("job queued", metadata: ["job": "\(job.id)", "bytes": "\(job.uploadBytes)"])
            } else {
                logger.info("request repeated", metadata: ["job": "\(job.id)"])
            }
            var response = Response.json(202, JobJSON(job), headers: ["Location": "/v1/jobs/\(job.id)"])
            if key != nil { response.headers.append(("Idempotent-Replayed", isNew ? "false" : "true")) }
            return response
        } catch let problem as Problem {
            return problem.response
        } catch let error as VolumeError {
            return error.isUsersFault
                ? Problem(422, error.code, "\(error)").response
                : Problem(507, "storage_failed", "\(error)").response
        } catch JobStoreError.queueFull(let limit) {
            let text = "The queue is full: \(limit) jobs wait. Try again in a minute."
            return Problem(503, "queue_full", text, headers: [("Retry-After", "60")]).response
        } catch let error as JobStoreError where error.isKeyReused {
            return Problem(409, "key_reused", "\(error)").response
        } catch SpoolError.diskFull, JobStoreError.diskFull {
            return Problem.storageFull.response
        } catch {
            logger.error("upload could not be kept", metadata: ["error": "\(type(of: error))"])
            return Problem(500, "internal", "The upload could not be kept. The service's log has the details.").response
        }
    }

    /// Reads every byte once and refuses what could not become a mask.
    private func judge(_ upload: Upload) throws -> [(from: URL, name: String)] {
        guard spool.freeBytes() > config.freeSpaceMiB << 20 else { throw Problem.storageFull }
        let scan = try inspectScan(at: upload.image, limits: config.volumeLimits)
        var files = [(from: upload.image, name: try spoolName("image", for: upload.image))]
        if let reference = upload.reference {
            do {
                let mask = try inspectMask(at: reference, limits: config.volumeLimits)
                if let difference = mask.header.gridDifference(from: scan.header) {
                    throw VolumeError.gridMismatch(difference: difference)
                }
            } catch let error as VolumeError where error.isUsersFault {
                throw Problem(422, error.code, "reference: \(error)")
            }
            files.append((from: reference, name: try spoolName("reference", for: reference)))
        }
        return files
    }

    /// Queues the job, unless an earlier request with the same key has.
    private func keep(
        _ upload: Upload, files: [(from: URL, name: String)], key: RetryKey?
    ) throws -> (job: Job, isNew: Bool) {
        let id = JobID()
        let options = try JSONEncoder.hepar.encode(upload.options)
        try spool.adopt(files: files, for: id)
        do {
            let new = NewJob(
                id: id, options: options, hasReference: upload.reference != nil, uploadBytes: upload.bytes,
                retryKey: key)
            let job = try store.enqueue(new, queueLimit: config.queueLimit)
            if job.id != id { try spool.remove(id) }
            return (job, job.id == id)
        } catch {
            try? spool.remove(id)
            throw error
        }
    }

    /// libnifti goes by a file's name, so the name follows the content.
    private func spoolName(_ stem: String, for file: URL) throws -> String {
        let handle = try FileHandle(forReadingFrom: file)
        defer { try? handle.close() }
        let magic = try handle.read(upToCount: 2)
        return magic == Data([0x1F, 0x8B]) ? "\(stem).nii.gz" : "\(stem).nii"
    }
}

/// What a request brought: a multipart form with `image`, perhaps `reference` and `options`, or the bare scan.
struct Upload {
    var image: URL
    var reference: URL?
    var options = Segmenter.Options()
    var bytes: Int

    init(_ request: Request) throws(Problem) {
        switch request.body {
        case .file(let url, let bytes):
            image = url
            self.bytes = bytes
        case .parts(let parts):
            var files: [String: (url: URL, bytes: Int)] = [:]
            for part in parts {
                switch (part.name, part.content) {
                case ("image", .file(let url, let bytes)), ("reference", .file(let url, let bytes)):
                    guard files.updateValue((url, bytes), forKey: part.name) == nil else {
                        throw Problem(422, "duplicate_field", "The field \"\(part.name)\" came twice. Send it once.")
                    }
                case ("options", .memory(let data)):
                    options = try Self.options(from: data)
                case ("image", .memory), ("reference", .memory):
                    throw Problem(
                        422, "not_a_file",
                        "The field \"\(part.name)\" is not a file. With curl: -F \(part.name)=@scan.nii.gz")
                default:
                    throw Problem(
                        422, "unknown_field",
                        "The form has a field that is not known. Send image, and if you like reference and options.")
                }
            }
            guard let image = files["image"] else {
                throw Problem(422, "image_missing", "The form has no file \"image\". With curl: -F image=@scan.nii.gz")
            }
            self.image = image.url
            reference = files["reference"]?.url
            bytes = image.bytes + (files["reference"]?.bytes ?? 0)
        case .none, .memory:
            throw Problem(
                422, "image_missing",
                "The request has no scan. Send a NIfTI file as the body, or a form with a file \"image\".")
        }
    }

    /// `{"full": true}`; an unknown key is refused, for it is most often a spelling error.
    private static func options(from data: Data) throws(Problem) -> Segmenter.Options {
        guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
            throw Problem(422, "bad_options", "The field \"options\" is not a JSON object such as {\"full\": false}.")
        }
        if let unknown = object.keys.sorted().first(where: { $0 != "full" }) {
            throw Problem(
                422, "bad_options", "The option \"\(unknown.prefix(40))\" is not known. The one option is \"full\".")
        }
        guard let full = object["full"] else { return Segmenter.Options() }
        guard let options = try? JSONDecoder().decode(Segmenter.Options.self, from: data) else {
            throw Problem(422, "bad_options", "The option \"full\" is \(full). It must be true or false.")
        }
        return options
    }
}

import Cases
import Foundation
import HTTPDaemon
import Imaging
import Jobs
import Preview
import Work

/// What a finished job left.
struct ResultResource: Sendable {
    let lookup: JobLookup
    let children: Children
    let storage: Storage

    var routes: [Route] {
        [
            Route(
                method: "GET", path: "/v1/jobs/{id}/mask", action: .readResult, audited: "result.read", handle: mask),
            Route(method: "GET", path: "/v1/jobs/{id}/probabilities", action: .readResult, audited: "result.read") {
                .now(try probabilities($0))
            },
            Route(
                method: "GET", path: "/v1/jobs/{id}/report", action: .readResult, audited: "result.read",
                handle: report),
            Route(
                method: "GET", path: "/v1/jobs/{id}/preview.png", action: .readResult, audited: "result.read",
                handle: preview),
        ]
    }

    /// The report: JSON, or the page that a person reads and prints where the client asks for HTML.
    func report(_ call: Call) throws -> Handling {
        let format = try call.query("format")["format"]
        guard [nil, "json", "html"].contains(format) else {
            throw Problem(400, "bad_query", "format must be json or html.")
        }
        let (job, folder, _) = try lookup.succeeded(call)
        let file = folder.appending(path: JobFiles.report)
        let prefersPage = call.request.head.headers["Accept"]?.contains("text/html") == true
        guard format == "html" || (format == nil && prefersPage) else {
            return .now(.file(200, file, type: "application/json", headers: ["Vary": "Accept"]))
        }
        return .inPlace(.drawing) { [self] in
            let reference = JobFiles.uploaded("reference", in: folder)
            let slices = try drawn(ReportPage.pictures, job, folder, reference: reference).map {
                ReportPage.Slice(number: $0.fileNumber, lesion: $0.lesion, png: $0.png)
            }
            let page = ReportPage(
                report: try Report(at: file),
                origin: ReportPage.Origin(JobJSON(job), dicom: try? JobRequest(of: job).dicom), slices: slices,
                hasReference: reference != nil)
            // A page without scripts that may load nothing, whatever should get into it.
            let policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
            return .data(
                200, Data(page.html.utf8), type: "text/html; charset=utf-8",
                headers: ["Vary": "Accept", "Content-Security-Policy": policy])
        }
    }

    /// The label map, or with `label` 1 where that label is and 0 elsewhere; as DICOM for those who ask for it.
    func mask(_ call: Call) throws -> Handling {
        let query = try call.query("label")
        let (job, folder, result) = try lookup.succeeded(call)
        let mask = folder.appending(path: JobFiles.mask)
        let tag = result?.maskSha256
        if Self.prefersDicom(call.request.head.headers["Accept"]) {
            guard query.isEmpty else {
                throw Problem(400, "bad_query", "label is for NIfTI; the DICOM object has both labels as segments.")
            }
            return try maskObject(of: job, in: folder)
        }
        guard let name = query["label"] else {
            var response = volume(mask, "hepar-\(job.id)", tag: tag)
            response.headers.append(("Vary", "Accept"))
            return .now(response)
        }
        guard let label = MaskLabel(rawValue: name) else {
            throw Problem(400, "bad_query", "label must be liver or lesion.")
        }
        let part = folder.appending(path: JobFiles.mask(of: label))
        let response = volume(part, "hepar-\(job.id)-\(name)", tag: tag.map { "\($0)-\(name)" })
        guard !FileManager.default.fileExists(atPath: part.path) else { return .now(response) }
        return .inPlace(.cutting) { [self] in
            try children.making(part) { part in
                let work = PartWork(
                    label: label, mask: mask, part: part, limits: children.limits, cores: children.cores)
                _ = try children.workshop.run(work)
            }
            storage.measure(job.id)
            return response
        }
    }

    func probabilities(_ call: Call) throws -> Response {
        _ = try call.query()
        let (job, folder, result) = try lookup.succeeded(call)
        let file = folder.appending(path: JobFiles.probabilities)
        guard FileManager.default.fileExists(atPath: file.path) else {
            throw Problem(
                404, "no_probabilities",
                "This job kept no probabilities. Send the scan with the option \"probabilities\": true.")
        }
        return volume(file, "hepar-\(job.id)-probabilities", tag: (result?.maskSha256).map { "\($0)-probabilities" })
    }

    /// One axial slice with the outlines of liver and lesions; the one with the most lesion unless `slice` names another.
    func preview(_ call: Call) throws -> Handling {
        let number = try wholeNumber(try call.query("slice")["slice"], "slice", in: 0...Int(Int16.max))
        let (job, folder, result) = try lookup.succeeded(call)
        return .inPlace(.drawing) { [self] in
            do {
                guard let slice = try drawn(number.map(SliceChoice.number) ?? .key, job, folder).first else {
                    throw Problem(500, "internal", "The service could not answer. Its log has the details.")
                }
                var response = Response.data(200, slice.png, type: "image/png")
                if let hash = result?.maskSha256 { response.headers.append(("ETag", "\"\(hash)-\(slice.number)\"")) }
                return response
            } catch let error as NoSuchSlice {
                throw Problem(404, "no_such_slice", "\(error)")
            }
        }
    }

    private func drawn(
        _ choice: SliceChoice, _ job: Job, _ folder: URL, reference: URL? = nil
    ) throws -> [DrawWork.Slice] {
        let mask = folder.appending(path: JobFiles.mask)
        return try children.workshop.run(
            DrawWork(
                choice: choice, image: try image(of: job, in: folder), mask: mask, reference: reference,
                limits: children.limits, cores: children.cores))
    }

    /// The scan of a job.
    private func image(of job: Job, in folder: URL) throws -> URL {
        guard let image = JobFiles.uploaded("image", in: folder) else {
            throw Problem(409, "upload_lost", "The scan is no longer on the server's disk. Send it again.")
        }
        return image
    }

    private func volume(_ file: URL, _ name: String, tag: String?) -> Response {
        var response = Response.file(200, file, type: "application/gzip")
        response.headers.append(("Content-Disposition", "attachment; filename=\"\(name).nii.gz\""))
        if let tag { response.headers.append(("ETag", "\"\(tag)\"")) }
        return response
    }
}

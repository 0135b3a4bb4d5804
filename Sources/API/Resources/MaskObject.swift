import Cases
import Dicom
import Foundation
import HTTPDaemon
import Imaging
import Jobs
import Sandbox
import Segmentation
import Work

/// The mask as a DICOM segmentation object.
extension ResultResource {
    /// Whether the client names DICOM among what it takes; `*/*` is answered by NIfTI.
    static func prefersDicom(_ accept: String?) -> Bool {
        (accept ?? "").split(separator: ",").contains { range in
            let parts = range.split(separator: ";").map { $0.trimmingCharacters(in: .whitespaces).lowercased() }
            return parts.first == "application/dicom"
                && !parts.dropFirst().contains { $0.hasPrefix("q=0") && Double($0.dropFirst(2)) == 0 }
        }
    }

    /// The object of a job whose DICOM files' UIDs were kept. Asked twice, it is the same instance.
    func maskObject(of job: Job, in folder: URL) throws -> Handling {
        let object = folder.appending(path: JobFiles.maskObject)
        var response = Response.file(200, object, type: "application/dicom", headers: ["Vary": "Accept"])
        response.headers.append(("Content-Disposition", "attachment; filename=\"hepar-\(job.id).dcm\""))
        response.headers.append(("ETag", "\"\(job.id)-dicom\""))
        guard !FileManager.default.fileExists(atPath: object.path) else { return .now(response) }
        return .inPlace(.converting) { [self, response] in
            try makeMaskObject(of: job, in: folder, at: object)
            return response
        }
    }

    private func makeMaskObject(of job: Job, in folder: URL, at object: URL) throws {
        guard let dicom = try JobRequest(of: job).dicom, dicom.uids != nil else { throw Problem.noDicomSource }
        let report = try Report(at: folder.appending(path: JobFiles.report))
        let identity = SegmentationIdentity(
            name: "jobs/\(job.id)", made: job.finishedAt ?? job.createdAt, version: report.heparVersion,
            model: report.model.name)
        do {
            try children.making(object) { object in
                let work = ObjectWork(
                    mask: folder.appending(path: JobFiles.mask), dicom: dicom, identity: identity, object: object,
                    limits: children.limits, cores: children.cores)
                _ = try children.workshop.run(work)
            }
        } catch SegmentationObjectError.noSource {
            throw Problem.noDicomSource
        } catch SegmentationObjectError.notWritten {
            throw Problem.storageFull
        }
    }
}

extension Problem {
    fileprivate static let noDicomSource = Problem(
        406, "no_dicom_source",
        """
        Only a job that came as DICOM with uids=true has a mask in DICOM, and only where the slices' UIDs are all there, those of \
        one series and frame of reference, and different in each slice. Send such files with uids=true, or ask for \
        application/gzip.
        """)
}

import Cases
import Digests
import Foundation
import Jobs
import Segmentation

/// What a job's folder tells of its job, for those who have no row of it.
public struct JobFolder: Sendable {
    /// The job as it was accepted.
    public let job: NewJob
    /// The summary of its result, and when it was there; nil if the job has to run.
    public let result: (summary: Data, at: Date)?

    /// Nil if the folder does not hold enough: a scan with a note, or a scan with a report and the mask that it tells of.
    ///
    /// - Parameter folder: named as the job.
    public init?(_ folder: URL) {
        guard let id = JobID(folder.lastPathComponent), let image = JobFiles.uploaded("image", in: folder) else {
            return nil
        }
        let note = JobNote.read(in: folder)
        let report = Self.report(in: folder)
        guard note != nil || report != nil else { return nil }
        job = note ?? Self.unnoted(id, image, in: folder, report)
        result = report.flatMap { report in
            // What a repeated job found of the first is in no file; it has to run again.
            if let note, (try? JobRequest(of: Job(note)))?.verifies != nil { return nil }
            let file = folder.appending(path: JobFiles.report)
            let time = (try? file.resourceValues(forKeys: [.contentModificationDateKey]))?.contentModificationDate
            guard let summary = try? JSONEncoder.hepar.encode(JobResult(report, verification: nil)) else { return nil }
            return (summary, time ?? Date())
        }
    }

    /// The report, if it is whole and the mask is the one that it was made with.
    private static func report(in folder: URL) -> Report? {
        guard let report = try? Report(at: folder.appending(path: JobFiles.report)),
            let sum = try? ContentHash.ofFile(at: folder.appending(path: JobFiles.mask))
        else { return nil }
        if let told = report.provenance?.statement.maskSha256, told != sum { return nil }
        return report
    }

    /// A job of a version that wrote no notes: whose it was is not known, so that only those who may see all jobs see it.
    private static func unnoted(_ id: JobID, _ image: URL, in folder: URL, _ report: Report?) -> NewJob {
        let request = JobRequest(options: report?.options ?? .init())
        let bytes = (try? image.resourceValues(forKeys: [.fileSizeKey]))?.fileSize
        return NewJob(
            id: id, options: (try? JSONEncoder.hepar.encode(request)) ?? Data("{}".utf8),
            hasReference: JobFiles.uploaded("reference", in: folder) != nil, uploadBytes: bytes ?? 0,
            createdAt: id.time)
    }
}

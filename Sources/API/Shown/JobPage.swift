import Cases
import Dicom

extension ReportPage.Origin {
    /// - Parameter dicom: all that is known of the files that were sent; the job shows a summary of it.
    init(_ job: JobJSON, dicom: DicomReport?) {
        self.init(
            title: "Job \(job.id)", findings: job.findings, createdAt: job.createdAt, startedAt: job.startedAt,
            finishedAt: job.finishedAt, copiedFrom: job.copiedFrom, dicom: dicom)
    }
}

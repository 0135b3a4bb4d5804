import Cases

extension ReportPage.Origin {
    init(_ job: JobJSON) {
        self.init(
            title: "Job \(job.id)", findings: job.findings, createdAt: job.createdAt, startedAt: job.startedAt,
            finishedAt: job.finishedAt, copiedFrom: job.copiedFrom, dicom: job.dicom)
    }
}

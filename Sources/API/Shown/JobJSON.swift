import Cases
import Dicom
import Foundation
import HTTPDaemon
import Imaging
import Jobs
import Segmentation
import Work

/// A job as the API shows it. openapi.yaml, schema `Job`.
struct JobJSON: Codable, Sendable {
    struct Links: Codable, Sendable {
        let `self`: String
        @Nullable var mask: String?
        @Nullable var report: String?
        @Nullable var preview: String?
        @Nullable var dicom: String?
    }

    struct Failure: Codable, Sendable {
        let code: String
        let message: String
    }

    let id: String
    @Nullable var label: String?
    let state: JobState
    @Nullable var stage: String?
    let progress: Double
    let attempts: Int
    let cancelRequested: Bool
    let hasReference: Bool
    let uploadBytes: Int
    let storedBytes: Int
    let priority: JobPriority
    @Nullable var estimatedSecondsLeft: Double?
    @Nullable var memoryMib: Int?
    @Nullable var copiedFrom: String?
    let createdAt: Date
    @Nullable var startedAt: Date?
    @Nullable var finishedAt: Date?
    @Nullable var failure: Failure?
    let options: Segmenter.Options
    let findings: [Finding]
    let needsReview: Bool
    @Nullable var timingsMs: [String: Double]?
    @Nullable var model: Report.Model?
    @Nullable var maskSha256: String?
    @Nullable var verification: Verification?
    @Nullable var dicom: DicomSummary?
    let links: Links

    enum CodingKeys: String, CodingKey, CaseIterable {
        case id, label, state, stage, progress, attempts
        case cancelRequested = "cancel_requested"
        case hasReference = "has_reference"
        case uploadBytes = "upload_bytes"
        case storedBytes = "stored_bytes"
        case priority
        case estimatedSecondsLeft = "estimated_seconds_left"
        case memoryMib = "memory_mib"
        case copiedFrom = "copied_from"
        case createdAt = "created_at"
        case startedAt = "started_at"
        case finishedAt = "finished_at"
        case failure, options, findings
        case needsReview = "needs_review"
        case timingsMs = "timings_ms"
        case model
        case maskSha256 = "mask_sha256"
        case verification, dicom, links
    }

    /// - Parameter timeLeft: the estimate; nil where there is none, and in lists.
    init(_ job: Job, timeLeft: Duration? = nil) {
        let path = "/v1/jobs/\(job.id)"
        let succeeded = job.state == .succeeded
        let result = JobResult(of: job)
        let request = try? JobRequest(of: job)
        id = "\(job.id)"
        state = job.state
        progress = succeeded ? 1 : job.progress
        attempts = job.attempts
        cancelRequested = job.cancelRequested
        hasReference = job.hasReference
        uploadBytes = job.uploadBytes
        storedBytes = job.storedBytes
        priority = job.priority
        createdAt = job.createdAt
        options = request?.options ?? .init()
        findings = result?.findings ?? request?.findings ?? []
        needsReview = findings.needReview
        links = Links(
            self: path, mask: succeeded ? "\(path)/mask" : nil, report: succeeded ? "\(path)/report" : nil,
            preview: succeeded ? "\(path)/preview.png" : nil, dicom: request?.dicom == nil ? nil : "\(path)/dicom")
        estimatedSecondsLeft = timeLeft.map { (($0 / .seconds(1)) * 10).rounded() / 10 }
        memoryMib = request?.memoryBytes.map { $0 >> 20 }
        copiedFrom = job.copiedFrom.map { "\($0)" }
        stage = job.stage
        startedAt = job.startedAt
        finishedAt = job.finishedAt
        failure = job.failure.map { Failure(code: $0.code, message: $0.message) }
        timingsMs = result?.timingsMs
        model = result?.model
        maskSha256 = result?.maskSha256
        verification = result?.verification
        dicom = request?.dicom.map(DicomSummary.init)
        label = request?.label
    }
}

/// What a job tells at each look of the DICOM files that were sent; `GET /v1/jobs/{id}/dicom` tells all. openapi.yaml, schema
/// `DicomSummary`.
struct DicomSummary: Codable, Sendable {
    let files: Int
    let volumes: Int
    /// The number of the volume that was taken; nil in reports that list none as taken.
    @Nullable var taken: Int?
    /// Whether UIDs are kept, and so told by the resource.
    let hasUIDs: Bool

    enum CodingKeys: String, CodingKey, CaseIterable {
        case files, volumes, taken
        case hasUIDs = "has_uids"
    }

    init(_ report: DicomReport) {
        files = report.files
        volumes = report.volumes.count
        hasUIDs = report.uids != nil
        taken = report.volumes.first(where: \.taken)?.number
    }
}

/// A page of jobs. openapi.yaml, schema `JobList`.
struct JobListJSON: Codable, Sendable {
    let jobs: [JobJSON]
    /// Pass as `before` to get the next page; null on the last one.
    @Nullable var next: String?
}

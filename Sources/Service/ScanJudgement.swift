import Foundation
import HTTPDaemon
import Imaging
import Jobs
import Segmentation

/// What a request brought: a multipart form with `image`, perhaps `reference` and `options`, the parts of a
/// multipart/related body, or the bare scan.
struct Upload {
    /// One NIfTI file or zip, or DICOM files.
    let images: [URL]
    let reference: URL?
    let options: Segmenter.Options
    let bytes: Int

    init(_ request: Request) throws(Problem) {
        let form = try FormFiles(
            request, bare: "image", allowed: ["image", "reference"], repeatable: "image", texts: ["options"])
        images = try form.all("image").map(\.url)
        reference = form.files["reference"]?.first?.url
        bytes = form.bytes
        options = if let field = form.texts["options"] { try Segmenter.Options(field: field) } else { .init() }
    }
}

/// What is known of an upload before its job.
struct ScanJudgement {
    let summary: ScanSummary
    /// The volume that was made of DICOM files; nil for NIfTI.
    let dicom: DicomVolume?
    /// The scan and the reference, with their names in the job's folder.
    var files: [(from: URL, name: String)]
    let cost: ScanCost
    /// Nil where a reference came with the scan: then no earlier result will do, for it has other scores.
    let contentKey: String?

    /// What is doubtful about the scan, and what was changed when it was made from DICOM.
    var findings: [Finding] { (dicom?.findings ?? []) + summary.findings }
}

extension Routes {
    /// `POST /v1/scans`: the verdict on a scan, without a job. What would be refused is refused here, alike.
    func judgeScan(_ call: Call) throws -> Response {
        let query = try call.query("series", "acquisition", "uids")
        let upload = try Upload(call.request)
        let judged = try judge(upload, query, owner: call.caller.name)
        defer { judged.dicom?.discard() }
        return .json(200, ScanJSON(judged))
    }

    /// Reads every byte once and refuses what could not become a mask.
    func judge(_ upload: Upload, _ query: [String: String], owner: String) throws -> ScanJudgement {
        guard spool.freeBytes() > config.freeSpaceMiB << 20 else { throw Problem.storageFull }
        let dicom = try dicomVolume(upload.images, query)
        do {
            return try judge(upload, image: dicom?.file ?? upload.images[0], dicom, owner: owner)
        } catch {
            dicom?.discard()
            throw error
        }
    }

    private func judge(
        _ upload: Upload, image: URL, _ dicom: DicomVolume?, owner: String
    ) throws -> ScanJudgement {
        var content = ContentKey()
        let scan = try inspectScan(at: image, limits: config.volumeLimits) { content.add($0) }
        let cost = segmenter.cost(
            shape: scan.header.shape, spacing: scan.header.spacing, options: upload.options,
            hasReference: upload.reference != nil)
        guard cost.bytes <= budget.limit else {
            throw Problem(
                422, "needs_too_much_memory",
                """
                The scan of \(scan.header.storedShape) voxels needs about \(cost.bytes >> 20) MiB of memory; this server \
                gives its jobs \(budget.limit >> 20) MiB. Send fewer slices, or have jobs.memory_limit_mib raised.
                """)
        }
        var files = [(from: image, name: try volumeName("image", for: image))]
        if let reference = upload.reference {
            try naming("reference") {
                let mask = try inspectMask(at: reference, limits: config.volumeLimits)
                if let difference = mask.header.gridDifference(from: scan.header) {
                    throw VolumeError.gridMismatch(difference: difference)
                }
            }
            files.append((from: reference, name: try volumeName("reference", for: reference)))
        }
        let key = try content.text(scan.header, upload.options, segmenter: segmenter, owner: owner)
        return ScanJudgement(
            summary: scan, dicom: dicom, files: files, cost: cost, contentKey: upload.reference == nil ? key : nil)
    }
}

/// openapi.yaml, schema `Scan`.
struct ScanJSON: Codable, Sendable {
    let input: Report.Input
    let huRange: [Double]
    let findings: [Finding]
    let needsReview: Bool
    let memoryMib: Int
    @Nullable var dicom: DicomReport?

    enum CodingKeys: String, CodingKey, CaseIterable {
        case input, findings, dicom
        case huRange = "hu_range"
        case needsReview = "needs_review"
        case memoryMib = "memory_mib"
    }

    init(_ judged: ScanJudgement) {
        input = Report.Input(judged.summary.header)
        huRange = [judged.summary.minimum, judged.summary.maximum]
        findings = judged.findings
        needsReview = findings.needReview
        memoryMib = judged.cost.bytes >> 20
        dicom = judged.dicom?.report
    }
}

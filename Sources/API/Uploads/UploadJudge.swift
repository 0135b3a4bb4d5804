import Cases
import Dicom
import Foundation
import HTTPDaemon
import Imaging
import Jobs
import Segmentation
import Work

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
    var findings: [Finding] { (dicom?.report.asFindings ?? []) + summary.findings }
}

struct UploadJudge: Sendable {
    let children: Children
    let spool: Spool
    let segmenter: Segmenter
    let budget: MemoryBudget
    let freeSpaceMiB: Int
    /// Whether UIDs are kept where a request does not say.
    let keepsUIDs: Bool

    /// Reads every byte once and refuses what could not become a mask.
    func judge(
        _ upload: Upload, _ query: [String: String], _ call: Call, told: (([SentInstance]) -> Void)? = nil
    ) throws -> ScanJudgement {
        guard spool.freeBytes() > freeSpaceMiB << 20 else { throw Problem.storageFull }
        let read = try children.quarantining(
            call, upload.images + [upload.reference].compactMap { $0 },
            work: ImportWork.name, as: { $0.ofDicom }
        ) { try dicomVolume(upload, query, told: told) }
        if let (dicom, judged) = read {
            do {
                return try judgement(upload, image: dicom.file, dicom, judged, call)
            } catch {
                dicom.discard()
                throw error
            }
        }
        let image = upload.images[0]
        let work = JudgeWork(image: image, reference: upload.reference, limits: children.limits)
        let judged = try children.quarantining(call, [image, upload.reference].compactMap { $0 }, work: JudgeWork.name)
        {
            try children.workshop.run(work)
        }
        return try judgement(upload, image: image, nil, judged, call)
    }

    private func judgement(
        _ upload: Upload, image: URL, _ dicom: DicomVolume?, _ judged: JudgeWork.Output, _ call: Call
    ) throws -> ScanJudgement {
        let scan = judged.summary
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
            files.append((from: reference, name: try volumeName("reference", for: reference)))
        }
        let key = try ContentKey(
            scan.header, voxelsSha256: judged.voxelsSha256, upload.options, segmenter: segmenter,
            owner: call.caller.name)
        return ScanJudgement(
            summary: scan, dicom: dicom, files: files, cost: cost,
            contentKey: upload.reference == nil ? key.text : nil)
    }

    /// What a query may ask for of DICOM files.
    static let dicomQuery = ["study", "series", "acquisition", "volume", "uids"]

    /// The place that reading an upload takes.
    func reading(_ call: Call) throws -> Places.Kind {
        try holdDicom(Upload(call.request).images) ? .importing : .judging
    }

    /// The volume that DICOM files or a zip of them hold, and the verdict on it; nil where the upload is something else.
    ///
    /// - Parameters:
    ///   - query: ``dicomQuery``: the first four choose a volume; `uids` echoes the UIDs.
    ///   - told: told what became of each instance; then nothing but DICOM is taken.
    /// - Throws: ``DicomError``; ``Problem``.
    private func dicomVolume(
        _ upload: Upload, _ query: [String: String], told: (([SentInstance]) -> Void)?
    ) throws -> (DicomVolume, JudgeWork.Output)? {
        var options = DicomOptions(study: query["study"], series: query["series"])
        options.acquisition = try wholeNumber(query["acquisition"], "acquisition", in: 0...Int(Int32.max))
        options.volume = try wholeNumber(query["volume"], "volume", in: 1...options.limits.files)
        guard options.acquisition == nil || options.volume == nil else {
            throw Problem(
                400, "bad_query", "volume counts the volumes of all acquisitions. Give volume or acquisition, not both."
            )
        }
        guard let includesUIDs = [nil: keepsUIDs, "false": false, "true": true][query["uids"]] else {
            throw Problem(400, "bad_query", "uids must be true or false.")
        }
        options.includeUIDs = includesUIDs
        guard try told != nil || holdDicom(upload.images) else {
            guard Self.dicomQuery.allSatisfy({ query[$0] == nil || $0 == "uids" && query[$0] == "false" }) else {
                throw Problem(
                    422, "not_dicom",
                    "\(Self.dicomQuery.joined(separator: ", ")) are for DICOM; the scan is another file.")
            }
            return nil
        }
        let work = spool.incoming.appending(path: "dicom-\(UUID().uuidString)", directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: work, withIntermediateDirectories: false)
        do {
            let job = ImportWork(
                files: upload.images, reference: upload.reference, work: work, options: options,
                tellsInstances: told != nil, limits: children.limits)
            let output = try children.workshop.importDicom(job) { told?($0) }
            return (DicomVolume(file: job.output, report: output.report, work: work), output.judged)
        } catch {
            try? FileManager.default.removeItem(at: work)
            throw error
        }
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

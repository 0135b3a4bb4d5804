import Dicom
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
    func judgeScan(_ call: Call) throws -> Handling {
        let query = try call.query(Self.dicomQuery)
        let upload = try Upload(call.request)
        return .inPlace(try reading(call)) { [self] in
            let judged = try judge(upload, query, call)
            defer { judged.dicom?.discard() }
            return .json(200, ScanJSON(judged))
        }
    }

    /// Reads every byte once and refuses what could not become a mask.
    func judge(
        _ upload: Upload, _ query: [String: String], _ call: Call, told: (([SentInstance]) -> Void)? = nil
    ) throws -> ScanJudgement {
        guard spool.freeBytes() > config.freeSpaceMiB << 20 else { throw Problem.storageFull }
        let dicom = try quarantining(call, upload.images, work: "import-dicom") {
            try dicomVolume(upload.images, query, told: told)
        }
        do {
            return try judge(upload, image: dicom?.file ?? upload.images[0], dicom, call)
        } catch {
            dicom?.discard()
            throw error
        }
    }

    private func judge(
        _ upload: Upload, image: URL, _ dicom: DicomVolume?, _ call: Call
    ) throws -> ScanJudgement {
        var limits = config.volumeLimits
        // Our own import compressed it, and has limits of its own for what came.
        if dicom != nil { limits.inflationRatio = .max }
        let work = JudgeWork(image: image, reference: upload.reference, limits: limits)
        let judged = try quarantining(call, [image, upload.reference].compactMap { $0 }, work: JudgeWork.name) {
            try workshop.run(work)
        }
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

    /// Runs `body`; where `files` bring its child down, keeps a record of them.
    ///
    /// - Throws: what `body` throws. A child that may have ended for want of memory is the server's fault the first time,
    ///   and the file's where it happens to the same bytes again.
    func quarantining<Result>(
        _ call: Call, _ files: [URL], work: String, _ body: () throws -> Result
    ) throws -> Result {
        func record(_ lost: WorkerLost) throws {
            let isFirst = quarantine.add(
                files, work: work, end: lost.word, request: "\(call.request.head.id)", caller: call.caller.name)
            call.logger.warning("upload quarantined", metadata: ["work": "\(work)", "end": "\(lost.word)"])
            if isFirst, lost.mayWantMemory { throw lost.wantOfMemory }
        }
        do {
            return try body()
        } catch let lost as WorkerLost where lost.end != .notStarted {
            try record(lost)
            throw lost.unreadable
        } catch DicomError.unreadable(let signal) {
            try record(WorkerLost(end: .signalled(signal), silenceSeconds: 0))
            throw DicomError.unreadable(signal: signal)
        } catch DicomError.unbelievable {
            try record(WorkerLost(end: .lied, silenceSeconds: 0))
            throw DicomError.unbelievable
        } catch DicomError.timeout(let seconds) {
            try record(WorkerLost(end: .timedOut, silenceSeconds: seconds))
            throw DicomError.timeout(seconds: seconds)
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

import Cases
import Compute
import Dicom
import Digests
import Foundation
import Imaging
import Preview
import Segmentation

/// Runs cases of the command line one after the other, with one model: from whatever a scan came as to all that is wanted.
struct CaseBench {
    let segmenter: Segmenter
    let team: ThreadTeam
    let options: Segmenter.Options
    let extras: CaseExtras

    /// What became of a case.
    struct Outcome {
        let report: Report
        let dicom: DicomReport?
        /// Whether the mask was there before.
        let wasDone: Bool
        /// Why a preview, page or object is missing beside a mask that is there.
        let missing: (any Error)?
    }

    /// - Parameter skips: whether a mask of the same scan, model, options and version is left as it is.
    /// - Throws: what is wrong with a file; ``UserError`` where a mask would be lost that is not as Hepar made it.
    func run(_ files: CaseFiles, skips: Bool = false, progress: (SliceProgress) -> Void) throws -> Outcome {
        let work = FileManager.default.temporaryDirectory.appending(path: "hepar-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: work) }
        let (image, imported) = try volume(of: files.scan, work: work)
        let dicom = imported?.report
        var limits = VolumeLimits()
        // Our own import compressed it.
        if dicom != nil { limits.inflationRatio = .max }
        if skips, let report = try earlier(files, image: image) {
            return outcome(files, report, image: image, dicom: dicom, limits: limits, wasDone: true)
        }
        // The same judgement as an upload gets: truncation, a damaged gzip, air only. An import has it already.
        let judged = try imported?.judged.summary ?? inspectScan(at: image, limits: limits)
        let findings = (dicom?.asFindings ?? []) + judged.findings
        let job = Case(
            image: image, reference: files.reference, mask: skips ? files.begun : files.mask,
            probabilities: files.probabilities, options: options, findings: findings, limits: limits)
        let report = try Cases.run(job, with: segmenter, team: team) { progress($0) }
        let json = try JSONEncoder.hepar.encode(report)
        if skips {
            // A mask is never beside a report that does not tell of it, whenever this ends.
            try? FileManager.default.removeItem(at: files.mask)
        }
        if let place = files.report { try json.write(to: place, options: .atomic) }
        if skips, rename(files.begun.path, files.mask.path) != 0 { throw VolumeError.diskFull }
        return outcome(files, report, image: image, dicom: dicom, limits: limits, wasDone: false)
    }

    /// The scan as NIfTI. DICOM files are read by a child process: one that a file brings down is an error of this case.
    private func volume(of scan: FoundScan, work: URL) throws -> (image: URL, imported: ImportWork.Output?) {
        guard scan.isDicom else { return (scan.files[0], nil) }
        guard mkdir(work.path, 0o700) == 0 else { throw DicomError.importFailed(reason: .workFolder) }
        let workshop = Workshop(program: URL(filePath: "/proc/self/exe").resolvingSymlinksInPath())
        let job = ImportWork(
            files: scan.files, work: work, options: DicomOptions(includeUIDs: true), limits: VolumeLimits())
        do {
            return (job.output, try workshop.importDicom(job))
        } catch let lost as WorkerLost {
            throw lost.ofDicom
        }
    }

    /// The report of a mask that need not be made again: whole, and of the same scan, model, options and version.
    private func earlier(_ files: CaseFiles, image: URL) throws -> Report? {
        guard FileManager.default.fileExists(atPath: files.mask.path) else { return nil }
        let report = files.report.flatMap { try? Report(at: $0) }
        guard let report, let said = report.provenance?.statement,
            try said.maskSha256 == ContentHash.ofFile(at: files.mask)
        else {
            // Half a mask is nobody's work; a whole one that no report tells of may be a person's correction.
            guard (try? readLabels(at: files.mask, limits: VolumeLimits(), team: team)) != nil else { return nil }
            throw UserError(
                """
                \(files.mask.lastPathComponent) is there and is not as Hepar made it: its report is missing, or tells of \
                another. It was left as it is. Move it away, or choose another --output.
                """)
        }
        let isSame =
            try report.isMade(by: segmenter) && report.options == options
            && said.inputSha256 == ContentHash.ofFile(at: image)
        return isSame ? report : nil
    }

    private func outcome(
        _ files: CaseFiles, _ report: Report, image: URL, dicom: DicomReport?, limits: VolumeLimits, wasDone: Bool
    ) -> Outcome {
        var missing: (any Error)?
        do {
            try makeExtras(files, report, image: image, dicom: dicom, limits: limits, wasDone: wasDone)
        } catch {
            missing = error
        }
        return Outcome(report: report, dicom: dicom, wasDone: wasDone, missing: missing)
    }

    /// - Parameter wasDone: makes only those that are not there.
    private func makeExtras(
        _ files: CaseFiles, _ report: Report, image: URL, dicom: DicomReport?, limits: VolumeLimits, wasDone: Bool
    ) throws {
        func isDue(_ file: URL) -> Bool { !wasDone || !FileManager.default.fileExists(atPath: file.path) }
        if extras.preview, isDue(files.preview) {
            let scan = try readCT(at: image, limits: limits, team: team)
            let labels = try readLabels(at: files.mask, limits: limits, team: team).volume
            let reference = try files.reference.map {
                try readReference($0, of: scan.header, limits: limits, team: team)
            }
            try contactSheet(of: scan.volume, labels: labels, reference: reference, team: team)
                .writePNG(to: files.preview)
        }
        if extras.html, isDue(files.page) {
            let page = try reportPage(
                of: report, name: files.scan.name, dicom: dicom, image: image, mask: files.mask,
                reference: files.reference, limits: limits, team: team)
            try Data(page.utf8).write(to: files.page, options: .atomic)
        }
        if extras.seg, let dicom, isDue(files.object) {
            let labels = try readLabels(at: files.mask, limits: limits, team: team)
            let said = report.provenance?.statement
            let identity = SegmentationIdentity(
                name: "masks/\(dicom.uids?.series ?? "")/\(said?.maskSha256 ?? "")", made: Date(),
                version: report.heparVersion, model: report.model.name)
            try writeSegmentation(labels, on: dicom, as: identity, to: files.object)
        }
    }
}

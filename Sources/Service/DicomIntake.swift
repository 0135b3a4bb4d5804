import Dicom
import Foundation
import Imaging

/// A volume that was made of DICOM files, beside the uploads.
struct DicomVolume {
    /// NIfTI, .nii.gz.
    let file: URL
    let report: DicomReport
    fileprivate let work: URL

    /// What the import changed, in the form of all findings.
    var findings: [Finding] {
        report.findings.map { Finding(code: $0.code, severity: $0.severity, message: $0.message) }
    }

    /// Removes what is left of the import: all of it, unless a job has taken the file.
    func discard() { try? FileManager.default.removeItem(at: work) }
}

extension Routes {
    /// The place that reading an upload takes.
    func reading(_ call: Call) throws -> Places.Kind {
        try holdDicom(Upload(call.request).images) ? .importing : .judging
    }

    /// The volume that DICOM files or a zip of them hold; nil where the upload is something else.
    ///
    /// - Parameter query: `study`, `series`, `acquisition` choose a volume; `uids` echoes the UIDs.
    /// - Throws: ``DicomError``; ``Problem``.
    func dicomVolume(_ images: [URL], _ query: [String: String]) throws -> DicomVolume? {
        let (study, series) = (query["study"], query["series"])
        let acquisition = try Self.number(query["acquisition"], "acquisition", in: 0...Int(Int32.max))
        guard let includeUIDs = [nil: false, "false": false, "true": true][query["uids"]] else {
            throw Problem(400, "bad_query", "uids must be true or false.")
        }
        guard try holdDicom(images) else {
            guard study == nil, series == nil, acquisition == nil, !includeUIDs else {
                throw Problem(
                    422, "not_dicom", "study, series, acquisition and uids are for DICOM; the scan is another file.")
            }
            return nil
        }
        let work = spool.incoming.appending(path: "dicom-\(UUID().uuidString)", directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: work, withIntermediateDirectories: false)
        do {
            let file = work.appending(path: "image.nii.gz")
            let report = try importer.run(
                images, work: work, output: file, study: study, series: series, acquisition: acquisition,
                includeUIDs: includeUIDs)
            return DicomVolume(file: file, report: report, work: work)
        } catch {
            try? FileManager.default.removeItem(at: work)
            throw error
        }
    }
}

/// Whether an upload is several files, a zip, or begins as DICOM files do (PS3.10 section 7.1).
private func holdDicom(_ images: [URL]) throws -> Bool {
    guard images.count == 1 else { return true }
    let handle = try FileHandle(forReadingFrom: images[0])
    defer { try? handle.close() }
    let head = try handle.read(upToCount: 132) ?? Data()
    return head.starts(with: Data("PK".utf8)) || head.dropFirst(128) == Data("DICM".utf8)
}

extension DicomError {
    /// What the client is answered.
    var problem: Problem {
        if self == .notWritten(code: "disk_full") { return .storageFull }
        return Problem(isUsersFault ? (isLimit ? 413 : 422) : 500, code, "\(self)")
    }
}

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
    /// What a query may ask for of DICOM files.
    static let dicomQuery = ["study", "series", "acquisition", "volume", "uids"]

    /// The place that reading an upload takes.
    func reading(_ call: Call) throws -> Places.Kind {
        try holdDicom(Upload(call.request).images) ? .importing : .judging
    }

    /// The volume that DICOM files or a zip of them hold; nil where the upload is something else.
    ///
    /// - Parameters:
    ///   - query: ``dicomQuery``: the first four choose a volume; `uids` echoes the UIDs.
    ///   - told: told what became of each instance; then nothing but DICOM is taken.
    /// - Throws: ``DicomError``; ``Problem``.
    func dicomVolume(
        _ images: [URL], _ query: [String: String], told: (([SentInstance]) -> Void)? = nil
    ) throws -> DicomVolume? {
        var options = DicomOptions(study: query["study"], series: query["series"])
        options.acquisition = try Self.number(query["acquisition"], "acquisition", in: 0...Int(Int32.max))
        options.volume = try Self.number(query["volume"], "volume", in: 1...options.limits.files)
        guard options.acquisition == nil || options.volume == nil else {
            throw Problem(
                400, "bad_query", "volume counts the volumes of all acquisitions. Give volume or acquisition, not both."
            )
        }
        guard let includesUIDs = [nil: config.keepsUIDs, "false": false, "true": true][query["uids"]] else {
            throw Problem(400, "bad_query", "uids must be true or false.")
        }
        options.includeUIDs = includesUIDs
        guard try told != nil || holdDicom(images) else {
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
            let file = work.appending(path: "image.nii.gz")
            let report = try importer.run(images, work: work, output: file, options: options, told: told)
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

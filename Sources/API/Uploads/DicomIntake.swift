import Dicom
import Foundation
import Imaging

/// A volume that was made of DICOM files, beside the uploads.
struct DicomVolume {
    /// NIfTI, .nii.gz.
    let file: URL
    let report: DicomReport
    let work: URL

    /// Removes what is left of the import: all of it, unless a job has taken the file.
    func discard() { try? FileManager.default.removeItem(at: work) }
}

/// Whether an upload is several files, a zip, or begins as DICOM files do (PS3.10 section 7.1).
func holdDicom(_ images: [URL]) throws -> Bool {
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

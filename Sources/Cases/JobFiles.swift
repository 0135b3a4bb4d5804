import Foundation
import Imaging
import Segmentation

/// Names of a job's files in its spool folder.
public enum JobFiles {
    package static let mask = "mask.nii.gz"
    package static let probabilities = "probabilities.nii.gz"
    package static let report = "report.json"
    /// The mask as a DICOM segmentation object, made when it is first asked for.
    package static let maskObject = "mask.dcm"
    /// Finished slices of a run that is not.
    package static let journal = "slices.journal"

    /// The mask of one label alone, made when it is first asked for.
    package static func mask(of label: MaskLabel) -> String { "mask-\(label.rawValue).nii.gz" }

    /// A file that was uploaded as `stem`.
    package static func uploaded(_ stem: String, in folder: URL) -> URL? {
        ["\(stem).nii.gz", "\(stem).nii"].map { folder.appending(path: $0) }
            .first { FileManager.default.fileExists(atPath: $0.path) }
    }

    /// Whether a job's folder has what a job cannot do without: the scan, and the results once it has succeeded.
    public static func areComplete(in folder: URL, hasSucceeded: Bool) -> Bool {
        let results = hasSucceeded ? [mask, report] : []
        return uploaded("image", in: folder) != nil
            && results.allSatisfy { FileManager.default.fileExists(atPath: folder.appending(path: $0).path) }
    }

    /// Whether a file is part of what is kept of a job; others are of a run that has not ended.
    public static func isKept(_ name: String) -> Bool { !name.hasPrefix(".") && name != journal }
}

/// A part of the label map.
package enum MaskLabel: String, CaseIterable, Codable {
    /// The liver with its lesions.
    case liver
    /// The lesions.
    case lesion

    /// The smallest label that is part of it.
    package var threshold: UInt8 { self == .liver ? Label.liver : Label.lesion }
}

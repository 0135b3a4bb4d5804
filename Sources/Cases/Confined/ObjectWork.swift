import Dicom
import Foundation
import Imaging
import Sandbox
import Segmentation

/// Writes a mask as a DICOM segmentation object, in a child.
package struct ObjectWork: ConfinedWork {
    package static let name = "object"

    package let mask: URL
    package let dicom: DicomReport
    package let identity: SegmentationIdentity
    package let object: URL
    package let limits: VolumeLimits
    package let cores: Cores

    package init(
        mask: URL, dicom: DicomReport, identity: SegmentationIdentity, object: URL, limits: VolumeLimits, cores: Cores
    ) {
        self.mask = mask
        self.dicom = dicom
        self.identity = identity
        self.object = object
        self.limits = limits
        self.cores = cores
    }

    package var confinement: Confinement {
        var result = Confinement.reading([mask], volumes: limits, bytesPerVoxel: 8, threads: cores.threads)
        result.writable = [object.deletingLastPathComponent().path]
        return result
    }

    package func couldGive(_ output: Bool) -> Bool { output }

    package func perform(progress: (SliceProgress) -> Void) throws -> Bool {
        let labels = try readLabels(at: mask, limits: limits, team: cores.team())
        try writeSegmentation(labels, on: dicom, as: identity, to: object)
        return true
    }
}

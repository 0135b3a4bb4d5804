import Digests
import Foundation
import Imaging
import Sandbox
import Segmentation

/// Judges an uploaded scan, and a reference with it, in a child: every byte of both is read once.
package struct JudgeWork: ConfinedWork {
    package static let name = "judge"

    package struct Output: Codable, Sendable {
        package let summary: ScanSummary
        /// SHA-256 of the scan's voxels as they are stored.
        package let voxelsSha256: String
    }

    package let image: URL
    package let reference: URL?
    package let limits: VolumeLimits

    package init(image: URL, reference: URL?, limits: VolumeLimits) {
        self.image = image
        self.reference = reference
        self.limits = limits
    }

    package var confinement: Confinement {
        // Read in pieces: it needs no memory to speak of, whatever the file inflates to.
        var limits = ChildLimits()
        limits.memoryMiB = 1024
        return Confinement(limits: limits, readable: [image, reference].compactMap { $0?.path }, writable: [])
    }

    package func couldGive(_ output: Output) -> Bool {
        output.summary.isPossible(under: limits) && isDigest(output.voxelsSha256)
    }

    package func perform(progress: (SliceProgress) -> Void) throws -> Output {
        var voxels = ContentHash()
        let scan = try inspectScan(at: image, limits: limits) { voxels.add($0) }
        if let reference {
            try naming("reference") {
                _ = try inspectMask(at: reference, on: scan.header, limits: limits)
            }
        }
        return Output(summary: scan, voxelsSha256: voxels.hexadecimal())
    }
}

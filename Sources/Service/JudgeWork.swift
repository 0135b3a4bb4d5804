import Digests
import Foundation
import Imaging
import Sandbox
import Segmentation

/// Judges an uploaded scan, and a reference with it, in a child: every byte of both is read once.
struct JudgeWork: ConfinedWork {
    static let name = "judge"

    struct Output: Codable, Sendable {
        let summary: ScanSummary
        /// SHA-256 of the scan's voxels as they are stored.
        let voxelsSha256: String
    }

    let image: URL
    let reference: URL?
    let limits: VolumeLimits

    var confinement: Confinement {
        // Read in pieces: it needs no memory to speak of, whatever the file inflates to.
        var limits = ChildLimits()
        limits.memoryMiB = 1024
        return Confinement(limits: limits, readable: [image, reference].compactMap { $0?.path }, writable: [])
    }

    func couldGive(_ output: Output) -> Bool {
        output.summary.isPossible(under: limits) && isDigest(output.voxelsSha256)
    }

    func perform(progress: (SliceProgress) -> Void) throws -> Output {
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

import Compute
import Foundation
import Imaging

/// Uploads that must be refused, made from a good one.
struct BadFiles {
    /// What it is, the file, and the code of the answer.
    var uploads: [(name: String, file: URL, code: String)] = []
    /// A reference that fits no scan.
    let otherGrid: URL

    init(in folder: URL, good: URL) throws {
        let team = ThreadTeam(threads: 1)
        let scan = try readCT(at: good, limits: VolumeLimits(), team: team)
        let header = [UInt8](scan.header.bytes)
        otherGrid = folder.appending(path: "other-grid.nii.gz")
        var affine = scan.header.storedAffine
        affine.origin.x += 1
        let moved = NIfTIHeader(shape: scan.header.storedShape, affine: affine, voxelType: .uint8)
        try writeLabels(
            Volume(shape: moved.shape, spacing: moved.spacing, filledWith: 0), like: moved, to: otherGrid, team: team)

        func add(_ name: String, _ code: String, _ bytes: [UInt8], suffix: String = "nii") throws {
            let file = folder.appending(path: "bad-\(uploads.count).\(suffix)")
            try Data(bytes).write(to: file)
            uploads.append((name, file, code))
        }
        /// The good header with a change, and `voxels` zero bytes behind it.
        func changed(voxels: Int = 1000, _ change: (inout [UInt8]) -> Void) -> [UInt8] {
            var bytes = header
            change(&bytes)
            return bytes + [0, 0, 0, 0] + [UInt8](repeating: 0, count: voxels)
        }
        func put(_ value: Float, _ bytes: inout [UInt8], at offset: Int) {
            withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.replaceSubrange(offset..<offset + 4, with: $0) }
        }
        func put(_ values: [Int16], _ bytes: inout [UInt8], at offset: Int) {
            for (index, value) in values.enumerated() {
                withUnsafeBytes(of: value.littleEndian) {
                    bytes.replaceSubrange(offset + 2 * index..<offset + 2 * index + 2, with: $0)
                }
            }
        }
        try add("not a NIfTI", "not_nifti", Array("hello, this is not a scan at all".utf8))
        let whole = [UInt8](try Data(contentsOf: good))
        try add("truncated", "truncated", Array(whole.prefix(whole.count / 2)), suffix: "nii.gz")
        try add("absurd dims", "too_large", changed { put([3, 32767, 32767, 32767, 1], &$0, at: 40) })
        // Where a map to the patient stands in the header, pixdim is not asked.
        let withoutMaps = { (bytes: inout [UInt8]) in put([0, 0], &bytes, at: 252) }
        try add(
            "NaN spacing", "spacing_out_of_range",
            changed {
                put(.nan, &$0, at: 80)
                withoutMaps(&$0)
            })
        try add("4-D", "four_dimensional", changed { put([4, 8, 8, 8, 20], &$0, at: 40) })
        try add("one slice", "too_few_slices", changed { put([3, 16, 16, 1, 1], &$0, at: 40) })

        let air = folder.appending(path: "air.nii.gz")
        let noise = (0..<scan.volume.shape.count).map { Int16(-1000 + $0 % 7) }
        let empty = Volume<Int16>(shape: scan.volume.shape, spacing: scan.volume.spacing, voxels: noise)
        try writeCT(empty, header: scan.header, to: air, team: team)
        uploads.append(("all air", air, "all_air"))

        // A bomb: a small header, then far more zeros than it declares, deflated to almost nothing.
        let bomb = folder.appending(path: "bomb.nii")
        try Data(changed(voxels: 64 << 20) { put([3, 8, 8, 8, 1], &$0, at: 40) }).write(to: bomb)
        let gzip = Process()
        gzip.executableURL = URL(filePath: "/bin/gzip")
        gzip.arguments = ["-1", bomb.path]
        try gzip.run()
        gzip.waitUntilExit()
        uploads.append(("bomb", bomb.appendingPathExtension("gz"), "longer_than_declared"))
    }
}

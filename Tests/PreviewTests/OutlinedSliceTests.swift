import Compute
import Foundation
import Imaging
import Phantom
import TestSupport
import Testing

@testable import Preview

/// One slice as a picture, drawn from files.
@Suite struct OutlinedSliceTests {
    let team = ThreadTeam(threads: 2)
    private let options = PhantomOptions(seed: 5, shape: Shape(80, 64, 20), spacing: SIMD3(2.5, 3, 5), lesions: 3)
    private static let liver: [UInt8] = [60, 230, 60]
    private static let lesion: [UInt8] = [255, 50, 50]

    /// Writes CT and mask on the axes given.
    private func write(_ phantom: Phantom, axes: String, to folder: URL) throws -> (ct: URL, mask: URL) {
        let grid = try phantomAffine(shape: options.shape, spacing: options.spacing, axes: axes)
        let header = NIfTIHeader(shape: grid.storedShape, affine: grid.affine, voxelType: .int16)
        let (ct, mask) = (folder.appending(path: "ct.nii.gz"), folder.appending(path: "mask.nii.gz"))
        try writeCT(phantom.ct, header: header, to: ct, team: team)
        try writeLabels(phantom.reference, like: header, to: mask, team: team)
        return (ct, mask)
    }

    /// In every order of the axes the picture is the same, and made of what the arrays hold.
    @Test(arguments: ["LPS", "RAS", "LPI", "RAI", "PSL", "SRA", "AIL", "ILP"])
    func everyPixelIsWhereItBelongs(axes: String) throws {
        let phantom = makePhantom(options, team: team)
        let (ct, labels) = (phantom.ct, phantom.reference)
        try withTemporaryFolder { folder in
            let files = try write(phantom, axes: axes, to: folder)
            let slice = try #require(try outlinedSlices(.key, of: files.ct, mask: files.mask, team: team).first)

            let counts = (0..<20).map { z in (0..<64 * 80).count { labels.voxels[z * 5120 + $0] == Label.lesion } }
            let z = slice.number
            #expect(counts[z] > 0 && counts[z] == counts.max())
            #expect(slice.fileNumber == (axes.contains("I") ? 19 - z : z))
            // 64 rows of 3 mm are 76.8 of 2.5 mm.
            #expect(slice.picture.width == 80 && slice.picture.height == 77)
            for row in 0..<77 {
                for column in 0..<80 {
                    let y = row * 64 / 77
                    let pixel = Array(slice.picture.rgb[(row * 80 + column) * 3..<(row * 80 + column) * 3 + 3])
                    let label = labels[column, y, z]
                    // The body's air keeps the liver away from the sides.
                    let around =
                        label == 0
                        ? []
                        : [
                            labels[column - 1, y, z], labels[column + 1, y, z], labels[column, y - 1, z],
                            labels[column, y + 1, z],
                        ]
                    let grey = UInt8(min(max((Float(ct[column, y, z]) + 160) / 400, 0), 1) * 255)
                    let expected =
                        label == 2 && around.contains { $0 != 2 }
                        ? Self.lesion
                        : label == 1 && around.contains(0) ? Self.liver : [grey, grey, grey]
                    #expect(pixel == expected, "row \(row), column \(column)")
                }
            }
        }
    }

    @Test func theOverviewShowsTheKeySlice() throws {
        let phantom = makePhantom(options, team: team)
        try withTemporaryFolder { folder in
            let files = try write(phantom, axes: "LPS", to: folder)
            let key = try outlinedSlices(.key, of: files.ct, mask: files.mask, team: team)[0]
            let overview = try outlinedSlices(.overview(4), of: files.ct, mask: files.mask, team: team)
            let numbers = overview.map(\.number)
            #expect(numbers.count == 4 && numbers == Set(numbers).sorted())
            #expect(overview.first { $0.number == key.number }?.picture == key.picture)
        }
    }

    @Test func theKeySlice() {
        var labels = Volume<UInt8>(shape: Shape(3, 3, 7), spacing: SIMD3(1, 1, 1), filledWith: 0)
        #expect(keySlice(of: labels) == 3)
        (labels[0, 0, 1], labels[1, 0, 1], labels[0, 0, 5]) = (1, 1, 1)
        #expect(keySlice(of: labels) == 1)
        labels[2, 2, 6] = 2
        #expect(keySlice(of: labels) == 6)
    }

    @Test func whatCannotBeDrawnIsTold() throws {
        let phantom = makePhantom(options, team: team)
        try withTemporaryFolder { folder in
            let files = try write(phantom, axes: "LPS", to: folder)
            for number in [-1, 20] {
                #expect(throws: NoSuchSlice(number: number, slices: 20)) {
                    _ = try outlinedSlices(.number(number), of: files.ct, mask: files.mask, team: team)
                }
            }
            let other = try phantomAffine(shape: options.shape, spacing: SIMD3(2.5, 3, 4), axes: "LPS")
            let header = NIfTIHeader(shape: other.storedShape, affine: other.affine, voxelType: .uint8)
            try writeLabels(phantom.reference, like: header, to: files.mask, team: team)
            #expect(throws: VolumeError.self) {
                _ = try outlinedSlices(.key, of: files.ct, mask: files.mask, team: team)
            }
        }
    }
}

import Foundation
import TestSupport
import Testing

@testable import Imaging

/// One trap a file: what is accepted and yet doubtful is told, and nothing else.
@Suite struct ScanFindingsTests {
    /// A sound little CT: 20 x 16 x 40 voxels of 2 x 2 x 2.5 mm, tissue within air.
    private static var sound: NIfTIBuilder {
        var file = NIfTIBuilder()
        file.dim = [3, 20, 16, 40, 1, 1, 1, 1]
        file.pixdim = [1, 2, 2, 2.5, 0, 0, 0, 0]
        file.srows = [[-2, 0, 0, 10], [0, -2, 0, 20], [0, 0, 2.5, -30]]
        file.quaternion = [0, 0, 1, 10, 20, -30]
        file.qformCode = 1
        file.values = values(file.dim)
        return file
    }

    /// -1000 HU at the sides, 30 to 90 HU within.
    private static func values(_ dim: [Int]) -> [Double] {
        (0..<dim[1] * dim[2] * dim[3]).map { index in
            let (x, y) = (index % dim[1], index / dim[1] % dim[2])
            let isSide = x == 0 || x == dim[1] - 1 || y == 0 || y == dim[2] - 1
            return isSide ? -1000 : 30 + Double(index % 61)
        }
    }

    private func findings(_ change: (inout NIfTIBuilder) -> Void) throws -> [Finding] {
        var file = Self.sound
        change(&file)
        return try withTemporaryFolder { try inspectScan(at: file.write(to: $0)).findings }
    }

    private func codes(_ change: (inout NIfTIBuilder) -> Void) throws -> [String] { try findings(change).map(\.code) }

    @Test func aSoundScanHasNone() throws {
        #expect(try codes { _ in }.isEmpty)
        #expect(try codes { $0.qformCode = 0 }.isEmpty)
        #expect(try codes { $0.sformCode = 0 }.isEmpty)
        #expect(try codes { ($0.version, $0.isBigEndian) = (2, true) }.isEmpty)
    }

    @Test func everySentenceIsASentence() throws {
        let found = try findings { file in
            file.quaternion = [0, 0, 0, 1, 2, 3]
            file.values = file.values.map { $0 < 0 ? 0 : 9000 }
        }
        #expect(found.map(\.code) == ["forms_disagree", "values_not_hu", "values_high"])
        #expect(found.map(\.severity) == [.warning, .error, .info])
        #expect(found.needReview && found.allSatisfy { $0.message.hasSuffix(".") })
        #expect(![found[2]].needReview)
    }

    // MARK: Geometry

    @Test func twoFormsThatDisagree() throws {
        let moved = try findings { $0.quaternion[3] += 5 }
        #expect(moved.map(\.code) == ["forms_disagree"])
        #expect(moved[0].message.contains("up to 5 mm apart. The sform is used"))
        // No rotation at all: x and y run the other way. Opposite corners are 2 · 76 and 2 · 60 mm apart at most.
        let mirrored = try findings { $0.quaternion = [0, 0, 0, 10, 20, -30] }
        #expect(mirrored.map(\.code) == ["forms_disagree"])
        #expect(mirrored[0].message.contains("up to 96.83 mm apart (axes LPS against RAS)"))
        #expect(try codes { $0.quaternion[0] = .nan } == ["qform_invalid"])
        #expect(try codes { $0.quaternion[3] += 0.05 }.isEmpty)
    }

    @Test func spacingsThatDisagree() throws {
        let found = try findings { file in
            file.qformCode = 0
            file.pixdim[3] = 5
        }
        #expect(found.map(\.code) == ["spacings_disagree"])
        #expect(found[0].message.contains("2 x 2 x 2.5 mm, its pixdim of 2 x 2 x 5 mm"))
    }

    @Test func noFormAndTheIdentity() throws {
        #expect(try codes { ($0.sformCode, $0.qformCode) = (0, 0) } == ["no_orientation"])
        let identity = try codes { file in
            file.dim[3] = 100
            file.values = Self.values(file.dim)
            file.pixdim = [1, 1, 1, 1, 0, 0, 0, 0]
            file.srows = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
            file.qformCode = 0
        }
        #expect(identity == ["identity_affine"])
    }

    @Test func aTiltedGantry() throws {
        // tan(15 degrees) · 2.5 mm aside for each slice; the qform cannot say so.
        let found = try findings { file in
            file.qformCode = 0
            file.srows[1][2] = 2.5 * tan(15 * Double.pi / 180)
            file.pixdim[3] = 2.5 / cos(15 * Double.pi / 180)
        }
        #expect(found.map(\.code) == ["axes_not_orthogonal"])
        #expect(found[0].message.contains(" 15 degrees"))
    }

    @Test(arguments: [
        ([0.2, 0.2, 2.5], ["pixel_spacing_unusual"]), ([3, 3, 2.5], ["pixel_spacing_unusual"]),
        ([2, 1.5, 2.5], ["pixels_not_square"]), ([2, 2, 6], ["slices_thick"]), ([2, 2, 12], ["slices_far_apart"]),
        ([2, 2, 1.5], ["coverage_short"]),
    ])
    func spacings(_ spacing: [Double], _ expected: [String]) throws {
        #expect(
            try codes { file in
                for axis in 0..<3 {
                    file.pixdim[axis + 1] = spacing[axis]
                    file.srows[axis][axis] = axis == 2 ? spacing[axis] : -spacing[axis]
                }
            } == expected)
    }

    @Test func fewSlices() throws {
        let found = try findings { file in
            file.dim[3] = 9
            file.values = Self.values(file.dim)
        }
        #expect(found.map(\.code) == ["few_slices", "coverage_short"])
        #expect(found[1].message.contains("22.5 mm high"))
    }

    // MARK: Values

    @Test func valuesThatAreNotHU() throws {
        #expect(try codes { $0.values = $0.values.map { max(0, $0) } } == ["values_8_bit"])
        #expect(try codes { $0.values = $0.values.map { $0 + 1024 } } == ["values_not_hu"])
        #expect(try codes { $0.values = $0.values.map { max(-160, $0) } }.first == "values_windowed")
        #expect(try codes { ($0.values[333], $0.slope) = (6000, 1) } == ["values_high"])
    }

    @Test func voxelsThatAreNotFinite() throws {
        let found = try findings { file in
            file.type = .float32
            (file.values[50], file.values[51]) = (.nan, .infinity)
        }
        #expect(found.map(\.code) == ["values_not_finite"])
        #expect(found[0].message.hasPrefix("2 voxels"))
    }

    /// A slope and an intercept: what is stored is not 0 where the HU are.
    @Test func paddingWithWater() throws {
        let found = try findings { file in
            (file.slope, file.intercept) = (2, -100)
            file.values = Self.values(file.dim).enumerated().map { $0 % 4 == 0 ? 50 : ($1 + 100) / 2 }
        }
        #expect(found.map(\.code) == ["padding_not_air"])
        #expect(found[0].message.hasPrefix("25 % of the voxels"))
    }

    /// Whatever the order of the axes, the sides are those of axial slices.
    @Test(arguments: AxesOrder.all) func aBodyThatIsCut(order: AxesOrder) throws {
        // Tissue at the Left side of all slices but the top: 16 of 68 side voxels in 35 of 40 slices.
        let shape = [20, 16, 40]
        let file = order.file(shape: shape, spacing: [2, 2, 2.5], type: .int16) { x, y, z in
            x == 19 ? (z < 35 ? 50 : -1000) : (x == 0 || y == 0 || y == 15 ? -1000 : 50)
        }
        let summary = try withTemporaryFolder { try inspectScan(at: file.write(to: $0, as: "scan.nii.gz")) }
        #expect(summary.tissueAtSides == Double(16 * 35) / Double(68 * 40))
        #expect(summary.findings.map(\.code) == ["body_cut"])
    }

    /// Real scans that were resampled to 3 mm: that is told, and nothing else.
    @Test(
        .enabled(if: SharedData.file("data/small/example_ct.nii.gz") != nil, "needs the shared folder's real scans"),
        arguments: ["example_ct", "example_ct_sm"])
    func realScans(name: String) throws {
        let summary = try inspectScan(at: #require(SharedData.file("data/small/\(name).nii.gz")))
        #expect(summary.findings.map(\.code) == ["pixel_spacing_unusual"])
    }
}

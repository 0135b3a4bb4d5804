import Compute
import Foundation
import TestSupport
import Testing

@testable import Imaging

/// One of the 48 ways to store a volume: which canonical axis each of the file's axes runs along, and against it or not.
struct AxesOrder: CustomTestStringConvertible, Sendable {
    var canonical: [Int]
    var against: [Bool]

    static let all: [AxesOrder] = {
        let permutations = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
        return permutations.flatMap { permutation in
            (0..<8).map { bits in AxesOrder(canonical: permutation, against: (0..<3).map { bits >> $0 & 1 == 1 }) }
        }
    }()

    var testDescription: String { letters }

    /// For example `LAS`.
    var letters: String {
        zip(canonical, against).map { axis, against in against ? ["R", "A", "I"][axis] : ["L", "P", "S"][axis] }
            .joined()
    }

    /// Canonical indices of a stored voxel.
    func place(of stored: [Int], in shape: [Int]) -> [Int] {
        var place = [0, 0, 0]
        for axis in 0..<3 {
            let length = shape[canonical[axis]]
            place[canonical[axis]] = against[axis] ? length - 1 - stored[axis] : stored[axis]
        }
        return place
    }

    /// A file whose stored value at canonical (x, y, z) is `value(x, y, z)`.
    func file(
        shape: [Int], spacing: [Double], type: VoxelType, value: (Int, Int, Int) -> Double
    ) -> NIfTIBuilder {
        var file = NIfTIBuilder()
        file.type = type
        let lengths = canonical.map { shape[$0] }
        file.dim = [3] + lengths + [1, 1, 1, 1]
        file.pixdim = [1] + canonical.map { spacing[$0] } + [0, 0, 0, 0]
        // RAS position of canonical voxel (0, 0, 0) and the steps of the file's axes from it.
        let origin = [40.0, 25, -70]
        let sign = [-1.0, -1, 1]
        let first = place(of: [0, 0, 0], in: shape)
        file.srows = (0..<3).map { row in
            var numbers = [0.0, 0, 0, origin[row] + sign[row] * spacing[row] * Double(first[row])]
            for axis in 0..<3 where canonical[axis] == row {
                numbers[axis] = sign[row] * spacing[row] * (against[axis] ? -1 : 1)
            }
            return numbers
        }
        file.values = []
        for k in 0..<lengths[2] {
            for j in 0..<lengths[1] {
                for i in 0..<lengths[0] {
                    let p = place(of: [i, j, k], in: shape)
                    file.values.append(value(p[0], p[1], p[2]))
                }
            }
        }
        return file
    }
}

@Suite struct AxesTests {
    static let shape = [5, 4, 3]
    static let spacing = [0.5, 0.75, 2.5]  // exact in single precision

    @Test(arguments: AxesOrder.all) func everyOrderIsTheSameVolume(order: AxesOrder) throws {
        let team = ThreadTeam(threads: 2)
        let file = order.file(shape: Self.shape, spacing: Self.spacing, type: .int16) { x, y, z in
            Double(x + 10 * y + 100 * z)
        }
        let scan = try withTemporaryFolder { try readCT(at: file.write(to: $0), team: team) }

        #expect(scan.volume.shape == Shape(5, 4, 3))
        #expect(scan.volume.spacing == SIMD3(0.5, 0.75, 2.5))
        #expect(scan.header.axes.orientation == order.letters)
        let expected = (0..<60).map { index in
            let (z, y, x) = (index / 20, index / 5 % 4, index % 5)
            return Float(x + 10 * y + 100 * z)
        }
        #expect(scan.volume.voxels == expected)
        #expect(
            scan.header.patientAffine
                == Affine(
                    x: SIMD3(-0.5, 0, 0), y: SIMD3(0, -0.75, 0), z: SIMD3(0, 0, 2.5), origin: SIMD3(40, 25, -70)))
    }

    @Test(arguments: AxesOrder.all) func aMaskGoesBackToTheFilesOwnOrder(order: AxesOrder) throws {
        let team = ThreadTeam(threads: 2)
        func label(_ x: Int, _ y: Int, _ z: Int) -> Double { Double((x * x + 3 * y + 7 * z) % 3) }
        let scan = order.file(shape: Self.shape, spacing: Self.spacing, type: .int16) { x, y, z in Double(x * y - z) }
        let mask = order.file(shape: Self.shape, spacing: Self.spacing, type: .uint8, value: label)
        var labels = Volume<UInt8>(shape: Shape(5, 4, 3), spacing: SIMD3(0.5, 0.75, 2.5), filledWith: 0)
        for z in 0..<3 { for y in 0..<4 { for x in 0..<5 { labels[x, y, z] = UInt8(label(x, y, z)) } } }

        try withTemporaryFolder { folder in
            let header = try readCT(at: scan.write(to: folder), team: team).header
            let url = folder.appending(path: "mask.nii.gz")
            try writeLabels(labels, like: header, to: url, team: team)
            #expect(Array(try contents(of: url)[352...]) == Array(mask.file[352...]))
            #expect(try readLabels(at: url, team: team).volume.voxels == labels.voxels)
        }
    }

    @Test func obliqueAxesAreAssignedOneToOne() {
        // Stored x and y both lean most to Left, x more so.
        let axes = CanonicalAxes(
            of: Affine(x: SIMD3(-0.9, 0.3, 0.3), y: SIMD3(-0.8, -0.6, 0), z: SIMD3(0.1, -0.2, 2), origin: .zero))
        #expect(axes.stored == [0, 1, 2])
        #expect(axes.flipped == [false, false, false])
        // At 45 degrees the file's order is kept.
        let even = CanonicalAxes(
            of: Affine(x: SIMD3(-1, -1, 0), y: SIMD3(1, -1, 0), z: SIMD3(0, 0, -1), origin: .zero))
        #expect(even.stored == [0, 1, 2])
        #expect(even.flipped == [false, false, true])
        // The best for all three together, where the first axis alone would take the place of the second.
        let joint = CanonicalAxes(
            of: Affine(x: SIMD3(0.7, 0.69, 0.2), y: SIMD3(0.99, 0.1, 0), z: SIMD3(0, 0, 1), origin: .zero))
        #expect(joint.stored == [1, 0, 2])
    }

    @Test(arguments: ["oblique.nii", "nifti2.nii.gz"]) func goldenFilesOfNibabel(name: String) throws {
        // Made by Tests/Fixtures/imaging/make.py.
        let team = ThreadTeam(threads: 2)
        let scan = try readCT(at: SharedData.fixture("imaging/\(name)"), team: team)
        let stem = name.prefix { $0 != "." }
        let expected = try readCT(at: SharedData.fixture("imaging/\(stem).expected.nii"), team: team)
        #expect(scan.volume.shape == expected.volume.shape)
        #expect(scan.volume.voxels == expected.volume.voxels)
        for axis in 0..<3 { #expect(abs(scan.volume.spacing[axis] - expected.volume.spacing[axis]) < 1e-6) }
    }
}

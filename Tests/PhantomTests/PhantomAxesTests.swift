import Compute
import Foundation
import Imaging
import TestSupport
import Testing

@testable import Phantom

@Suite struct PhantomAxesTests {
    /// All 48: one letter of each pair, in any order.
    static let allAxes: [String] = {
        let pairs = ["LR", "PA", "SI"].map(Array.init)
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
        return orders.flatMap { order in
            (0..<8).map { bits in String(order.map { pairs[$0][bits >> $0 & 1] }) }
        }
    }()

    @Test func thereAre48() { #expect(Set(Self.allAxes).count == 48) }

    /// Every stored axis runs where its letter says, and the corners of both grids are the same points.
    @Test(arguments: allAxes)
    func axesRunWhereTheirLettersSay(axes: String) throws {
        let shape = Shape(5, 6, 7)
        let spacing = SIMD3(0.5, 0.75, 3.0)
        let (stored, affine) = try phantomAffine(shape: shape, spacing: spacing, axes: axes)
        let towards: [Character: SIMD3<Double>] = [
            "R": SIMD3(0.5, 0, 0), "L": SIMD3(-0.5, 0, 0), "A": SIMD3(0, 0.75, 0), "P": SIMD3(0, -0.75, 0),
            "S": SIMD3(0, 0, 3), "I": SIMD3(0, 0, -3),
        ]
        for (axis, letter) in axes.enumerated() {
            #expect(affine[axis] == towards[letter])
            #expect(stored[axis] == ("LR".contains(letter) ? 5 : "PA".contains(letter) ? 6 : 7))
        }
        let last = SIMD3(Double(stored.x - 1), Double(stored.y - 1), Double(stored.z - 1))
        let middle = (affine(.zero) + affine(last)) / 2
        #expect((middle * middle).sum() < 1e-20)
    }

    /// Through a file and back: a phantom stored on any axes is the same phantom.
    @Test(arguments: ["LPS", "RAS", "LAS", "SPL", "AIR", "PSR", "IRP", "SLA"])
    func filesHoldTheSamePhantom(axes: String) throws {
        let team = ThreadTeam(threads: 1)
        let options = PhantomOptions(seed: 2, shape: Shape(21, 16, 11), spacing: SIMD3(16, 14, 20))
        let phantom = makePhantom(options, team: team)
        let (shape, affine) = try phantomAffine(shape: options.shape, spacing: options.spacing, axes: axes)
        let header = NIfTIHeader(shape: shape, affine: affine, voxelType: .int16)
        try withTemporaryFolder { folder in
            let ct = folder.appending(path: "ct.nii.gz")
            let labels = folder.appending(path: "labels.nii")
            try writeCT(phantom.ct, header: header, to: ct, team: team)
            try writeLabels(phantom.reference, like: header, to: labels, team: team)
            let scan = try readCT(at: ct, team: team)
            #expect(scan.volume.shape == options.shape && scan.volume.voxels == phantom.ct.voxels.map(Float.init))
            #expect(scan.volume.spacing == options.spacing && scan.header.storedShape == shape)
            #expect(try readLabels(at: labels, team: team).volume.voxels == phantom.reference.voxels)
        }
    }

    @Test func canonicalAxesByHand() throws {
        let (stored, affine) = try phantomAffine(shape: Shape(3, 5, 2), spacing: SIMD3(1, 2, 4), axes: "lps")
        #expect(stored == Shape(3, 5, 2))
        let expected = Affine(
            x: SIMD3(-1, 0, 0), y: SIMD3(0, -2, 0), z: SIMD3(0, 0, 4), origin: SIMD3(1, 4, -2))
        #expect(affine == expected)
    }

    @Test(arguments: ["", "LP", "LPSS", "LLS", "LRS", "XYZ", "LPß", "RAS "])
    func unknownAxesAreRefused(axes: String) {
        #expect(throws: PhantomError.unknownAxes(axes)) {
            try phantomAffine(shape: Shape(1, 1, 1), spacing: SIMD3(1, 1, 1), axes: axes)
        }
        #expect("\(PhantomError.unknownAxes(axes))".contains("LPS"))
    }

    @Test func optionsAreChecked() throws {
        try PhantomOptions(seed: 1).check()
        #expect(throws: PhantomError.shapeOutOfRange(axis: "y", voxels: 0)) {
            try PhantomOptions(seed: 1, shape: Shape(9, 0, 9)).check()
        }
        #expect(throws: PhantomError.tooLarge(voxels: 4_096 * 4_096 * 65)) {
            try PhantomOptions(seed: 1, shape: Shape(4_096, 4_096, 65)).check()
        }
        #expect(throws: PhantomError.spacingOutOfRange(axis: "z", millimetres: 0.05)) {
            try PhantomOptions(seed: 1, spacing: SIMD3(1, 1, 0.05)).check()
        }
        #expect(throws: PhantomError.self) { try PhantomOptions(seed: 1, spacing: SIMD3(1, .nan, 1)).check() }
        #expect(throws: PhantomError.lesionsOutOfRange(-1)) { try PhantomOptions(seed: 1, lesions: -1).check() }
    }
}

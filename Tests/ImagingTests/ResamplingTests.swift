import Compute
import Foundation
import TestSupport
import Testing

@testable import Imaging

@Suite struct ResamplingTests {
    static let spacings: [SIMD3<Double>] = [
        SIMD3(1, 1, 2.5), SIMD3(0.4, 1.9, 0.7), SIMD3(0.8, 0.7, 2), SIMD3(40, 50, 60), SIMD3(0.31, 0.33, 0.9),
    ]

    @Test(arguments: spacings, [1, 2]) func linearIsThePlainFormula(spacing: SIMD3<Double>, threads: Int) throws {
        var random = SplitMix64(seed: 5)
        let shape = Shape(13, 11, 9)
        let volume = Volume(
            shape: shape, spacing: SIMD3(0.8, 0.7, 2), voxels: random.floats(shape.count, in: -1000...1000))
        let actual = try resampleLinear(volume, to: spacing, limit: .max, team: ThreadTeam(threads: threads))
        let expected = plainLinear(volume, to: spacing)
        #expect(actual.shape == expected.shape)
        #expect(actual.spacing == spacing)
        let worst = zip(actual.voxels, expected.voxels).map { abs(Double($0) - $1) }.max() ?? 0
        #expect(worst <= 2e-3, "off by \(worst) HU of 1000")
        if spacing == volume.spacing { #expect(actual.voxels == volume.voxels) }
    }

    @Test func linearIsSciPys() throws {
        // Made by Tests/Fixtures/imaging/make.py.
        let team = ThreadTeam(threads: 2)
        let volume = try readCT(at: SharedData.fixture("imaging/resample.nii"), team: team).volume
        let expected = try readCT(at: SharedData.fixture("imaging/resample.expected.nii"), team: team).volume
        let actual = try resampleLinear(volume, to: expected.spacing, limit: 1000, team: team)
        #expect(actual.shape == expected.shape)
        let worst = zip(actual.voxels, expected.voxels).map { abs($0 - $1) }.max() ?? 0
        #expect(worst <= 1e-3, "off by \(worst) HU of 1000")
    }

    @Test func theResultIsHeldAgainstTheLimit() throws {
        let volume = Volume<Float>(shape: Shape(100, 100, 100), spacing: SIMD3(1, 1, 1), filledWith: 0)
        #expect(
            failure { () throws(VolumeError) in
                _ = try resampleLinear(volume, to: SIMD3(0.5, 0.5, 0.5), limit: 7_999_999, team: .one)
            } == .tooLarge(found: [200, 200, 200], limit: 7_999_999))
        #expect(
            failure { () throws(VolumeError) in
                _ = try resampleLinear(volume, to: SIMD3(1e-9, 1e-9, 1e-9), limit: .max, team: .one)
            }?.code == "too_large")
    }

    @Test func shapesAreRounded() {
        let old = SIMD3(0.57, 0.57, 1.6)
        #expect(resampledShape(Shape(512, 512, 129), from: old, to: SIMD3(1, 1, 2.5)) == Shape(292, 292, 83))
        #expect(resampledShape(Shape(2, 2, 2), from: old, to: SIMD3(20, 20, 20)) == Shape(1, 1, 1))
    }

    @Test(arguments: [1, 2]) func nearestIsThePlainFormula(threads: Int) {
        var random = SplitMix64(seed: 6)
        let shape = Shape(9, 8, 7)
        let mask = Volume(
            shape: shape, spacing: SIMD3(1, 1, 2.5), voxels: (0..<shape.count).map { _ in UInt8(random.next() % 3) })
        for (to, spacing) in [
            (Shape(12, 11, 23), SIMD3(0.78, 0.74, 0.8)), (shape, mask.spacing), (Shape(3, 3, 3), SIMD3(3.1, 2.9, 6)),
            (Shape(20, 4, 9), SIMD3(0.9, 0.9, 4)),
        ] {
            let actual = resampleNearest(mask, to: to, spacing: spacing, team: ThreadTeam(threads: threads))
            #expect(actual.shape == to)
            #expect(actual.spacing == spacing)
            for z in 0..<to.z {
                for y in 0..<to.y {
                    for x in 0..<to.x {
                        func nearest(_ i: Int, _ axis: Int) -> Int {
                            let place = (Double(i) + 0.5) * spacing[axis] / mask.spacing[axis] - 0.5
                            return min(shape[axis] - 1, max(0, Int((place + 0.5).rounded(.down))))
                        }
                        #expect(actual[x, y, z] == mask[nearest(x, 0), nearest(y, 1), nearest(z, 2)])
                    }
                }
            }
        }
    }
}

/// Three loops and eight reads, in double precision.
private func plainLinear(_ volume: Volume<Float>, to spacing: SIMD3<Double>) -> Volume<Double> {
    let old = volume.shape
    func length(_ axis: Int) -> Int {
        max(1, Int((Double(old[axis]) * volume.spacing[axis] / spacing[axis]).rounded()))
    }
    let shape = Shape(length(0), length(1), length(2))
    func place(_ i: Int, _ axis: Int) -> (Int, Int, Double) {
        let p = (Double(i) + 0.5) * spacing[axis] / volume.spacing[axis] - 0.5
        let clamped = min(Double(old[axis] - 1), max(0, p))
        let low = Int(clamped)
        return (low, min(low + 1, old[axis] - 1), clamped - Double(low))
    }
    var result = Volume<Double>(shape: shape, spacing: spacing, filledWith: 0)
    for z in 0..<shape.z {
        for y in 0..<shape.y {
            for x in 0..<shape.x {
                let (px, py, pz) = (place(x, 0), place(y, 1), place(z, 2))
                var sum = 0.0
                for (k, wz) in [(pz.0, 1 - pz.2), (pz.1, pz.2)] {
                    for (j, wy) in [(py.0, 1 - py.2), (py.1, py.2)] {
                        for (i, wx) in [(px.0, 1 - px.2), (px.1, px.2)] {
                            sum += wx * wy * wz * Double(volume[i, j, k])
                        }
                    }
                }
                result[x, y, z] = sum
            }
        }
    }
    return result
}

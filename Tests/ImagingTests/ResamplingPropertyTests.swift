import Compute
import TestSupport
import Testing

@testable import Imaging

/// What holds for a volume that is resampled to any spacing.
@Suite struct ResamplingPropertyTests {
    static let spacings: [SIMD3<Double>] = [
        SIMD3(1, 1, 2.5), SIMD3(0.4, 1.9, 0.7), SIMD3(0.8, 0.7, 2), SIMD3(0.31, 0.33, 0.9), SIMD3(2.3, 3.1, 4.7),
    ]
    private let shape = Shape(13, 11, 9)
    private let spacing = SIMD3(0.8, 0.7, 2)

    private func noise(seed: UInt64) -> Volume<Float> {
        var random = SplitMix64(seed: seed)
        return Volume(shape: shape, spacing: spacing, voxels: random.floats(shape.count, in: -1000...1000))
    }

    @Test func theSameSpacingChangesNoBit() throws {
        let volume = noise(seed: 1)
        #expect(try resampleLinear(volume, to: spacing, limit: .max, team: .one).voxels == volume.voxels)
        let labels = Volume(shape: shape, spacing: spacing, voxels: volume.voxels.map { UInt8($0 > 0 ? 1 : 0) })
        #expect(resampleNearest(labels, to: shape, spacing: spacing, team: .one).voxels == labels.voxels)
    }

    @Test(arguments: spacings, [Float(-1024), 0, 37.25, 3071])
    func aConstantStays(to new: SIMD3<Double>, value: Float) throws {
        let volume = Volume<Float>(shape: shape, spacing: spacing, filledWith: value)
        #expect(try resampleLinear(volume, to: new, limit: .max, team: .one).voxels.allSatisfy { $0 == value })
    }

    /// No value is below the smallest or above the largest around it.
    @Test(arguments: spacings)
    func nothingIsMadeUp(to new: SIMD3<Double>) throws {
        let volume = noise(seed: 2)
        let result = try resampleLinear(volume, to: new, limit: .max, team: .one)
        for z in 0..<result.shape.z {
            for y in 0..<result.shape.y {
                for x in 0..<result.shape.x {
                    let near = [x, y, z].enumerated().map { axis, index -> ClosedRange<Int> in
                        let at = (Double(index) + 0.5) * new[axis] / spacing[axis] - 0.5
                        let low = min(max(Int(at.rounded(.down)), 0), shape[axis] - 1)
                        return low...min(max(Int(at.rounded(.up)), low), shape[axis] - 1)
                    }
                    let around = near[2].flatMap { c in
                        near[1].flatMap { b in near[0].map { a in volume[a, b, c] } }
                    }
                    let value = result[x, y, z]
                    // Rounding may go past a bound by a bit of the difference.
                    #expect(value >= around.min()! - 1e-3 && value <= around.max()! + 1e-3)
                }
            }
        }
    }

    /// Where no neighbour is missing, what rises evenly keeps its value in each place.
    @Test(arguments: spacings)
    func anEvenRiseIsExact(to new: SIMD3<Double>) throws {
        let slope = SIMD3(3.5, -2.25, 1.75)
        func height(_ index: SIMD3<Double>) -> Double { 40 + (slope * index).sum() }
        var volume = Volume<Float>(shape: shape, spacing: spacing, filledWith: 0)
        for z in 0..<shape.z {
            for y in 0..<shape.y {
                for x in 0..<shape.x { volume[x, y, z] = Float(height(SIMD3(Double(x), Double(y), Double(z)))) }
            }
        }
        let result = try resampleLinear(volume, to: new, limit: .max, team: .one)
        let last = SIMD3(Double(shape.x - 1), Double(shape.y - 1), Double(shape.z - 1))
        var compared = 0
        for z in 0..<result.shape.z {
            for y in 0..<result.shape.y {
                for x in 0..<result.shape.x {
                    let at = (SIMD3(Double(x), Double(y), Double(z)) + 0.5) * new / spacing - 0.5
                    guard all(at .>= 0) && all(at .<= last) else { continue }
                    compared += 1
                    #expect(abs(Double(result[x, y, z]) - height(at)) <= 1e-4 * 100)
                }
            }
        }
        #expect(compared > 20)
    }

    /// Laid in any other way, the volume is resampled to the same values, but for the order in which they are added.
    @Test(arguments: spacings + [SIMD3(0.4, 0.35, 1), SIMD3(1.04, 1.1, 3)])
    func axesDoNotMatter(to new: SIMD3<Double>) throws {
        let volume = noise(seed: 3)
        let plain = try resampleLinear(volume, to: new, limit: .max, team: .one)
        // Grids whose length is no multiple of the spacing begin at the outer corner: turned round, at the other one.
        let isWhole = (0..<3).map { axis in
            let length = Double(shape[axis]) * spacing[axis] / new[axis]
            return abs(length - length.rounded()) < 1e-9
        }
        for (order, flips) in allAxisChanges where zip(flips, order).allSatisfy({ !$0 || isWhole[$1] }) {
            let turned = try resampleLinear(
                volume.permuted(order: order, flips: flips), to: SIMD3(new[order[0]], new[order[1]], new[order[2]]),
                limit: .max, team: .one)
            let expected = plain.permuted(order: order, flips: flips)
            #expect(turned.shape == expected.shape)
            let worst = zip(turned.voxels, expected.voxels).map { abs($0 - $1) }.max() ?? 0
            #expect(worst <= 2e-3, "\(order) \(flips): off by \(worst) HU of 1000")
        }
    }

    /// Every label that comes out is one that lies there, and a grid that is twice as fine gives each voxel eight times.
    @Test func labelsAreTakenNotMixed() {
        var random = SplitMix64(seed: 4)
        let labels = Volume(
            shape: shape, spacing: spacing, voxels: (0..<shape.count).map { _ in UInt8(random.next() % 3) })
        let fine = resampleNearest(
            labels, to: Shape(2 * shape.x, 2 * shape.y, 2 * shape.z), spacing: spacing / 2, team: .one)
        for z in 0..<fine.shape.z {
            for y in 0..<fine.shape.y {
                for x in 0..<fine.shape.x { #expect(fine[x, y, z] == labels[x / 2, y / 2, z / 2]) }
            }
        }
        for label in UInt8(0)...2 {
            #expect(fine.voxels.count { $0 == label } == 8 * labels.voxels.count { $0 == label })
        }
    }
}

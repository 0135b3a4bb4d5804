import Compute
import Imaging
import Testing

@testable import Segmentation

@Suite struct LiverRegionTests {
    /// The box must be that of the whole mask brought back by ``resampleNearest``, which is never made in production.
    @Test(arguments: [SIMD3(0.7, 0.7, 1.5), SIMD3(0.9, 0.8, 5), SIMD3(2, 2, 2.5), SIMD3(3, 3, 3)])
    func isTheBoxOfTheResampledMask(spacing: SIMD3<Double>) throws {
        let team = ThreadTeam(threads: 2)
        let shape = Shape(61, 47, 23)
        let coarseSpacing = SIMD3(2, 2, 2.5)
        let coarse = resampledShape(shape, from: spacing, to: coarseSpacing)
        let liver = Box(x: 1..<coarse.x - 1, y: 2..<max(3, coarse.y / 2), z: 1..<max(2, coarse.z - 1))
        var mask = Volume<UInt8>(shape: coarse, spacing: coarseSpacing, filledWith: 0)
        for z in liver.z { for y in liver.y { for x in liver.x { mask[x, y, z] = 1 } } }

        let whole = resampleNearest(mask, to: shape, spacing: spacing, team: team)
        let expected = try #require(connectedComponents(of: whole, where: { $0 == 1 }, team: team).first?.box)
        let actual = liverRegion(of: liver, coarse: coarseSpacing, shape: shape, spacing: spacing, margin: 0)
        #expect(actual == expected)
    }

    @Test func growsByTheMarginWithinTheVolume() throws {
        let box = Box(x: 10..<20, y: 30..<40, z: 5..<8)
        let spacing = SIMD3(2.0, 2, 2.5)
        let region = try #require(
            liverRegion(of: box, coarse: spacing, shape: Shape(64, 64, 20), spacing: spacing, margin: 32))
        #expect(region == Box(x: 0..<36, y: 14..<56, z: 5..<8))
        let full = try #require(
            liverRegion(of: box, coarse: spacing, shape: Shape(64, 64, 20), spacing: spacing, margin: nil))
        #expect(full == Box(x: 0..<64, y: 0..<64, z: 5..<8))
    }
}

import Compute
import Imaging
import Testing

@testable import Metrics

private let team = ThreadTeam(threads: 2)

/// What holds for scores of any masks, by their definitions.
@Suite struct ScoreBoundTests {
    private let shape = Shape(19, 15, 9)
    private let spacing = SIMD3(0.7, 1.1, 2.5)

    private func masks(_ count: Int, seed: UInt64) -> [Volume<UInt8>] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { _ in randomLabels(&random, shape: shape, spacing: spacing, blobs: 6) }
    }

    private func regions(_ a: Volume<UInt8>, _ b: Volume<UInt8>) -> [RegionScores] {
        let scores = score(prediction: a, reference: b, team: team)
        return [scores.liver, scores.lesion]
    }

    @Test(arguments: UInt64(1)...6)
    func scoresKeepTheirRangeAndOrder(seed: UInt64) throws {
        let ab = masks(2, seed: seed)
        for region in regions(ab[0], ab[1]) {
            let (dice, voe) = (try #require(region.dice), try #require(region.voe))
            #expect((0...1).contains(dice) && (0...1).contains(voe))
            // Dice is a function of Jaccard's index, 1 - VOE.
            #expect(agree(dice, 2 * (1 - voe) / (2 - voe)))
            #expect(region.commonVoxels <= min(region.predictionVoxels, region.referenceVoxels))
            guard let assd = region.assd, let rmsd = region.rmsd, let mssd = region.mssd else { continue }
            #expect(0 <= assd && assd <= rmsd * (1 + 1e-12) && rmsd <= mssd * (1 + 1e-12))
            let size = SIMD3(Double(shape.x), Double(shape.y), Double(shape.z)) * spacing
            #expect(mssd <= (size * size).sum().squareRoot())
        }
    }

    @Test(arguments: UInt64(1)...4)
    func aMaskAgreesWithItself(seed: UInt64) {
        let mask = masks(1, seed: seed)[0]
        for region in regions(mask, mask) { #expect(region.scores.map(\.1) == [1, 0, 0, 0, 0, 0, 0]) }
    }

    /// VOE (the Jaccard distance) and the largest surface distance (Hausdorff's) are metrics: no way round is shorter.
    @Test(arguments: UInt64(1)...8)
    func noWayRoundIsShorter(seed: UInt64) {
        let all = masks(3, seed: seed)
        for (a, b, c) in [(0, 1, 2), (1, 2, 0), (2, 0, 1)] {
            for ((there, back), across) in zip(
                zip(regions(all[a], all[b]), regions(all[b], all[c])), regions(all[a], all[c]))
            {
                for path in [\RegionScores.voe, \.mssd] {
                    guard let one = there[keyPath: path], let two = back[keyPath: path],
                        let direct = across[keyPath: path]
                    else { continue }
                    #expect(direct <= (one + two) * (1 + 1e-12))
                }
            }
        }
    }

    /// A rim of background, and so a place elsewhere in the scan, changes no score.
    @Test(arguments: [(0, 0, 0), (3, 1, 2), (0, 5, 1)], [(0, 0, 0), (2, 4, 3)])
    func aRimChangesNothing(before: (Int, Int, Int), after: (Int, Int, Int)) {
        func padded(_ volume: Volume<UInt8>) -> Volume<UInt8> {
            let larger = Shape(
                shape.x + before.0 + after.0, shape.y + before.1 + after.1, shape.z + before.2 + after.2)
            var result = Volume<UInt8>(shape: larger, spacing: spacing, filledWith: 0)
            for z in 0..<shape.z {
                for y in 0..<shape.y {
                    for x in 0..<shape.x { result[x + before.0, y + before.1, z + before.2] = volume[x, y, z] }
                }
            }
            return result
        }
        // Touching the border of the volume is no matter of the mask: its own surface is.
        let ab = masks(2, seed: 11)
        for (one, other) in zip(regions(ab[0], ab[1]), regions(padded(ab[0]), padded(ab[1]))) {
            for ((key, expected), (_, value)) in zip(one.scores, other.scores) {
                #expect(agree(value, expected), "\(key.rawValue)")
            }
        }
    }

    /// Each voxel that is put right makes the overlap better.
    @Test func everyVoxelPutRightCounts() throws {
        let ab = masks(2, seed: 3)
        var prediction = ab[0]
        var dice = try #require(regions(prediction, ab[1])[0].dice)
        var random = SplitMix64(seed: 1)
        let wrong = (0..<shape.count).filter { (ab[0].voxels[$0] > 0) != (ab[1].voxels[$0] > 0) }
        for index in wrong where random.unit() < 0.1 {
            prediction.voxels[index] = ab[1].voxels[index]
            let better = try #require(regions(prediction, ab[1])[0].dice)
            #expect(better > dice)
            dice = better
        }
        #expect(wrong.count > 100)
    }
}

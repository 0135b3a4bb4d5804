import Compute
import Imaging
import Testing

@testable import Metrics

private let team = ThreadTeam(threads: 2)

@Suite struct ScoreTests {
    /// The volumes of METHOD's golden numbers, indexed [x, y, z].
    private func golden() -> (prediction: Volume<UInt8>, reference: Volume<UInt8>) {
        let empty = Volume<UInt8>(shape: Shape(16, 16, 16), spacing: SIMD3(0.7, 0.8, 2.5), filledWith: 0)
        var (prediction, reference) = (empty, empty)
        fill(&reference, 3..<11, 3..<11, 3..<11, 1)
        fill(&reference, 5..<8, 5..<8, 5..<8, 2)
        fill(&prediction, 3..<12, 3..<11, 4..<11, 1)
        fill(&prediction, 5..<8, 5..<8, 5..<9, 2)
        fill(&prediction, 9..<11, 9..<11, 9..<11, 2)
        return (prediction, reference)
    }

    private func expect(_ value: Double?, _ expected: Double, _ name: Comment) {
        #expect(agree(value, expected), name)
    }

    /// Golden numbers from running LiTS's own scoring program: METHOD, "Scores (LiTS)".
    @Test func goldenLiverAndBurden() {
        let (prediction, reference) = golden()
        let scores = score(prediction: prediction, reference: reference, team: team)
        expect(scores.liver.dice, 0.8818897637795275, "Dice")
        expect(scores.liver.voe, 0.21126760563380287, "VOE")
        expect(scores.liver.rvdLiTSProgram, 0.015873015873015872, "the program's RVD")
        expect(scores.liver.rvd, (504.0 - 512) / 512, "the paper's RVD, by hand")
        expect(scores.liver.assd, 0.44237288135593217, "ASSD")
        expect(scores.liver.rmsd, 0.9175316925205695, "RMSD")
        expect(scores.liver.mssd, 2.5, "MSSD")
        expect(scores.tumourBurden.difference, -0.0345672123015873, "tumour burden")
        expect(scores.tumourBurden.prediction, 44.0 / 504, "by hand")
        expect(scores.liver.referenceMillilitres, 512 * 0.7 * 0.8 * 2.5 / 1_000, "by hand")
        expect(scores.liver.predictionMillilitres, 504 * 0.7 * 0.8 * 2.5 / 1_000, "by hand")
        #expect(scores.liver.undefined.isEmpty)
    }

    /// The detected lesion by itself: the prediction without the second one.
    @Test func goldenDetectedLesion() {
        var (prediction, reference) = golden()
        fill(&prediction, 9..<11, 9..<11, 9..<11, 1)
        let lesion = score(prediction: prediction, reference: reference, team: team).lesion
        expect(lesion.dice, 0.8571428571428572, "Dice")
        expect(lesion.voe, 0.25, "VOE")
        expect(lesion.rvdLiTSProgram, -0.25, "the program's RVD")
        expect(lesion.rvd, 1.0 / 3, "the paper's RVD, by hand")
        expect(lesion.assd, 0.38666666666666666, "ASSD")
        expect(lesion.rmsd, 0.9724539406402066, "RMSD")
        expect(lesion.mssd, 2.5, "MSSD")
        reference.voxels = reference.voxels.map { $0 == 2 ? 1 : $0 }  // no lesion left to find
        #expect(score(prediction: prediction, reference: reference, team: team).detection.overHalf.recall == nil)
    }

    @Test func goldenDetection() {
        let (prediction, reference) = golden()
        let detection = score(prediction: prediction, reference: reference, team: team).detection
        #expect(detection.predictionLesions == 2 && detection.referenceLesions == 1)
        #expect(detection.overHalf.precision == 0.5 && detection.overHalf.recall == 1)
        #expect(detection.overZero.precision == 0.5 && detection.overZero.recall == 1)
    }

    /// Random masks against the definitions. Widths around the 64 voxels of a word, masks that touch the volume's
    /// border, sparse and full ones.
    @Test(arguments: 0..<24)
    func matchesBruteForce(index: Int) {
        var random = SplitMix64(seed: UInt64(100 + index))
        let widths = [1, 7, 8, 15, 63, 64, 65, 70]
        let shape = Shape(widths[index % 8], 1 + Int(random.next() % 14), 1 + Int(random.next() % 9))
        let spacing = SIMD3(random.uniform(0.3...1.5), random.uniform(0.3...1.5), random.uniform(0.5...6))
        var prediction = randomLabels(&random, shape: shape, spacing: spacing, blobs: 6)
        var reference = randomLabels(&random, shape: shape, spacing: spacing, blobs: 6)
        if index % 4 == 1 { salt(&prediction, &random, share: 0.02) }
        if index % 4 == 2 { salt(&reference, &random, share: 0.5) }
        if index % 4 == 3 {
            salt(&prediction, &random, share: 0.9)
            salt(&reference, &random, share: 0.97)
        }

        let scores = score(prediction: prediction, reference: reference, team: team)
        check(scores.liver, prediction, reference) { $0 >= 1 }
        check(scores.lesion, prediction, reference) { $0 == 2 }
    }

    /// Sets a share of the voxels to random labels.
    private func salt(_ volume: inout Volume<UInt8>, _ random: inout SplitMix64, share: Double) {
        for index in volume.voxels.indices where random.unit() < share {
            volume.voxels[index] = random.unit() < 0.7 ? 1 : 2
        }
    }

    private func check(
        _ scores: RegionScores, _ prediction: Volume<UInt8>, _ reference: Volume<UInt8>, isMember: (UInt8) -> Bool
    ) {
        let expected = BruteForce(prediction: prediction, reference: reference, isMember: isMember)
        #expect(agree(scores.dice, expected.dice))
        #expect(agree(scores.voe, expected.voe))
        #expect(agree(scores.rvd, expected.rvd))
        #expect(agree(scores.rvdLiTSProgram, expected.rvdLiTSProgram))
        #expect(agree(scores.assd, expected.assd), "\(scores.assd ?? -1), not \(expected.assd ?? -1)")
        #expect(agree(scores.rmsd, expected.rmsd), "\(scores.rmsd ?? -1), not \(expected.rmsd ?? -1)")
        #expect(agree(scores.mssd, expected.mssd), "\(scores.mssd ?? -1), not \(expected.mssd ?? -1)")
        #expect(scores.undefined.isEmpty == (expected.assd != nil))
    }

    /// Labels above 2 are liver and no lesion.
    @Test func otherLabelsAreLiver() {
        var volume = Volume<UInt8>(shape: Shape(9, 2, 1), spacing: SIMD3(1, 1, 1), filledWith: 0)
        for (x, label) in [UInt8](arrayLiteral: 0, 1, 2, 3, 127, 128, 129, 130, 255).enumerated() {
            volume[x, 0, 0] = label
        }
        let scores = score(prediction: volume, reference: volume, team: team)
        #expect(scores.liver.referenceVoxels == 8)
        #expect(scores.lesion.referenceVoxels == 1)
        #expect(scores.liver.commonVoxels == 8)
        #expect(scores.liver.mssd == 0)
    }

    /// One voxel each, at opposite corners: the distance is the volume's diagonal.
    @Test func distanceAcrossTheVolume() {
        let empty = Volume<UInt8>(shape: Shape(131, 5, 7), spacing: SIMD3(0.5, 2, 3), filledWith: 0)
        var (prediction, reference) = (empty, empty)
        prediction[0, 0, 0] = 1
        reference[130, 4, 6] = 1
        let liver = score(prediction: prediction, reference: reference, team: team).liver
        let diagonal = (65.0 * 65 + 8 * 8 + 18 * 18).squareRoot()
        #expect(agree(liver.assd, diagonal) && agree(liver.rmsd, diagonal) && agree(liver.mssd, diagonal))
        #expect(liver.dice == 0 && liver.voe == 1 && liver.rvd == 0)
    }
}

import Compute
import Foundation
import Imaging
import TestSupport
import Testing

@testable import Metrics

private let team = ThreadTeam(threads: 2)

@Suite struct ScorePropertyTests {
    private func pair(seed: UInt64) -> (Volume<UInt8>, Volume<UInt8>) {
        var random = SplitMix64(seed: seed)
        let shape = Shape(23, 17, 9)
        let spacing = SIMD3(0.7, 1.1, 2.5)
        let first = randomLabels(&random, shape: shape, spacing: spacing, blobs: 9)
        return (first, randomLabels(&random, shape: shape, spacing: spacing, blobs: 9))
    }

    /// Prediction and reference change places: overlap and distances stay, the volume differences change theirs.
    @Test(arguments: UInt64(1)...4)
    func symmetry(seed: UInt64) {
        let (a, b) = pair(seed: seed)
        let there = score(prediction: a, reference: b, team: team)
        let back = score(prediction: b, reference: a, team: team)
        for (one, other) in [(there.liver, back.liver), (there.lesion, back.lesion)] {
            #expect(agree(one.dice, other.dice) && agree(one.voe, other.voe))
            #expect(agree(one.assd, other.assd) && agree(one.rmsd, other.rmsd) && agree(one.mssd, other.mssd))
            #expect(agree(one.rvd, other.rvdLiTSProgram))
        }
        #expect(there.detection.overHalf.truePredictions == back.detection.overHalf.foundReferences)
        #expect(there.detection.overZero.truePredictions == back.detection.overZero.foundReferences)
    }

    /// The order and direction of the axes change no score.
    @Test(arguments: [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]], 0..<8)
    func axesDoNotMatter(order: [Int], bits: Int) {
        let flips = (0..<3).map { bits >> $0 & 1 == 1 }
        let (a, b) = pair(seed: 9)
        let plain = score(prediction: a, reference: b, team: team)
        let turned = score(
            prediction: a.permuted(order: order, flips: flips), reference: b.permuted(order: order, flips: flips),
            team: team)
        for (one, other) in [(plain.liver, turned.liver), (plain.lesion, turned.lesion)] {
            for ((_, value), (key, expected)) in zip(one.scores, other.scores) {
                #expect(agree(value, expected), "\(key.rawValue)")
            }
        }
        #expect(plain.detection == turned.detection)
    }

    /// Millimetres scale with the spacing; ratios do not change.
    @Test func spacingScalesDistances() {
        let (a, b) = pair(seed: 5)
        func doubled(_ v: Volume<UInt8>) -> Volume<UInt8> {
            Volume(shape: v.shape, spacing: v.spacing * 2, voxels: v.voxels)
        }
        let one = score(prediction: a, reference: b, team: team).liver
        let two = score(prediction: doubled(a), reference: doubled(b), team: team).liver
        #expect(agree(two.assd, one.assd.map { 2 * $0 }) && agree(two.mssd, one.mssd.map { 2 * $0 }))
        #expect(one.dice == two.dice)
        #expect(agree(two.referenceMillilitres, 8 * one.referenceMillilitres))
    }

    @Test func threadsChangeNoBit() {
        let (a, b) = pair(seed: 6)
        let expected = score(prediction: a, reference: b, team: ThreadTeam(threads: 1))
        for threads in [2, 3, 5] {
            #expect(score(prediction: a, reference: b, team: ThreadTeam(threads: threads)) == expected)
        }
    }

    /// The rules for empty masks: METHOD, "Scores (LiTS)".
    @Test func bothEmpty() {
        let empty = Volume<UInt8>(shape: Shape(8, 8, 8), spacing: SIMD3(1, 1, 1), filledWith: 0)
        let scores = score(prediction: empty, reference: empty, team: team)
        for region in [scores.liver, scores.lesion] {
            #expect(region.scores.map(\.1) == [1, 0, 0, 0, 0, 0, 0])
            #expect(region.undefined.isEmpty)
        }
        #expect(scores.tumourBurden.difference == nil && scores.tumourBurden.undefined.count == 3)
        #expect(scores.detection.overHalf.precision == nil && scores.detection.overHalf.recall == nil)
    }

    @Test(arguments: [true, false])
    func oneEmpty(emptyPrediction: Bool) {
        let empty = Volume<UInt8>(shape: Shape(8, 8, 8), spacing: SIMD3(1, 1, 1), filledWith: 0)
        var full = empty
        fill(&full, 2..<5, 2..<5, 2..<5, 2)
        let scores =
            emptyPrediction
            ? score(prediction: empty, reference: full, team: team)
            : score(prediction: full, reference: empty, team: team)
        for region in [scores.liver, scores.lesion] {
            #expect(region.scores.map(\.1) == [0, 1, nil, nil, nil, nil, nil])
            #expect(Set(region.undefined.keys) == ["rvd", "rvd_lits_program", "assd_mm", "rmsd_mm", "mssd_mm"])
        }
        let matches = scores.detection.overHalf
        #expect(matches.precision == (emptyPrediction ? nil : 0))
        #expect(matches.recall == (emptyPrediction ? 0 : nil))
        #expect(Set(matches.undefined.keys) == [emptyPrediction ? "precision" : "recall"])
        #expect(
            Set(scores.tumourBurden.undefined.keys) == [emptyPrediction ? "prediction" : "reference", "difference"])
    }

    /// What is not defined is written as null, never left out; and reading gives back what was written.
    @Test func jsonHasEveryKey() throws {
        let empty = Volume<UInt8>(shape: Shape(8, 8, 8), spacing: SIMD3(1, 1, 1), filledWith: 0)
        var full = empty
        fill(&full, 2..<5, 2..<5, 2..<5, 1)
        let scores = score(prediction: full, reference: empty, team: team)
        let data = try JSONEncoder().encode(scores)
        let json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(Set(json.keys) == ["liver", "lesion", "detection", "tumour_burden"])
        let liver = try #require(json["liver"] as? [String: Any])
        #expect(
            Set(liver.keys) == [
                "dice", "voe", "rvd", "rvd_lits_program", "assd_mm", "rmsd_mm", "mssd_mm", "undefined", "prediction_ml",
                "reference_ml", "prediction_voxels", "reference_voxels", "common_voxels",
            ])
        #expect(liver["assd_mm"] is NSNull && liver["rvd"] is NSNull && liver["dice"] as? Double == 0)
        let reasons = try #require(liver["undefined"] as? [String: String])
        #expect(reasons["assd_mm"]?.contains("reference has no liver") == true)
        let burden = try #require(json["tumour_burden"] as? [String: Any])
        #expect(burden["difference"] is NSNull && burden["prediction"] as? Double == 0)
        let detection = try #require(json["detection"] as? [String: Any])
        let matches = try #require(detection["iou_above_0_5"] as? [String: Any])
        #expect(matches["precision"] is NSNull && matches["recall"] is NSNull)
        #expect(try JSONDecoder().decode(CaseScores.self, from: data) == scores)
    }
}

import Compute
import Foundation
import Imaging
import Testing

@testable import Metrics

private let team = ThreadTeam(threads: 1)

@Suite struct DataSetScoresTests {
    /// Three cases by hand: half right, nothing found, nothing there.
    @Test func meansAndGlobalDice() throws {
        let empty = Volume<UInt8>(shape: Shape(20, 4, 4), spacing: SIMD3(1, 1, 1), filledWith: 0)
        var small = empty
        fill(&small, 0..<4, 0..<2, 0..<2, 2)  // 16 voxels
        var half = empty
        fill(&half, 0..<2, 0..<2, 0..<2, 2)  // 8 of them
        let cases = [
            score(prediction: half, reference: small, team: team),  // Dice 16/24
            score(prediction: empty, reference: small, team: team),  // Dice 0
            score(prediction: empty, reference: empty, team: team),  // Dice 1
        ]
        let all = DataSetScores(cases)
        #expect(all.cases == 3)
        #expect(agree(all.lesion.dice.mean, (2.0 / 3 + 0 + 1) / 3) && all.lesion.dice.cases == 3)
        // Around 5/9: 1/9, -5/9, 4/9.
        #expect(agree(all.lesion.dice.deviation, (42.0 / 81 / 2).squareRoot()))
        #expect(all.tumourBurdenError.deviation == nil)
        #expect(agree(all.lesion.rvd.mean, (-0.5 + 0) / 2) && all.lesion.rvd.cases == 2)
        #expect(all.lesion.assd.cases == 2)
        #expect(agree(all.lesion.diceGlobal, 2.0 * 8 / (8 + 32)))
        #expect(all.detection.referenceLesions == 2 && all.detection.predictionLesions == 1)
        #expect(all.detection.overZero.recall == 0.5 && all.detection.overZero.precision == 1)
        #expect(all.tumourBurdenError.cases == 1 && all.tumourBurdenError.mean == 0)

        let data = try JSONEncoder().encode(all)
        #expect(try JSONDecoder().decode(DataSetScores.self, from: data) == all)
    }

    /// Millilitres on a slanted grid, whose voxels are smaller than boxes with their edges.
    @Test func millilitresOfASlantedGrid() {
        let voxels = [UInt8](repeating: 2, count: 24)
        let mask = Volume(shape: Shape(4, 3, 2), spacing: SIMD3(1, 2, 5), voxelShare: 0.9, voxels: voxels)
        let scores = score(prediction: mask, reference: mask, team: team)
        #expect(abs(scores.liver.referenceMillilitres - 24 * 0.01 * 0.9) < 1e-12)
        #expect(scores.liver.predictionMillilitres == scores.liver.referenceMillilitres)
    }

    @Test func noCases() throws {
        let none = DataSetScores([])
        #expect(none.liver.dice.mean == nil && none.liver.dice.cases == 0 && none.liver.diceGlobal == 1)
        let json = String(decoding: try JSONEncoder().encode(none.liver.dice), as: UTF8.self)
        #expect(json.contains("\"mean\":null"))
    }
}

import Compute
import Imaging
import Testing

@testable import Segmentation

/// METHOD steps 6 to 8, on label volumes small enough to draw.
@Suite struct RulesTests {
    let team = ThreadTeam(threads: 2)

    /// One slice of two rows from text: `.` background, `L` liver, a digit is a lesion voxel of that many tenths.
    private func result(_ rows: [String]) -> LesionStageResult {
        let text = rows.map(Array.init)
        let shape = Shape(text[0].count, text.count, 1)
        var labels = Volume<UInt8>(shape: shape, spacing: SIMD3(1, 1, 1), filledWith: 0)
        var starts: [Int32] = [0]
        var columns: [Int16] = []
        var values: [Float] = []
        for (y, row) in text.enumerated() {
            for (x, character) in row.enumerated() {
                switch character {
                case ".": break
                case "L": labels[x, y, 0] = Label.liver
                default:
                    labels[x, y, 0] = Label.lesion
                    columns.append(Int16(x))
                    values.append(Float(character.wholeNumberValue ?? 0) / 10)
                }
            }
            starts.append(Int32(values.count))
        }
        let probabilities = SliceProbabilities(rowStarts: starts, columns: columns, values: values)
        return LesionStageResult(labels: labels, lesionProbabilities: [probabilities])
    }

    private func text(_ labels: Volume<UInt8>) -> [String] {
        (0..<labels.shape.y).map { y in
            String((0..<labels.shape.x).map { x in [".", "L", "T"][Int(labels[x, y, 0])] as Character })
        }
    }

    @Test func keepsTheLargestLiverAndDropsWhatLiesOutside() {
        let ruled = applyRules(
            result([
                "LLLL....9",
                "L99L...L9",
                "LLLL.....",
            ]), threshold: 0.8, team: team)
        #expect(text(ruled.labels) == ["LLLL.....", "LTTL.....", "LLLL....."])
        #expect(ruled.lesions.count == 1)
        #expect(ruled.dropped.map(\.reason) == [.outsideLiver])
        #expect(ruled.liver?.voxelCount == 12 && ruled.otherLiverVoxels == [3])
    }

    @Test func aLesionCountsAsLiverWhenTheLargestIsChosen() {
        let ruled = applyRules(result(["LLL...L9999"]), threshold: 0.8, team: team)
        #expect(text(ruled.labels) == ["......LTTTT"])
    }

    @Test func oneVoxelAtTheThresholdSavesALesion() {
        let ruled = applyRules(result(["L778L77L"]), threshold: 0.8, team: team)
        #expect(text(ruled.labels) == ["LTTTLLLL"])
        #expect(ruled.dropped.map(\.reason) == [.lowProbability])
        #expect(abs(ruled.lesions[0].measures.largestProbability - 0.8) < 1e-6)
        #expect(abs(ruled.lesions[0].measures.meanProbability - 2.2 / 3) < 1e-6)
    }

    @Test func lesionsAreNumberedByVolume() {
        let ruled = applyRules(result(["L9L999L99L"]), threshold: 0.8, team: team)
        #expect(ruled.lesions.map(\.component.voxelCount) == [3, 2, 1])
        #expect(ruled.lesions[0].measures.centroid == SIMD3(4, 0, 0))
    }

    @Test func nothingFoundIsAResult() {
        let ruled = applyRules(result(["...."]), threshold: 0.8, team: team)
        #expect(ruled.liver == nil)
    }

    @Test func partsOfASliceThatDoNotTouchAreMeasuredApart() throws {
        // Two blobs joined through the slice above: the diameter must not span the gap.
        var mask = Volume<UInt8>(shape: Shape(12, 3, 2), spacing: SIMD3(1, 1, 1), filledWith: 0)
        for x in 0..<12 { mask[x, 1, 1] = 1 }
        for x in [0, 1, 10, 11] { mask[x, 1, 0] = 1 }
        mask[5, 1, 1] = 1
        let bridge = try #require(connectedComponents(of: mask, where: { $0 == 1 }, team: team).first)
        #expect(longestAxialDiameter(of: bridge, spacing: mask.spacing).slice == 1)
        for x in 2..<10 { mask[x, 1, 1] = 0 }
        for x in 2..<10 { mask[x, 2, 1] = 0 }
        let two = connectedComponents(of: mask, where: { $0 == 1 }, team: team)
        #expect(two.count == 2)
        #expect(longestAxialDiameter(of: two[0], spacing: mask.spacing).diameters.long == 2)
    }
}

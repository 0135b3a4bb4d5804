import Compute
import Imaging
import Testing

@testable import Metrics

private let team = ThreadTeam(threads: 2)
private let empty = Volume<UInt8>(shape: Shape(40, 8, 4), spacing: SIMD3(1, 1, 1), filledWith: 0)

@Suite struct DetectionTests {
    private func detect(_ prediction: Volume<UInt8>, _ reference: Volume<UInt8>) -> Detection {
        Detection(prediction: prediction, reference: reference, team: team)
    }

    /// An overlap of exactly half of the union is not more than half.
    @Test func halfIsNotEnough() {
        var (prediction, reference) = (empty, empty)
        fill(&reference, 0..<3, 0..<2, 0..<1, 2)  // 6 voxels
        fill(&prediction, 1..<4, 0..<2, 0..<1, 2)  // 6 voxels, 4 of them common, union 8: exactly 1/2
        #expect(detect(prediction, reference).overHalf.truePredictions == 0)
        prediction[0, 0, 0] = 2  // 5 of 8
        #expect(detect(prediction, reference).overHalf.truePredictions == 1)
    }

    /// One true lesion predicted in two parts.
    @Test func splitLesion() {
        var (prediction, reference) = (empty, empty)
        fill(&reference, 0..<11, 0..<4, 0..<2, 2)
        fill(&prediction, 0..<7, 0..<4, 0..<2, 2)  // 56 of 88: more than half by itself
        fill(&prediction, 8..<11, 0..<4, 0..<2, 2)
        let detection = detect(prediction, reference)
        #expect(detection.overHalf.truePredictions == 1 && detection.overHalf.recall == 1)
        #expect(detection.overHalf.precision == 0.5)
        #expect(detection.overZero.truePredictions == 2 && detection.overZero.foundReferences == 1)
        #expect(detection.overZero.precision == 1 && detection.overZero.recall == 1)
    }

    /// Two true lesions predicted as one: neither is half of it.
    @Test func mergedLesions() {
        var (prediction, reference) = (empty, empty)
        fill(&reference, 0..<4, 0..<4, 0..<2, 2)
        fill(&reference, 6..<10, 0..<4, 0..<2, 2)
        fill(&prediction, 0..<10, 0..<4, 0..<2, 2)
        let detection = detect(prediction, reference)
        #expect(detection.overHalf.foundReferences == 0 && detection.overHalf.recall == 0)
        #expect(detection.overZero.truePredictions == 1 && detection.overZero.foundReferences == 2)
        #expect(detection.overZero.precision == 1 && detection.overZero.recall == 1)
    }

    /// Lesions that touch by an edge only are two (6-connectivity); several runs in one row are kept apart.
    @Test func neighboursInARow() {
        var (prediction, reference) = (empty, empty)
        for x in stride(from: 0, to: 40, by: 2) {
            reference[x, x / 2 % 8, 1] = 2
            if x % 4 == 0 { prediction[x, x / 2 % 8, 1] = 2 }
        }
        let detection = detect(prediction, reference)
        #expect(detection.referenceLesions == 20 && detection.predictionLesions == 10)
        #expect(detection.overHalf.precision == 1 && detection.overHalf.recall == 0.5)
        #expect(detection.overZero == detection.overHalf)
    }

    /// Against a plain count over all voxels of two numbered maps.
    @Test(arguments: UInt64(1)...6)
    func matchesPlainCount(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let shape = Shape(30, 20, 10)
        let a = randomLabels(&random, shape: shape, spacing: SIMD3(1, 1, 1), blobs: 30)
        var b = randomLabels(&random, shape: shape, spacing: SIMD3(1, 1, 1), blobs: 30)
        for index in b.voxels.indices where random.unit() < 0.6 { b.voxels[index] = a.voxels[index] }
        let (mapA, countA) = numbered(a)
        let (mapB, countB) = numbered(b)
        var common = [[Int]](repeating: [Int](repeating: 0, count: countB + 1), count: countA + 1)
        for index in mapA.indices { common[mapA[index]][mapB[index]] += 1 }
        var half = 0
        for i in 1...countA {
            for j in 1...countB {
                let union = common[i].reduce(0, +) + common.reduce(0) { $0 + $1[j] } - common[i][j]
                if 2 * common[i][j] > union { half += 1 }
            }
        }
        let detection = detect(a, b)
        #expect(detection.predictionLesions == countA && detection.referenceLesions == countB)
        #expect(detection.overHalf.truePredictions == half && half > 0)
        #expect(detection.overZero.truePredictions == common[1...].count { $0[1...].contains { $0 > 0 } })
        #expect(detection.overZero.foundReferences == (1...countB).count { j in common[1...].contains { $0[j] > 0 } })
    }

    /// Each voxel's component number from 1 on, 0 outside, by flooding.
    private func numbered(_ volume: Volume<UInt8>) -> ([Int], Int) {
        let shape = volume.shape
        var numbers = [Int](repeating: 0, count: shape.count)
        var count = 0
        for start in numbers.indices where volume.voxels[start] == 2 && numbers[start] == 0 {
            count += 1
            numbers[start] = count
            var open = [start]
            while let at = open.popLast() {
                let x = at % shape.x
                let y = at / shape.x % shape.y
                let z = at / (shape.x * shape.y)
                for (i, j, k) in [
                    (x - 1, y, z), (x + 1, y, z), (x, y - 1, z), (x, y + 1, z), (x, y, z - 1), (x, y, z + 1),
                ] {
                    guard i >= 0, j >= 0, k >= 0, i < shape.x, j < shape.y, k < shape.z else { continue }
                    let next = shape.index(i, j, k)
                    if volume.voxels[next] == 2, numbers[next] == 0 {
                        numbers[next] = count
                        open.append(next)
                    }
                }
            }
        }
        return (numbers, count)
    }
}

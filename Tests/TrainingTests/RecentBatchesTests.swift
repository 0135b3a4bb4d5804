import Compute
import Inference
import Testing

@testable import Training

@Suite struct RecentBatchesTests {
    private func result(loss: Double, hits: [Int], predicted: [Int], present: [Int]) -> BatchResult {
        BatchResult(loss: loss, hits: hits, predicted: predicted, present: present)
    }

    @Test func tellsOfTheLastBatchesAlone() {
        var recent = RecentBatches(limit: 2)
        #expect(recent.samplesPerSecond == 0)
        recent.add(
            result(loss: 100, hits: [9, 9, 9], predicted: [9, 9, 9], present: [9, 9, 9]), samples: 4, seconds: 9)
        recent.add(
            result(loss: 1, hits: [5, 1, 0], predicted: [7, 3, 0], present: [6, 4, 0]), samples: 4, seconds: 1)
        recent.add(
            result(loss: 3, hits: [5, 2, 0], predicted: [7, 3, 0], present: [6, 4, 0]), samples: 4, seconds: 3)
        #expect(recent.loss == 2)
        #expect(recent.secondsPerStep == 2)
        #expect(recent.samplesPerSecond == 2)
        // 2 · 3 hits of 6 predicted and 8 present.
        #expect(recent.dice(of: 1) == 6.0 / 14)
        #expect(recent.dice(of: 2) == nil)
    }

    @Test func theMovingAverageForgetsItsBeginning() throws {
        let team = ThreadTeam(threads: 1)
        let architecture = Architecture(width: 1, slices: 1, classes: 2)
        let network = try TrainableNetwork(tensors: architecture.initialTensors(seed: 1), team: team)
        network.parameters = network.parameters.map { _ in 1 }
        network.averages = network.averages.map { _ in 2 }
        var average = WeightAverage(
            parameters: network.parameters.map { _ in 0 }, averages: network.averages.map { _ in 0 })
        // Step 0 keeps 1/10; step 90 would keep 91/100, but no more than 0.9.
        average.add(network, decay: 0.9, step: 0, team: team)
        #expect(average.parameters.allSatisfy { abs($0 - 0.9) < 1e-6 })
        #expect(average.averages.allSatisfy { abs($0 - 1.8) < 1e-6 })
        average.add(network, decay: 0.9, step: 90, team: team)
        #expect(average.parameters.allSatisfy { abs($0 - 0.91) < 1e-6 })
    }
}

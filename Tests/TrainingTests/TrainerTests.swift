import Compute
import Foundation
import Inference
import TestSupport
import Testing

@testable import Training

/// The loop on the smallest network.
@Suite struct TrainerTests {
    private static let team = ThreadTeam(threads: 2)
    private static let architecture = Architecture(width: 1, slices: 5, classes: 2)

    /// Noise, brighter where the label is 1.
    static func batch(_ step: Int) -> Batch {
        var batch = Batch(count: 2, slices: 5, height: 32, width: 32)
        var random = SplitMix64(seed: UInt64(step))
        for sample in 0..<2 {
            for y in 0..<32 {
                for x in 0..<32 {
                    let isLiver = (8..<20).contains(x) && (10..<26).contains(y)
                    batch.labels[(sample * 32 + y) * 32 + x] = isLiver ? 1 : 0
                    for slice in 0..<5 {
                        batch.images[((sample * 5 + slice) * 32 + y) * 32 + x] =
                            Float(random.uniform(-0.2...0.2)) + (isLiver ? 0.5 : -0.5)
                    }
                }
            }
        }
        return batch
    }

    private static func settings(
        steps: Int, method: Optimiser.Method = .sgd, average: Double? = nil,
        options: [String: String] = ["--lr": "0.01"]
    ) -> TrainingSettings {
        let metadata = ModelMetadata(
            stage: .liver, window: -200...200, spacing: SIMD3(1, 1, 2.5), licence: "none", trainedOn: "noise")
        var settings = TrainingSettings(
            metadata: metadata, loss: Loss(classWeights: [0.2, 1.2]), method: method,
            schedule: Schedule(.paper, peak: 0.01, stepsPerEpoch: 3, steps: steps), average: average, options: options)
        settings.rowEvery = 2
        return settings
    }

    private static func trainer(
        _ settings: TrainingSettings, in folder: URL, batches: @escaping (Int) -> Batch = batch
    ) throws -> Trainer {
        let network = try TrainableNetwork(tensors: architecture.initialTensors(seed: 9), team: team)
        return Trainer(settings, network: network, output: folder, team: team, batches: batches)
    }

    private static func bytes(_ folder: URL, _ name: String) throws -> Data {
        try Data(contentsOf: folder.appending(path: name))
    }

    @Test(arguments: Optimiser.Method.allCases, [nil, 0.9])
    func resumingGivesTheSameBytes(method: Optimiser.Method, average: Double?) throws {
        try withTemporaryFolder { once in
            try withTemporaryFolder { twice in
                let settings = Self.settings(steps: 4, method: method, average: average)
                #expect(try Self.trainer(settings, in: once).run(shouldStop: { false }, report: { _ in }) == .finished)

                let first = try Self.trainer(settings, in: twice)
                #expect(try first.run(shouldStop: { first.stepsMade == 2 }, report: { _ in }) == .stopped)
                #expect(try Self.bytes(once, "checkpoint.safetensors") != Self.bytes(twice, "checkpoint.safetensors"))
                let second = try Self.trainer(settings, in: twice)
                try second.resume()
                #expect(second.stepsMade == 2)
                #expect(try second.run(shouldStop: { false }, report: { _ in }) == .finished)
                for name in ["checkpoint.safetensors", "liver.safetensors"] {
                    #expect(try Self.bytes(once, name) == Self.bytes(twice, name), "\(name)")
                }
            }
        }
    }

    @Test func leavesModelAndCurves() throws {
        try withTemporaryFolder { folder in
            var settings = Self.settings(steps: 5)
            settings.minutes = 60
            var told: [TrainingProgress] = []
            _ = try Self.trainer(settings, in: folder).run(shouldStop: { false }, report: { told.append($0) })
            #expect(told.map(\.step) == [1, 2, 3, 4, 5])
            #expect(told.map(\.epoch) == [0, 0, 0, 1, 1])
            #expect(told.last?.secondsLeft == 0)
            #expect(told.allSatisfy { $0.loss > 0 && $0.samplesPerSecond > 0 && $0.dice.map(\.name) == ["liver"] })

            let model = try ModelFile(reading: folder.appending(path: "liver.safetensors"))
            #expect(model.metadata == settings.metadata)
            #expect(model.architecture == Self.architecture)
            let csv = String(decoding: try Self.bytes(folder, "curves.csv"), as: UTF8.self).split(separator: "\n")
            #expect(csv[0] == "step,epoch,samples,learning_rate,loss,dice_liver,samples_per_s,seconds")
            #expect(csv.dropFirst().map { $0.split(separator: ",")[0] } == ["2", "4", "5"])
            #expect(csv[1].split(separator: ",")[2] == "4")
            #expect(try Self.bytes(folder, "curves.svg").starts(with: Array("<svg ".utf8)))
        }
    }

    @Test func curvesGoOnFromTheCheckpoint() throws {
        try withTemporaryFolder { folder in
            func steps() throws -> [Substring] {
                String(decoding: try Self.bytes(folder, "curves.csv"), as: UTF8.self)
                    .split(separator: "\n").dropFirst().map { $0.split(separator: ",")[0] }
            }
            let settings = Self.settings(steps: 9)
            let first = try Self.trainer(settings, in: folder)
            _ = try first.run(shouldStop: { first.stepsMade == 3 }, report: { _ in })
            #expect(try steps() == ["2", "3"])
            // As if the process had been killed at step 4, before the next checkpoint.
            let csv = folder.appending(path: "curves.csv")
            try (String(contentsOf: csv, encoding: .utf8) + "4,1,8,0.01,9,0.5,1,1\n")
                .write(to: csv, atomically: true, encoding: .utf8)
            let second = try Self.trainer(settings, in: folder)
            try second.resume()
            _ = try second.run(shouldStop: { second.stepsMade == 5 }, report: { _ in })
            #expect(try steps() == ["2", "3", "4", "5"])
            #expect(try !String(contentsOf: csv, encoding: .utf8).contains("0.01,9,0.5"))
        }
    }

    @Test func learnsWhatIsEasy() throws {
        try withTemporaryFolder { folder in
            var told: [TrainingProgress] = []
            var settings = Self.settings(steps: 60, method: .adamW)
            settings.schedule = Schedule(.cosine, peak: 0.05, stepsPerEpoch: 60, steps: 60)
            _ = try Self.trainer(settings, in: folder).run(shouldStop: { false }, report: { told.append($0) })
            let (first, last) = (try #require(told.first), try #require(told.last))
            #expect(last.loss < 0.5 * first.loss)
            #expect(try #require(last.dice[0].value) > 0.8)
        }
    }

    @Test func otherOptionsAreNamed() throws {
        try withTemporaryFolder { folder in
            let settings = Self.settings(steps: 1, options: ["--lr": "0.01", "--crop": "32"])
            _ = try Self.trainer(settings, in: folder).run(shouldStop: { false }, report: { _ in })
            #expect(Trainer.hasCheckpoint(in: folder))
            let other = try Self.trainer(Self.settings(steps: 1, options: ["--lr": "0.1", "--noise": "5"]), in: folder)
            let differences = [
                "--crop was 32 and is now not given", "--lr was 0.01 and is now 0.1",
                "--noise was not given and is now 5",
            ]
            #expect(throws: TrainingError.otherOptions(differences)) { try other.resume() }
            // Settings that hide their difference are caught by what the optimiser remembers.
            var adam = settings
            adam.method = .adamW
            #expect(throws: TrainingError.self) { try Self.trainer(adam, in: folder).resume() }
        }
    }

    @Test func stopsWhenTimeIsOver() throws {
        try withTemporaryFolder { folder in
            var settings = Self.settings(steps: 1_000_000)
            settings.minutes = 0.05 / 60
            let trainer = try Self.trainer(settings, in: folder)
            #expect(try trainer.run(shouldStop: { false }, report: { _ in }) == .outOfTime)
            #expect(try Checkpoint(reading: folder.appending(path: "checkpoint.safetensors")).step == trainer.stepsMade)
        }
    }

    @Test func aLossThatIsNotFiniteKeepsTheLastCheckpoint() throws {
        try withTemporaryFolder { folder in
            let settings = Self.settings(steps: 9)
            let good = try Self.trainer(settings, in: folder)
            _ = try good.run(shouldStop: { good.stepsMade == 2 }, report: { _ in })
            let before = try Self.bytes(folder, "checkpoint.safetensors")
            let bad = try Self.trainer(settings, in: folder) { step in
                var batch = Self.batch(step)
                if step == 3 { batch.images[17] = .nan }
                return batch
            }
            try bad.resume()
            #expect(throws: TrainingError.diverged(step: 4, what: "the loss")) {
                try bad.run(shouldStop: { false }, report: { _ in })
            }
            #expect(try Self.bytes(folder, "checkpoint.safetensors") == before)
        }
    }

    @Test func aCheckpointThatIsNoneIsRefused() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "checkpoint.safetensors")
            #expect(!Trainer.hasCheckpoint(in: folder))
            try Safetensors(tensors: Self.architecture.initialTensors(seed: 1)).write(to: url)
            #expect(throws: TrainingError.self) { try Self.trainer(Self.settings(steps: 1), in: folder).resume() }
            try Data("x".utf8).write(to: url)
            #expect(throws: TrainingError.self) { try Self.trainer(Self.settings(steps: 1), in: folder).resume() }
        }
    }
}

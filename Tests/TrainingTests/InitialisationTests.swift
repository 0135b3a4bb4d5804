import Inference
import Testing
import Training

@Suite struct InitialisationTests {
    @Test func weightsHaveTheVarianceOfHe() throws {
        let tensors = Architecture(width: 16, slices: 5, classes: 3).initialTensors(seed: 4)
        for (name, inputs) in [("mid.units.1.conv.weight", 128), ("dec3.units.0.conv.weight", 256)] {
            let values = try #require(tensors[name]).values.map { Double($0) }
            let mean = values.reduce(0, +) / Double(values.count)
            let variance = values.reduce(0) { $0 + $1 * $1 } / Double(values.count)
            let expected = 2 / Double(9 * inputs)
            #expect(abs(mean) < 0.02 * expected.squareRoot())
            // The variance of n normal numbers has a standard deviation of √(2 / n), here below 0.4 %.
            #expect(abs(variance / expected - 1) < 0.02)
        }
        #expect(tensors["enc2.units.1.norm.weight"]?.values.allSatisfy { $0 == 1 } == true)
        #expect(tensors["enc2.units.1.norm.bias"]?.values.allSatisfy { $0 == 0 } == true)
        #expect(tensors["enc2.units.1.norm.running_mean"]?.values.allSatisfy { $0 == 0 } == true)
        #expect(tensors["enc2.units.1.norm.running_var"]?.values.allSatisfy { $0 == 1 } == true)
        #expect(tensors["enc2.units.1.act.weight"]?.values.allSatisfy { $0 == 0.25 } == true)
        #expect(tensors["head.bias"]?.values == [0, 0, 0])
    }

    @Test func theSeedDecides() {
        let architecture = Architecture(width: 1, slices: 5, classes: 2)
        #expect(architecture.initialTensors(seed: 1) == architecture.initialTensors(seed: 1))
        #expect(architecture.initialTensors(seed: 1) != architecture.initialTensors(seed: 2))
    }

    @Test func aModelOfAnotherSizeIsRefused() throws {
        let liver = Architecture(width: 2, slices: 5, classes: 2)
        let lesion = Architecture(width: 2, slices: 5, classes: 3)
        let metadata = ModelMetadata(stage: .liver, window: -1...1, spacing: nil, licence: "none", trainedOn: "nothing")
        let file = Safetensors(metadata: metadata.dictionary, tensors: liver.initialTensors(seed: 3))
        let model = try ModelFile(file)
        #expect(try liver.tensors(from: model) == file.tensors)
        #expect(throws: TrainingError.otherNetwork(found: liver, wanted: lesion)) { try lesion.tensors(from: model) }
        #expect("\(TrainingError.otherNetwork(found: liver, wanted: lesion))".contains("2 classes"))
    }
}

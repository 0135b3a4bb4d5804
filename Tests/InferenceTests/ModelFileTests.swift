import Foundation
import Inference
import TestSupport
import Testing

@Suite struct ModelFileTests {
    private static let architecture = Architecture(width: 8, slices: 5, classes: 3)
    private static let tensors = architecture.torchTensors(seed: 1)
    private static let metadata = [
        "hepar_format": "1", "stage": "lesion", "window_hu": "-200,200", "spacing_mm": "1,1,2.5", "licence": "CC0",
        "trained_on": "nothing",
    ]

    private func fault(
        metadata: [String: String] = Self.metadata, _ change: (inout [String: Tensor]) -> Void
    ) -> ModelError? {
        var tensors = Self.tensors
        change(&tensors)
        do {
            _ = try ModelFile(Safetensors(metadata: metadata, tensors: tensors))
            return nil
        } catch { return error }
    }

    @Test(arguments: Safetensors.ElementType.allCases)
    func readsWhatWasWritten(type: Safetensors.ElementType) throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "lesion.safetensors")
            try Safetensors(metadata: Self.metadata, tensors: Self.tensors).write(to: url, as: type)
            let model = try ModelFile(reading: url)
            #expect((model.width, model.slices, model.classes) == (8, 5, 3))
            #expect(model.metadata.stage == .lesion)
            #expect(model.metadata.window == -200...200)
            #expect(model.metadata.spacing == SIMD3(1, 1, 2.5))
            #expect(model.metadata.licence == "CC0")
            #expect(model.metadata.trainedOn == "nothing")
            #expect(model.metadata.dictionary == Self.metadata)
            for (name, tensor) in Self.tensors {
                let expected = type == .float32 ? tensor.values : tensor.values.map { Float(Float16($0)) }
                #expect(model.tensors[name]?.values == expected)
            }
        }
    }

    @Test func nativeSpacingIsNil() throws {
        var metadata = Self.metadata
        metadata["spacing_mm"] = "native"
        metadata["window_hu"] = "-40.5, 160"
        metadata["lesion_probability"] = "0.7"
        metadata["lesion_extent"] = "0.2"
        let read = try ModelMetadata(metadata)
        #expect(read.spacing == nil)
        #expect(read.window == -40.5...160)
        #expect(read.dictionary["window_hu"] == "-40.5,160")
        #expect(read.dictionary["spacing_mm"] == "native")
    }

    /// Every tensor in turn is taken away, and is named.
    @Test func namesAMissingTensor() {
        for name in Self.tensors.keys {
            #expect(fault { $0[name] = nil } == .missingTensor(name: name))
        }
    }

    @Test func namesAnExtraTensor() {
        let name = "enc0.units.0.norm.num_batches_tracked"
        #expect(fault { $0[name] = Tensor(shape: [], values: [0]) } == .unexpectedTensor(name: name))
    }

    @Test func namesATensorOfWrongShape() {
        let name = "dec2.units.0.conv.weight"
        let wrong = Tensor(shape: [32, 64, 3, 3], values: Array(repeating: 0, count: 32 * 64 * 9))
        #expect(
            fault { $0[name] = wrong } == .wrongShape(name: name, found: [32, 64, 3, 3], expected: [32, 96, 3, 3]))
        let flat = Tensor(shape: [1], values: [0])
        #expect(fault { $0["head.weight"] = flat }?.code == "tensor_wrong_shape")
        #expect(fault { $0["head.bias"] = flat } == .wrongShape(name: "head.bias", found: [1], expected: [3]))
        let none = Tensor(shape: [0, 5, 3, 3], values: [])
        #expect(fault { $0["enc0.units.0.conv.weight"] = none }?.code == "tensor_wrong_shape")
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func namesATensorThatIsNotFinite(value: Float) {
        let name = "mid.units.1.act.weight"
        var values = Array(repeating: Float(0.1), count: 64)
        values[17] = value
        #expect(
            fault { $0[name] = Tensor(shape: [64], values: values) } == .notFinite(name: name, index: 17))
    }

    @Test func namesANegativeVariance() {
        let name = "enc1.units.0.norm.running_var"
        let values = Array(repeating: Float(1), count: 15) + [-0.5]
        let found = fault { $0[name] = Tensor(shape: [16], values: values) }
        #expect(found == .outOfRange(name: name, value: -0.5, allowed: "0 or above"))
        #expect(found?.description.contains(name) == true)
    }

    @Test(arguments: [
        ("hepar_format", "2"), ("stage", "spleen"), ("window_hu", "200,-200"), ("window_hu", "-200"),
        ("window_hu", "-200,nan"), ("window_hu", "-200,200,3"), ("spacing_mm", "1,1"), ("spacing_mm", "1,1,0"),
        ("spacing_mm", "1,1,inf"), ("spacing_mm", ""),
    ])
    func namesAMetadataKey(key: String, value: String) {
        var metadata = Self.metadata
        metadata[key] = value
        let found = fault(metadata: metadata) { _ in }
        #expect(found?.code == "model_metadata")
        #expect(found?.description.contains(key) == true)

        metadata[key] = nil
        #expect(fault(metadata: metadata) { _ in } == .invalidMetadata(key: key, reason: "is missing"))
    }
}

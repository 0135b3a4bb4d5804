import Compute
import Foundation
import Imaging
import Inference
import TestSupport
import Testing

@testable import Segmentation

/// Several networks a stage, and the extent of lesions that a model may ask for.
@Suite struct StageNetworksTests {
    private let team = ThreadTeam(threads: 2)
    private let architecture = Architecture(width: 4, slices: 5, classes: 3)

    private func metadata(
        _ stage: ModelMetadata.Stage = .lesion, window: ClosedRange<Double> = -40...160, extent: Double? = nil
    ) -> ModelMetadata {
        ModelMetadata(
            stage: stage, window: window, spacing: nil, lesionExtent: extent, licence: "CC0", trainedOn: "nothing")
    }

    private func write(_ name: String, in folder: URL, seed: UInt64, _ metadata: ModelMetadata) throws {
        try Safetensors(metadata: metadata.dictionary, tensors: architecture.randomTensors(seed: seed))
            .write(to: folder.appending(path: name))
    }

    private func load(_ folder: URL) throws(ModelError) -> StageNetworks {
        try StageNetworks(.lesion, classes: 3, in: folder, algorithm: .winograd, instructions: nil, team: team)
    }

    /// Softmax of what a stage says of one image of noise.
    private func probabilities(_ stage: StageNetworks) -> [Double] {
        var random = SplitMix64(seed: 3)
        let plane = 32 * 48
        let image = random.floats(5 * plane, in: -1...1)
        var logits = [Float](repeating: 0, count: 3 * plane)
        var scratch = logits
        image.withUnsafeBufferPointer { image in
            let planes = (0..<5).map { image.baseAddress! + $0 * plane }
            logits.withUnsafeMutableBufferPointer { logits in
                scratch.withUnsafeMutableBufferPointer { scratch in
                    stage.run(
                        planes: planes, height: 32, width: 48, logits: logits.baseAddress!,
                        scratch: scratch.baseAddress!, team: team)
                }
            }
        }
        return (0..<plane).flatMap { voxel in
            let values = (0..<3).map { exp(Double(logits[$0 * plane + voxel])) }
            return values.map { $0 / values.reduce(0, +) }
        }
    }

    /// Three files answer with the mean of their probabilities.
    @Test func probabilitiesAreAveraged() throws {
        try withTemporaryFolder { folder in
            let names = ["lesion.safetensors", "lesion-2.safetensors", "lesion-3.safetensors"]
            var single: [[Double]] = []
            for (index, name) in names.enumerated() {
                try withTemporaryFolder { alone in
                    try write(names[0], in: alone, seed: UInt64(index), metadata())
                    single.append(probabilities(try load(alone)))
                }
                try write(name, in: folder, seed: UInt64(index), metadata())
            }
            let stage = try load(folder)
            #expect(stage.networks.count == 3)
            #expect(stage.facts.sha256?.split(separator: "+").map(\.count) == [64, 64, 64])
            let together = probabilities(stage)
            for index in together.indices {
                let mean = (single[0][index] + single[1][index] + single[2][index]) / 3
                guard abs(together[index] - mean) > 1e-5 else { continue }
                Issue.record("\(together[index]) where the mean is \(mean)")
                break
            }
        }
    }

    /// A file that does not go with the first is refused by its name; one behind a gap is not looked at.
    @Test func networksMustAgree() throws {
        try withTemporaryFolder { folder in
            #expect(throws: ModelError.self) { try load(folder) }
            try write("lesion.safetensors", in: folder, seed: 1, metadata())
            try write("lesion-3.safetensors", in: folder, seed: 2, metadata(.liver))
            #expect(try load(folder).networks.count == 1)
            for other in [metadata(.liver), metadata(window: -200...200)] {
                try write("lesion-2.safetensors", in: folder, seed: 2, other)
                let error = #expect(throws: ModelError.self) { try load(folder) }
                #expect("\(try #require(error))".contains("lesion-2.safetensors"))
            }
        }
    }

    /// With an extent, liver voxels that may be lesion become it; nothing else changes, and no probability is below it.
    @Test func lesionsGrowToTheirExtent() throws {
        var random = SplitMix64(seed: 8)
        let shape = Shape(40, 36, 4)
        let volume = Volume(
            shape: shape, spacing: SIMD3(1, 1, 2), voxels: random.floats(shape.count, in: -40...160))
        let network = try Network(tensors: architecture.randomTensors(seed: 5), team: team)
        let box = Box(x: 0..<shape.x, y: 0..<shape.y, z: 0..<shape.z)
        func answer(_ extent: Double?) throws -> LesionStageResult {
            try lesionStage(
                volume, region: LiverRegion(box: box),
                networks: StageNetworks(network, metadata: metadata(extent: extent)),
                team: team, progress: { _ in })
        }
        let (plain, grown) = (try answer(nil).labels.voxels, try answer(0.2))
        let labels = grown.labels.voxels
        #expect(zip(plain, labels).allSatisfy { $0 == $1 || ($0 == Label.liver && $1 == Label.lesion) })
        #expect(plain != labels)
        let values = grown.lesionProbabilities.flatMap(\.values)
        #expect(values.count == labels.count { $0 == Label.lesion })
        #expect(values.allSatisfy { $0 >= 0.2 })
        #expect(values.contains { $0 < 0.4 })
    }
}

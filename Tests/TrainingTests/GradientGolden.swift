import Foundation
import Inference
import Synchronization
import TestSupport
import Testing
import Training

/// A file of Tests/Fixtures/training, made by make_gradients.py there: what the reference network learns from a batch.
struct GradientGolden: CustomTestStringConvertible, Sendable {
    let name: String

    static let all = ["w3_c3_48x64", "w8_c3_32x48", "w8_c2_48x32", "w16_c3_48x32", "w16_c2_32x48"]
        .map(GradientGolden.init)

    /// The file with the losses of ten steps.
    static let losses = GradientGolden(name: "losses")

    var testDescription: String { name }

    private static let drawn = Mutex<[String: [String: Tensor]]>([:])

    func read() throws -> Content {
        Content(file: try Safetensors(reading: SharedData.fixture("training/\(name).safetensors")))
    }

    /// The network's weights; they are drawn once, for drawing takes longer than most runs.
    func weights() throws -> [String: Tensor] {
        let content = try read()
        let (architecture, seed) = (try content.architecture, try content.seed)
        return Self.drawn.withLock { drawn in
            if let weights = drawn[name] { return weights }
            let weights = architecture.torchTensors(seed: seed)
            drawn[name] = weights
            return weights
        }
    }

    /// What the file holds.
    struct Content {
        let file: Safetensors

        var architecture: Architecture {
            get throws { Architecture(width: try integer("width"), slices: 5, classes: try integer("classes")) }
        }

        var seed: UInt32 { get throws { UInt32(try integer("seed")) } }

        var loss: Loss {
            get throws {
                Loss(
                    classWeights: Array([0.2, 1.2, 2.2].prefix(try integer("classes"))),
                    diceWeight: Float(try number("dice_weight")))
            }
        }

        /// Batch `index` of the file's run; a file of gradients has one.
        func batch(_ index: UInt32 = 0) throws -> Batch {
            goldenBatch(
                seed: try seed + 1 + index, classes: try integer("classes"), count: try integer("count"),
                height: try integer("height"), width: try integer("columns"))
        }

        func number(_ key: String) throws -> Double { try #require(file.metadata[key].flatMap(Double.init)) }

        func integer(_ key: String) throws -> Int { try #require(file.metadata[key].flatMap(Int.init)) }

        func values(_ name: String) throws -> [Float] { try #require(file.tensors[name]).values }

        func counts(_ name: String) throws -> [Int] { try values(name).map { Int($0) } }

        /// For each tensor in the order of `entries`: the positions whose gradients are kept, and those gradients.
        func samples(of entries: [ParameterLayout.Entry]) throws -> [(positions: [Int], gradients: ArraySlice<Float>)] {
            let (steps, kept) = (try counts("steps"), try values("gradients"))
            try #require(steps.count == entries.count)
            var start = 0
            let samples = zip(entries, steps).map { entry, step in
                let positions = Array(stride(from: entry.range.lowerBound, to: entry.range.upperBound, by: step))
                defer { start += positions.count }
                return (positions, kept[start..<min(kept.count, start + positions.count)])
            }
            try #require(start == kept.count)
            return samples
        }
    }
}

/// The batch of make_gradients.py's `draw_batch`: noise with a third of air on the left, labels at random.
func goldenBatch(seed: UInt32, classes: Int, count: Int, height: Int, width: Int) -> Batch {
    var random = TorchRandom(seed: seed)
    var batch = Batch(count: count, slices: 5, height: height, width: width)
    batch.images = random.uniform(batch.images.count, -1, 1)
    batch.labels = random.uniform(batch.labels.count, 0, Float(classes) + 0.25).map {
        Int($0) == classes ? Batch.foreground : UInt8($0)
    }
    for index in batch.images.indices where index % width < width / 3 { batch.images[index] = -1 }
    for index in batch.labels.indices where index % width < width / 3 { batch.labels[index] = 0 }
    return batch
}

/// The largest difference, as a fraction of `scale`; infinite where anything is not finite.
func largestDifference(_ actual: some Sequence<Float>, _ expected: some Sequence<Float>, of scale: Float) -> Float {
    var largest: Float = 0
    for (a, b) in zip(actual, expected) {
        guard a.isFinite && b.isFinite else { return .infinity }
        largest = max(largest, abs(a - b))
    }
    return largest / scale
}

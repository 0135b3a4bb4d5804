import Compute
import Foundation
import Inference
import Synchronization
import TestSupport
import Testing

/// A file of Tests/Fixtures/inference, made by make_golden.py there: logits of the reference network.
struct Golden: CustomTestStringConvertible, Sendable {
    let name: String

    static let all = [
        "w8_c3_32x48", "w8_c2_48x16", "w8_c3_16x16", "w16_c3_48x16", "w16_c2_64x80", "w64_c3_32x48",
    ].map(Golden.init)

    var testDescription: String { name }

    private static let drawn = Mutex<[String: [String: Tensor]]>([:])

    /// The network's weights; they are drawn once, for drawing takes longer than most runs.
    func weights() throws -> [String: Tensor] {
        let (architecture, seed, _) = try read()
        return Self.drawn.withLock { drawn in
            if let weights = drawn[name] { return weights }
            let weights = architecture.torchTensors(seed: seed)
            drawn[name] = weights
            return weights
        }
    }

    /// Architecture, seed and logits.
    func read() throws -> (architecture: Architecture, seed: UInt32, logits: Tensor) {
        let file = try Safetensors(reading: SharedData.fixture("inference/\(name).safetensors"))
        func number(_ key: String) throws -> Int { try #require(file.metadata[key].flatMap(Int.init)) }
        let architecture = Architecture(
            width: try number("width"), slices: try number("slices"), classes: try number("classes"))
        return (architecture, UInt32(try number("seed")), try #require(file.tensors["logits"]))
    }
}

extension Network {
    /// Logits of `input`, shape (batch, slices, height, width).
    func logits(of input: Tensor) -> [Float] {
        let (batch, height, width) = (input.shape[0], input.shape[2], input.shape[3])
        var logits = [Float](repeating: .nan, count: batch * classes * height * width)
        input.values.withUnsafeBufferPointer { values in
            let planes = (0..<batch * slices).map { values.baseAddress! + $0 * height * width }
            run(planes: planes, batch: batch, height: height, width: width, logits: &logits)
        }
        return logits
    }
}

/// Input of a golden file: uniform in -1 ... 1.
func randomInput(seed: UInt32, _ shape: [Int]) -> Tensor {
    var random = TorchRandom(seed: seed)
    return Tensor(shape: shape, values: random.uniform(shape.reduce(1, *), -1, 1))
}

/// Whole networks against the reference network, and against themselves in other circumstances.
@Suite struct NetworkTests {
    @Test(arguments: Golden.all, [Algorithm.reference, .gemm])
    func matchesGoldenLogits(golden: Golden, algorithm: Algorithm) throws {
        let (architecture, seed, expected) = try golden.read()
        let shape = expected.shape
        let network = try Network(
            tensors: try golden.weights(), algorithm: algorithm, team: ThreadTeam(threads: 2))
        let input = randomInput(seed: seed + 1, [shape[0], architecture.slices, shape[2], shape[3]])

        let worst = largestDifference(network.logits(of: input), expected.values)
        #expect(worst < 1e-4, "off by \(worst) of the largest logit")
    }

    /// The fast algorithm, whatever instructions it uses.
    @Test(arguments: Golden.all, InstructionSet.allCases.filter(\.isAvailable))
    func matchesGoldenLogits(golden: Golden, instructions: InstructionSet) throws {
        let (architecture, seed, expected) = try golden.read()
        let shape = expected.shape
        let network = try Network(
            tensors: try golden.weights(), instructions: instructions, team: ThreadTeam(threads: 2))
        let input = randomInput(seed: seed + 1, [shape[0], architecture.slices, shape[2], shape[3]])

        let worst = largestDifference(network.logits(of: input), expected.values)
        #expect(worst < 1e-4, "off by \(worst) of the largest logit")
    }

    /// Widths that fill no vector, one class or many, few or many slices, planes of a single tile or of cut tiles.
    @Test(
        arguments: [
            (3, 5, 3, 16, 16), (12, 1, 1, 32, 16), (20, 7, 4, 16, 112), (8, 5, 2, 96, 32), (24, 5, 3, 80, 48),
        ], InstructionSet.allCases.filter(\.isAvailable))
    func matchesThePlainLoops(
        shape: (width: Int, slices: Int, classes: Int, height: Int, columns: Int), instructions: InstructionSet
    ) throws {
        let tensors = Architecture(width: shape.width, slices: shape.slices, classes: shape.classes)
            .torchTensors(seed: 17)
        let team = ThreadTeam(threads: 2)
        let input = randomInput(seed: 18, [2, shape.slices, shape.height, shape.columns])
        let expected = try Network(tensors: tensors, algorithm: .gemm, team: team).logits(of: input)
        let actual = try Network(tensors: tensors, instructions: instructions, team: team).logits(of: input)
        #expect(largestDifference(actual, expected) < 3e-5)
    }

    /// Both schedules, common blocks and own ones, with any number of threads, on planes of many tiles.
    @Test(arguments: InstructionSet.allCases.filter(\.isAvailable))
    func isBitIdenticalForAnyNumberOfThreadsOnLargePlanes(instructions: InstructionSet) throws {
        let tensors = Architecture(width: 16, slices: 5, classes: 3).torchTensors(seed: 5)
        let input = randomInput(seed: 6, [1, 5, 144, 208])
        let results = try [1, 2, 5].map { threads in
            try Network(tensors: tensors, instructions: instructions, team: ThreadTeam(threads: threads))
                .logits(of: input)
        }
        #expect(results[0] == results[1])
        #expect(results[0] == results[2])
    }

    /// The weights of the golden files are drawn again, not read: the generator must give PyTorch's numbers.
    @Test func drawsTheWeightsOfPyTorch() throws {
        let samples = try Safetensors(reading: SharedData.fixture("inference/weights.safetensors")).tensors
        for golden in Golden.all {
            let (architecture, seed, logits) = try golden.read()
            let weights = try golden.weights()
            for (name, expected) in samples where name.hasPrefix("\(seed).") && name != "\(seed).input" {
                let drawn = try #require(weights[String(name.dropFirst("\(seed).".count))])
                let worst = largestDifference(Array(drawn.values.suffix(expected.values.count)), expected.values)
                #expect(worst < 1e-5, "\(name)")
            }
            let input = randomInput(
                seed: seed + 1, [logits.shape[0], architecture.slices, logits.shape[2], logits.shape[3]])
            #expect(Array(input.values.suffix(40)) == samples["\(seed).input"]?.values)
        }
    }

    @Test(arguments: Algorithm.allCases, [8, 16])
    func isBitIdenticalForAnyNumberOfThreads(algorithm: Algorithm, width: Int) throws {
        let tensors = Architecture(width: width, slices: 5, classes: 3).torchTensors(seed: 5)
        let input = randomInput(seed: 6, [1, 5, 48, 80])
        let results = try [1, 2, 3].map { threads in
            try Network(tensors: tensors, algorithm: algorithm, team: ThreadTeam(threads: threads)).logits(of: input)
        }
        #expect(results[0] == results[1])
        #expect(results[0] == results[2])
    }

    /// An input's logits are the same alone and among others, and planes may be shared by neighbours. At width 24 the
    /// fast algorithm takes several inputs through the deep levels at once.
    @Test(arguments: [(Algorithm.reference, 8), (.gemm, 8), (.winograd, 8), (.winograd, 24)])
    func doesNotDependOnTheBatch(algorithm: Algorithm, base: Int) throws {
        let (slices, height, width) = (5, 32, 48)
        let tensors = Architecture(width: base, slices: slices, classes: 3).torchTensors(seed: 9)
        let network = try Network(tensors: tensors, algorithm: algorithm, team: ThreadTeam(threads: 2))
        let scan = randomInput(seed: 3, [1, 9, height, width]).values
        let size = 3 * height * width
        scan.withUnsafeBufferPointer { scan in
            func planes(_ centre: Int) -> [UnsafePointer<Float>] {
                (centre - 2...centre + 2).map { scan.baseAddress! + $0 * height * width }
            }
            var together = [Float](repeating: .nan, count: 3 * size)
            network.run(
                planes: planes(2) + planes(3) + planes(4), batch: 3, height: height, width: width, logits: &together)
            for (position, centre) in [2, 3, 4].enumerated() {
                var alone = [Float](repeating: .nan, count: size)
                network.run(planes: planes(centre), batch: 1, height: height, width: width, logits: &alone)
                #expect(alone == Array(together[position * size..<(position + 1) * size]))
            }
        }
    }

    /// Sizes that change from run to run leave nothing of the last size behind.
    @Test(arguments: Algorithm.allCases)
    func givesTheSameAfterAnotherSize(algorithm: Algorithm) throws {
        let tensors = Architecture(width: 8, slices: 5, classes: 2).torchTensors(seed: 1)
        let network = try Network(tensors: tensors, algorithm: algorithm, team: ThreadTeam(threads: 2))
        let (small, large) = (randomInput(seed: 2, [1, 5, 16, 48]), randomInput(seed: 3, [2, 5, 64, 32]))
        let first = network.logits(of: small)
        _ = network.logits(of: large)
        #expect(network.logits(of: small) == first)
    }

    /// Two networks on one team, each called from two threads at once.
    @Test(arguments: Algorithm.allCases)
    func servesSeveralCallersAtOnce(algorithm: Algorithm) async throws {
        let team = ThreadTeam(threads: 2)
        let networks = try [8, 12].map { width in
            try Network(
                tensors: Architecture(width: width, slices: 5, classes: 3).torchTensors(seed: UInt32(width)),
                algorithm: algorithm, team: team)
        }
        let inputs = [randomInput(seed: 1, [1, 5, 32, 16]), randomInput(seed: 2, [1, 5, 16, 32])]
        let expected = networks.map { network in inputs.map { network.logits(of: $0) } }
        await withTaskGroup(of: Bool.self) { group in
            for round in 0..<12 {
                let (network, input) = (round % 2, round / 2 % 2)
                group.addTask { networks[network].logits(of: inputs[input]) == expected[network][input] }
            }
            for await same in group { #expect(same) }
        }
    }

    @Test func statesItsMemory() throws {
        let tensors = Architecture(width: 16, slices: 5, classes: 3).torchTensors(seed: 1)
        let network = try Network(tensors: tensors, team: ThreadTeam(threads: 1))
        let weights = tensors.values.reduce(0) { $0 + $1.values.count * 4 }
        let small = network.memoryBytes(batch: 1, height: 64, width: 64)
        let large = network.memoryBytes(batch: 1, height: 512, width: 512)
        #expect(small > weights)
        #expect(large < 1 << 30)
        #expect(large - small > 16 * 4 * (512 * 512 - 64 * 64))
    }
}

import Compute
import Engine
import Inference
import Testing

/// What a benchmark counts, and what it runs on.
@Suite struct CostTests {
    struct Case: Sendable {
        let width, classes, height, columns: Int
        /// From the reference network: `o.numel() * m.in_channels * 9` summed over its convolutions by forward hooks.
        let multiplyAdds: Double
        /// `sum(p.numel() for p in net.parameters())`.
        let parameters: Int
    }

    // Counted with Tests/Fixtures/inference/han_net.py.
    static let cases = [
        Case(width: 8, classes: 3, height: 32, columns: 48, multiplyAdds: 23_224_320, parameters: 438_051),
        Case(width: 64, classes: 3, height: 16, columns: 16, multiplyAdds: 239_468_544, parameters: 27_857_667),
        Case(width: 16, classes: 2, height: 32, columns: 16, multiplyAdds: 30_302_208, parameters: 1_745_714),
    ]

    @Test(arguments: cases)
    func countsWhatTheReferenceNetworkDoes(of test: Case) {
        let architecture = Architecture(width: test.width, slices: 5, classes: test.classes)
        #expect(architecture.multiplyAdds(height: test.height, width: test.columns) == test.multiplyAdds)
        // Running means and variances are buffers there, not parameters.
        let parameters = architecture.tensors.filter { !$0.name.contains("running") }
        #expect(parameters.reduce(0) { $0 + $1.shape.reduce(1, *) } == test.parameters)
    }

    @Test func randomWeightsMakeAHealthyNetwork() throws {
        let architecture = Architecture(width: 8, slices: 5, classes: 3)
        let tensors = architecture.randomTensors(seed: 3)
        #expect(tensors == architecture.randomTensors(seed: 3))
        #expect(tensors != architecture.randomTensors(seed: 4))

        // The checks of a model file hold, and logits neither vanish nor explode.
        let network = try Network(tensors: tensors, team: ThreadTeam(threads: 1))
        var random = SplitMix64(seed: 5)
        let input = random.floats(5 * 64 * 64, in: -1...1)
        var logits = [Float](repeating: 0, count: 3 * 64 * 64)
        input.withUnsafeBufferPointer { input in
            logits.withUnsafeMutableBufferPointer { logits in
                network.run(
                    planes: (0..<5).map { input.baseAddress! + $0 * 64 * 64 }, batch: 1, height: 64, width: 64,
                    logits: logits.baseAddress!)
            }
        }
        let mean = logits.reduce(0, +) / Float(logits.count)
        let deviation = (logits.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(logits.count)).squareRoot()
        #expect((0.1...30).contains(deviation), "logits deviate by \(deviation)")
    }

    @Test(arguments: InstructionSet.allCases.filter(\.isAvailable))
    func kernelsReportTheWorkTheyDo(set: InstructionSet) {
        let team = ThreadTeam(threads: 2)
        let one = KernelRate.multiplyAdd(set, rounds: 1, team: team)
        #expect(KernelRate.multiplyAdd(set, rounds: 10, team: team) == 10 * one)
        // 36 components of 24 tiles, 128 to 128 channels, two operations each, on two threads.
        #expect(KernelRate.Products(set, threads: 2).run(team: team) == 2 * 2 * 36 * 24 * 128 * 128)
    }
}

import ArgumentParser
import Compute
import Foundation
import Inference

/// `hepar bench network`: one slice's time through the network.
struct BenchNetwork: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network", abstract: "Time the network on one slice.",
        discussion: """
            Without --model the weights are random: the time does not depend on them. GFLOP/s counts the products of the \
            definition, which Winograd's method does without for the most part.
            """)

    @Option(help: "Channels of the first level; the paper's is 64.")
    var width = 16

    @Option(help: "Height x width of a slice, multiples of 16.")
    var size = "512x512"

    @Option(help: "A model file, whose width counts then.")
    var model: String?

    @Option(help: "How convolutions are computed: \(Algorithm.allCases.map(\.rawValue).joined(separator: ", ")).")
    var algorithm = Algorithm.winograd

    @Option(help: "Vector instructions: \(InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")).")
    var instructions: InstructionSet?

    @OptionGroup var options: BenchOptions

    func run() throws {
        let (height, columns) = try parsedSize()
        guard (1...256).contains(width) else { throw UserError("--width is \(width). Give 1 to 256.") }
        if let instructions, !instructions.isAvailable {
            throw UserError("This CPU has no \(instructions.rawValue).")
        }
        let team = ThreadTeam(threads: options.threads.capped())
        let tensors =
            try model.map { try ModelFile(reading: URL(filePath: $0)).tensors }
            ?? Architecture(width: width, slices: 5, classes: 3).randomTensors(seed: 1)
        let network = try Network(tensors: tensors, algorithm: algorithm, instructions: instructions, team: team)
        let architecture = network.architecture

        var random = SplitMix64(seed: 2)
        let plane = height * columns
        let input = random.floats(architecture.slices * plane, in: -1...1)
        var logits = [Float](repeating: 0, count: architecture.classes * plane)
        let benchmark = options.benchmark(
            runs: 15, instructions: instructions ?? .best(width: architecture.width))
        let name = "network w\(architecture.width) \(height)x\(columns)"
        input.withUnsafeBufferPointer { input in
            logits.withUnsafeMutableBufferPointer { logits in
                guard let start = input.baseAddress, let output = logits.baseAddress else { return }
                let planes = (0..<architecture.slices).map { start + $0 * plane }
                benchmark.measure(
                    algorithm == .winograd ? name : "\(name) \(algorithm.rawValue)",
                    flops: 2 * architecture.multiplyAdds(height: height, width: columns)
                ) {
                    network.run(planes: planes, batch: 1, height: height, width: columns, logits: output)
                }
            }
        }
    }

    private func parsedSize() throws -> (height: Int, width: Int) {
        let numbers = size.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard numbers.count == 2, numbers.allSatisfy({ (16...4096).contains($0) && $0 % 16 == 0 }) else {
            throw UserError("--size is \(size). Give height x width, multiples of 16 up to 4096, such as 512x512.")
        }
        return (numbers[0], numbers[1])
    }
}

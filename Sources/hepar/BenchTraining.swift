import ArgumentParser
import Compute
import Foundation
import Inference
import Training

/// `hepar bench training`: one step's time, from a batch in memory to changed weights.
struct BenchTraining: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "training", abstract: "Time one step of training.",
        discussion: """
            A step is forward, backward and update (stochastic gradient descent with momentum and weight decay) of three \
            classes on one batch. Weights, images and labels are random: the time does not depend on them.
            """)

    @Option(help: "Channels of the first level; the paper's is 64.")
    var width = 16

    @Option(help: "Height and width of a sample, a multiple of 16.")
    var crop = 224

    @Option(help: "Samples of a batch.")
    var batch = 8

    @Option(help: "Vector instructions: \(InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")).")
    var instructions: InstructionSet?

    @OptionGroup var options: BenchOptions

    func validate() throws {
        guard (1...256).contains(width) else { throw ValidationError("--width must be from 1 to 256.") }
        guard (16...1024).contains(crop), crop % 16 == 0 else {
            throw ValidationError("--crop must be a multiple of 16 up to 1024.")
        }
        guard (1...256).contains(batch) else { throw ValidationError("--batch must be from 1 to 256.") }
    }

    func run() throws {
        if let instructions, !instructions.isAvailable {
            throw UserError("This CPU has no \(instructions.rawValue).")
        }
        let architecture = Architecture(width: width, slices: 5, classes: 3)
        let network = try TrainableNetwork(
            tensors: architecture.randomTensors(seed: 1), instructions: instructions,
            team: ThreadTeam(threads: options.threads.capped()))
        let loss = Loss(classWeights: [0.2, 1.2, 2.2])
        let samples = randomBatch(architecture)
        var velocity = [Float](repeating: 0, count: network.parameters.count)
        let step = {
            _ = network.learn(from: samples, loss: loss)
            descend(network, &velocity)
        }

        // The first step allocates, the second finds the caches filled.
        for _ in 0..<2 { step() }
        let clock = ContinuousClock()
        let milliseconds = (0..<(options.runs ?? 5)).map { _ in clock.measure(step) / .milliseconds(1) }.sorted()
        let median = milliseconds[milliseconds.count / 2]
        let line = TrainingLine(
            width: width, crop: crop, batch: batch, threads: options.threads.count, runs: milliseconds.count,
            samplesPerSecond: Double(batch) / median * 1e3, medianMs: median, minMs: milliseconds[0],
            peakBytes: peakMemoryBytes())
        print(line.json)
    }

    private func randomBatch(_ architecture: Architecture) -> Batch {
        var random = SplitMix64(seed: 2)
        var samples = Batch(count: batch, slices: architecture.slices, height: crop, width: crop)
        for index in samples.images.indices { samples.images[index] = Float(random.uniform(-1...1)) }
        for index in samples.labels.indices { samples.labels[index] = UInt8(random.next() % 3) }
        return samples
    }
}

/// One step of the paper's optimiser, in place.
private func descend(_ network: TrainableNetwork, _ velocity: inout [Float]) {
    let (rate, momentum, decay): (Float, Float, Float) = (0.001, 0.9, 0.0005)
    network.gradients.withUnsafeBufferPointer { gradients in
        velocity.withUnsafeMutableBufferPointer { velocity in
            network.parameters.withUnsafeMutableBufferPointer { parameters in
                for index in parameters.indices {
                    velocity[index] = momentum * velocity[index] + gradients[index] + decay * parameters[index]
                    parameters[index] -= rate * velocity[index]
                }
            }
        }
    }
}

/// What `hepar bench training` prints.
private struct TrainingLine: Encodable {
    var bench = "training"
    var width, crop, batch, threads, runs: Int
    /// Of the median step.
    var samplesPerSecond: Double
    var medianMs, minMs: Double
    /// The most memory that the process has held; null where the system does not tell.
    var peakBytes: Int?

    enum CodingKeys: String, CodingKey {
        case bench, width, crop, batch, threads, runs
        case samplesPerSecond = "samples_per_s"
        case medianMs = "median_ms"
        case minMs = "min_ms"
        case peakBytes = "peak_rss_bytes"
    }

    /// The line without its end.
    var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard let data = try? encoder.encode(self) else { preconditionFailure("a benchmark's numbers are finite") }
        return String(decoding: data, as: UTF8.self)
    }
}

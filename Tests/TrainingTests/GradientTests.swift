import Compute
import Inference
import TestSupport
import Testing
import Training

/// The engine's losses, gradients and averages against PyTorch's and against finite differences.
@Suite struct GradientTests {
    static let instructionSets = InstructionSet.allCases.filter(\.isAvailable)

    /// Differences count as a fraction of the largest magnitude in the same tensor's gradient (the maximum norm).
    @Test(arguments: GradientGolden.all, instructionSets)
    func matchesTheGradientsOfPyTorch(golden: GradientGolden, instructions: InstructionSet) throws {
        let content = try golden.read()
        let network = try TrainableNetwork(
            tensors: try golden.weights(), instructions: instructions, team: ThreadTeam(threads: 2))
        let result = network.learn(from: try content.batch(), loss: try content.loss)

        let loss = Double(try content.values("loss")[0])
        #expect(abs(result.loss - loss) < 1e-5 * loss, "the loss is \(result.loss), PyTorch's \(loss)")
        #expect(result.hits == (try content.counts("hits")))
        #expect(result.predicted == (try content.counts("predicted")))
        #expect(result.present == (try content.counts("present")))

        let entries = network.layout.parameters
        let (largest, norms) = (try content.values("largest"), try content.values("norms"))
        for (index, (positions, expected)) in try content.samples(of: entries).enumerated() {
            let name = entries[index].name
            let worst = largestDifference(positions.map { network.gradients[$0] }, expected, of: largest[index])
            #expect(worst < 1e-4, "\(name): off by \(worst) of its largest gradient")
            // The elements that the file leaves out: the difference of two norms is at most the norm of the difference.
            let all = network.gradients[entries[index].range]
            let norm = all.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
            #expect(abs(norm / Double(norms[index]) - 1) < 1e-4, "\(name): norm \(norm), PyTorch's \(norms[index])")
            let peak = all.map(abs).max() ?? .nan
            #expect(abs(peak / largest[index] - 1) < 1e-4, "\(name): largest \(peak), PyTorch's \(largest[index])")
        }

        let averages = try content.values("averages")
        try #require(averages.count == network.averages.count)
        for entry in network.layout.averages {
            let expected = averages[entry.range]
            let scale = expected.map(abs).max() ?? 1
            let worst = largestDifference(network.averages[entry.range], expected, of: scale)
            #expect(worst < 1e-5, "\(entry.name): off by \(worst) of its largest value")
        }
    }

    /// Stochastic gradient descent as in torch.optim.SGD, in a plain loop.
    @Test(arguments: instructionSets)
    func followsTheLossesOfPyTorch(instructions: InstructionSet) throws {
        let content = try GradientGolden.losses.read()
        let network = try TrainableNetwork(
            tensors: try GradientGolden.losses.weights(), instructions: instructions, team: ThreadTeam(threads: 2))
        let rate = Float(try content.number("learning_rate"))
        let momentum = Float(try content.number("momentum"))
        let decay = Float(try content.number("weight_decay"))
        var velocity = [Float](repeating: 0, count: network.parameters.count)
        for (step, expected) in try content.values("losses").enumerated() {
            let result = network.learn(from: try content.batch(UInt32(step)), loss: try content.loss)
            #expect(abs(result.loss - Double(expected)) < 1e-4, "step \(step): \(result.loss), PyTorch's \(expected)")
            let gradients = network.gradients
            for index in velocity.indices {
                let slope = gradients[index] + decay * network.parameters[index]
                velocity[index] = momentum * velocity[index] + slope
                network.parameters[index] -= rate * velocity[index]
            }
        }
    }

    /// One element of every tensor, and one more of every convolution's weights, on planes that shrink to 2x2 pixels.
    ///
    /// The seed is one at which rounding moves no value across a kink, by `steady_seed` of make_gradients.py.
    @Test func matchesFiniteDifferences() throws {
        let architecture = Architecture(width: 8, slices: 5, classes: 3)
        let tensors = architecture.torchTensors(seed: 44)
        let batch = goldenBatch(seed: 45, classes: 3, count: 2, height: 32, width: 32)
        let loss = Loss(classWeights: [0.2, 1.2, 2.2], diceWeight: 0.5)
        let plain = PlainNetwork(architecture, tensors: tensors)
        var random = SplitMix64(seed: 46)
        let chosen = plain.layout.parameters.flatMap { entry in
            (0..<(entry.shape.count == 4 ? 2 : 1)).map { _ in
                (entry: entry, index: Int.random(in: entry.range, using: &random))
            }
        }
        let expectedLoss = plain.loss(of: batch, loss)
        let slopes = plain.centralDifferences(at: chosen.map(\.index), batch: batch, loss: loss)

        for instructions in Self.instructionSets {
            let network = try TrainableNetwork(
                tensors: tensors, instructions: instructions, team: ThreadTeam(threads: 2))
            let result = network.learn(from: batch, loss: loss)
            #expect(abs(result.loss - expectedLoss) < 1e-5 * expectedLoss)
            for ((entry, index), slope) in zip(chosen, slopes) {
                let largest = network.gradients[entry.range].map(abs).max() ?? .nan
                let error = abs(Double(network.gradients[index]) - slope) / Double(largest)
                #expect(error < 1e-4, "\(entry.name) by \(instructions): off by \(error) of its largest gradient")
            }
        }
    }

    /// The referees among themselves: loss and central differences in double precision against PyTorch's.
    @Test func finiteDifferencesMatchPyTorch() throws {
        let golden = GradientGolden(name: "w3_c3_48x64")
        let content = try golden.read()
        let (batch, loss) = (try content.batch(), try content.loss)
        let plain = PlainNetwork(try content.architecture, tensors: try golden.weights())
        let expectedLoss = Double(try content.values("loss")[0])
        #expect(abs(plain.loss(of: batch, loss) - expectedLoss) < 1e-6 * expectedLoss)

        let largest = try content.values("largest")
        var random = SplitMix64(seed: 47)
        let samples = try content.samples(of: plain.layout.parameters)
        // Every third tensor: of each unit's four another one each time.
        let chosen = stride(from: 0, to: samples.count, by: 3).map { tensor in
            let (positions, gradients) = samples[tensor]
            let choice = Int.random(in: positions.indices, using: &random)
            return (tensor: tensor, index: positions[choice], gradient: gradients[gradients.startIndex + choice])
        }
        let slopes = plain.centralDifferences(at: chosen.map(\.index), batch: batch, loss: loss)
        for (sample, slope) in zip(chosen, slopes) {
            let error = abs(slope - Double(sample.gradient)) / Double(largest[sample.tensor])
            let name = plain.layout.parameters[sample.tensor].name
            #expect(error < 1e-4, "\(name): off by \(error) of its largest gradient")
        }
    }

    /// The same bits for the same batch, whatever was learnt from in between.
    @Test(arguments: instructionSets)
    func isRepeatable(instructions: InstructionSet) throws {
        let tensors = Architecture(width: 8, slices: 5, classes: 3).torchTensors(seed: 51)
        let batch = goldenBatch(seed: 52, classes: 3, count: 2, height: 48, width: 64)
        let other = goldenBatch(seed: 53, classes: 3, count: 3, height: 64, width: 32)
        let loss = Loss(classWeights: [0.2, 1.2, 2.2], diceWeight: 0.5)
        func network() throws -> TrainableNetwork {
            try TrainableNetwork(tensors: tensors, instructions: instructions, team: ThreadTeam(threads: 2))
        }
        let (first, second) = (try network(), try network())
        let result = first.learn(from: batch, loss: loss)
        let (gradients, averages) = (first.gradients, first.averages)
        #expect(second.learn(from: batch, loss: loss) == result)
        #expect(second.gradients == gradients)
        #expect(second.averages == averages)

        _ = first.learn(from: other, loss: loss)
        #expect(first.gradients != gradients)
        #expect(first.learn(from: batch, loss: loss) == result)
        #expect(first.gradients == gradients)
    }

    /// Sums are cut by a fixed number of parts, never by threads: a training may be resumed on another machine.
    @Test(arguments: [8, 16], instructionSets)
    func doesNotDependOnTheNumberOfThreads(width: Int, instructions: InstructionSet) throws {
        let tensors = Architecture(width: width, slices: 5, classes: 3).torchTensors(seed: 61)
        let batch = goldenBatch(seed: 62, classes: 3, count: 2, height: 64, width: 48)
        let loss = Loss(classWeights: [0.2, 1.2, 2.2], diceWeight: 0.5)
        func learnt(_ threads: Int) throws -> (network: TrainableNetwork, result: BatchResult) {
            let network = try TrainableNetwork(
                tensors: tensors, instructions: instructions, team: ThreadTeam(threads: threads))
            return (network, network.learn(from: batch, loss: loss))
        }
        let one = try learnt(1)
        for threads in [2, 3] {
            let more = try learnt(threads)
            #expect(more.result == one.result)
            #expect(more.network.gradients == one.network.gradients)
            #expect(more.network.averages == one.network.averages)
        }
    }

    /// Pixels of which no more is told than that they are not background: liver and lesion share what the background
    /// loses, in the proportion they have, and no score counts them. A network without weights says the same everywhere:
    /// with three classes the loss is then -1.2 log(2/3).
    @Test func foregroundPixelsTeachLiverOrLesion() throws {
        var tensors = Architecture(width: 8, slices: 5, classes: 3).torchTensors(seed: 71)
        for (name, shape) in [("head.weight", [3, 8, 3, 3]), ("head.bias", [3])] {
            tensors[name] = Tensor(shape: shape, values: [Float](repeating: 0, count: shape.reduce(1, *)))
        }
        var batch = goldenBatch(seed: 72, classes: 3, count: 1, height: 32, width: 32)
        for index in batch.labels.indices { batch.labels[index] = Batch.foreground }
        let network = try TrainableNetwork(tensors: tensors, team: ThreadTeam(threads: 2))
        let result = network.learn(from: batch, loss: Loss(classWeights: [0.2, 1.2, 2.2], diceWeight: 0.3))
        #expect(abs(result.loss - 0.486_558) < 1e-5)
        #expect(result.hits == [0, 0, 0] && result.predicted == [0, 0, 0] && result.present == [0, 0, 0])
        let bias = network.gradients[try #require(network.layout.parameters.last).range]
        #expect(zip(bias, [0.4, -0.2, -0.2]).allSatisfy { abs($0 - Float($1)) < 1e-5 })
    }

    /// Pixels of which nothing is known move nothing: whatever the image shows there is the loss of the others.
    @Test func unknownPixelsHaveNoWeight() throws {
        let tensors = Architecture(width: 8, slices: 5, classes: 3).torchTensors(seed: 71)
        let loss = Loss(classWeights: [0.2, 1.2, 2.2], diceWeight: 0.3)
        var batch = goldenBatch(seed: 72, classes: 3, count: 2, height: 32, width: 32)
        for index in batch.labels.indices where index % 3 == 0 { batch.labels[index] = Batch.unknown }
        let network = try TrainableNetwork(tensors: tensors, team: ThreadTeam(threads: 2))
        let result = network.learn(from: batch, loss: loss)
        let known = batch.labels.count { $0 != Batch.unknown && $0 != Batch.foreground }
        #expect(result.present.reduce(0, +) == known && result.predicted.reduce(0, +) == known)

        for index in batch.labels.indices { batch.labels[index] = Batch.unknown }
        let nothing = network.learn(from: batch, loss: Loss(classWeights: [0.2, 1.2, 2.2]))
        #expect(nothing.loss == 0)
        #expect(network.gradients.allSatisfy { $0 == 0 })
    }
}

import ArgumentParser
import Foundation
import Inference
import Training

/// Options of `hepar train` about the network and its steps.
struct TrainRecipeOptions: ParsableArguments {
    @Option(help: "Channels of the network's first level. (default: that of --init, or 64)")
    var width: Int?

    @Option(help: "How often as many samples are drawn as there are slices to learn from.")
    var epochs = 50

    @Option(help: "Steps in an epoch. (default: slices to learn from / batch)")
    var stepsPerEpoch: Int?

    @Option(help: "Samples in a step; the paper does not say.")
    var batch = 8

    @Option(help: "The learning rate at the beginning.")
    var lr = 0.001

    @Option(help: "Chooses the weights to begin with and the samples.")
    var seed: UInt64 = 1

    @Option(name: .customLong("init"), help: "A model file of the same size to begin with.")
    var initial: String?

    @Option(help: "sgd (momentum 0.9) or adamw (decays convolutions' weights alone).")
    var optimizer = Optimiser.Method.sgd

    @Option(help: "Weight decay.")
    var weightDecay = 0.0005

    @Option(help: "How the learning rate falls: paper (times 0.9 an epoch) or cosine (to 0 at the last step).")
    var schedule = Schedule.Shape.paper

    @Option(help: "Steps in which the learning rate grows. (default: 0; for cosine a 50th of all, at most 500)")
    var warmup: Int?

    @Option(help: "Weight of a soft Dice term in the loss.")
    var diceWeight = 0.0

    @Option(help: "The cross-entropy's weight of each class. (default: 0.2,1.2 for liver, 0.2,1.2,2.2 for lesion)")
    var classWeights: String?

    @Option(help: "Keep a moving average of the weights as the model; this much of it at each step, such as 0.999.")
    var average: Double?

    func validate() throws {
        func require(_ sound: Bool, _ message: String) throws { if !sound { throw ValidationError(message) } }
        try require(width.map { (1...512).contains($0) } ?? true, "--width must be from 1 to 512.")
        try require((1...1_000_000).contains(epochs), "--epochs must be from 1 to 1000000.")
        try require(
            stepsPerEpoch.map { (1...1_000_000).contains($0) } ?? true, "--steps-per-epoch must be from 1 to 1000000.")
        try require(lr > 0 && lr <= 10, "--lr must be above 0 and at most 10.")
        try require((0...1).contains(weightDecay), "--weight-decay must be from 0 to 1.")
        try require(warmup.map { (0...1_000_000).contains($0) } ?? true, "--warmup must be from 0 to 1000000.")
        try require((0...100).contains(diceWeight), "--dice-weight must be from 0 to 100.")
        try require(average.map { $0 > 0 && $0 < 1 } ?? true, "--average must be between 0 and 1.")
    }

    /// The learning rate of each step.
    func schedule(samplesPerEpoch: Int) -> Schedule {
        let inEpoch = stepsPerEpoch ?? max(1, (samplesPerEpoch + batch - 1) / batch)
        let steps = inEpoch * epochs
        let usual = schedule == .cosine ? min(500, steps / 50) : 0
        return Schedule(schedule, peak: lr, stepsPerEpoch: inEpoch, steps: steps, warmUp: warmup ?? usual)
    }

    /// What is made small.
    func loss(_ stage: ModelMetadata.Stage) throws -> Loss {
        Loss(classWeights: try weights(stage).map { Float($0) }, diceWeight: Float(diceWeight))
    }

    private func weights(_ stage: ModelMetadata.Stage) throws -> [Double] {
        let usual = stage == .liver ? [0.2, 1.2] : [0.2, 1.2, 2.2]
        guard let classWeights else { return usual }
        guard let weights = numberList(classWeights, count: usual.count), weights.allSatisfy({ $0 >= 0 }),
            weights.contains(where: { $0 > 0 })
        else {
            throw UserError(
                "--class-weights is \(classWeights). Stage \(stage.rawValue) needs \(usual.count) numbers of 0 or above."
            )
        }
        return weights
    }

    /// What decides about the result, by option. The number of steps does so only where the schedule asks for it: with
    /// the paper's, a training may be made longer.
    func facts(_ schedule: Schedule) -> [String: String] {
        var facts = [
            "--batch": "\(batch)", "--lr": "\(lr)", "--seed": "\(seed)", "--optimizer": optimizer.rawValue,
            "--weight-decay": "\(weightDecay)", "--schedule": schedule.shape.rawValue,
            "--steps-per-epoch": "\(schedule.stepsPerEpoch)", "--warmup": "\(schedule.warmUp)",
            "--dice-weight": "\(diceWeight)", "--class-weights": classWeights ?? "the paper's",
            "--average": average.map { "\($0)" } ?? "off",
        ]
        if schedule.shape == .cosine { facts["--epochs"] = "\(epochs)" }
        return facts
    }
}

extension Optimiser.Method: ExpressibleByArgument {}
extension Schedule.Shape: ExpressibleByArgument {}

/// `count` numbers with commas between them, or nil.
func numberList(_ text: String, count: Int) -> [Double]? {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { Double($0.trimmingCharacters(in: .whitespaces)) }.filter(\.isFinite)
    return parts.count == count && numbers.count == count ? numbers : nil
}

/// The range of an option that is given as LO,HI.
func numberRange(_ text: String, _ option: String) throws -> ClosedRange<Double> {
    guard let ends = numberList(text, count: 2), ends[0] <= ends[1] else {
        throw UserError("\(option) is \(text). Give two ascending numbers with a comma between them.")
    }
    return ends[0]...ends[1]
}

public import Compute
public import Foundation
internal import Inference

/// Trains a network, and keeps what came of it in a folder: `checkpoint.safetensors`, the model file of the stage,
/// `curves.csv` and `curves.svg`.
///
/// The same settings, batches and beginning give the same bytes, however often the training was stopped and resumed.
public final class Trainer {
    private let settings: TrainingSettings
    private let network: TrainableNetwork
    private let output: URL
    private let team: ThreadTeam
    private let batches: (Int) -> Batch
    private let validator: Validator?

    private var optimiser: Optimiser
    private var smoothed: WeightAverage?
    private var step = 0
    private var curves: Curves
    private var recent: RecentBatches
    private var lastScores: ValidationScores?
    private var validationSeconds = 0.0
    /// Seconds of earlier runs, as the curves tell.
    private var earlierSeconds = 0.0

    /// A training before its first step.
    ///
    /// - Parameters:
    ///   - network: holds the weights to begin with.
    ///   - output: a folder that exists.
    ///   - validator: judges the network from time to time; nil leaves that out.
    ///   - batches: the batch of each step, counted from 0; a function of the step alone.
    public init(
        _ settings: TrainingSettings, network: TrainableNetwork, output: URL, team: ThreadTeam,
        validator: Validator? = nil, batches: @escaping (_ step: Int) -> Batch
    ) {
        self.settings = settings
        self.network = network
        self.output = output
        self.team = team
        self.validator = validator
        self.batches = batches
        optimiser = Optimiser(settings.method, weightDecay: settings.weightDecay, layout: network.layout)
        smoothed = settings.average.map { _ in
            WeightAverage(parameters: network.parameters, averages: network.averages)
        }
        curves = Curves(classes: settings.classNames, cases: validator?.names ?? [])
        recent = RecentBatches(limit: settings.rowEvery)
    }

    /// Whether an output folder holds a checkpoint.
    public static func hasCheckpoint(in output: URL) -> Bool {
        FileManager.default.fileExists(atPath: output.appending(path: checkpointName).path)
    }

    /// The checkpoint's name in the output folder.
    public static let checkpointName = "checkpoint.safetensors"

    /// Steps made so far.
    public var stepsMade: Int { step }

    /// Goes on from the output folder's checkpoint.
    ///
    /// - Throws: ``TrainingError/badCheckpoint(reason:)``, ``TrainingError/otherOptions(_:)``.
    public func resume() throws(TrainingError) {
        let checkpoint = try Checkpoint(reading: output.appending(path: Self.checkpointName))
        let differences = checkpoint.differences(from: settings.options)
        guard differences.isEmpty else { throw .otherOptions(differences) }
        guard checkpoint.parameters.count == network.layout.parameterCount,
            checkpoint.averages.count == network.layout.averageCount,
            checkpoint.memory.mapValues(\.count) == optimiser.memory.mapValues(\.count),
            checkpoint.smoothed?.parameters.count == smoothed?.parameters.count,
            checkpoint.smoothed?.averages.count == smoothed?.averages.count
        else { throw .badCheckpoint(reason: "its arrays do not fit this network and optimiser") }
        step = checkpoint.step
        network.parameters = checkpoint.parameters
        network.averages = checkpoint.averages
        optimiser.memory = checkpoint.memory
        smoothed = checkpoint.smoothed
        if let csv = try? String(contentsOf: output.appending(path: "curves.csv"), encoding: .utf8) {
            curves.takeRows(from: csv, upTo: step)
            earlierSeconds = curves.last("seconds") ?? 0
        }
    }

    /// Makes the steps that are left, then saves.
    ///
    /// - Parameters:
    ///   - shouldStop: asked between steps and between the slices of a validation.
    ///   - report: called after each step.
    /// - Throws: ``TrainingError/diverged(step:what:)``, ``TrainingError/unwritable(file:reason:)``.
    public func run(
        shouldStop: () -> Bool, report: (TrainingProgress) -> Void
    ) throws(TrainingError) -> TrainingEnd {
        let clock = ContinuousClock()
        let start = clock.now
        var saved = clock.now
        func seconds() -> Double { (clock.now - start) / .seconds(1) }
        func isOutOfTime() -> Bool { settings.minutes.map { seconds() >= $0 * 60 } ?? false }
        let first = step
        var end = TrainingEnd.finished
        while step < settings.schedule.steps {
            if shouldStop() { end = .stopped } else if isOutOfTime() { end = .outOfTime }
            if end != .finished { break }
            try makeStep(clock)
            let isLast = step == settings.schedule.steps
            let scores =
                isLast || step % settings.validateEvery == 0
                ? try validate(clock) { !shouldStop() && !isOutOfTime() } : nil
            if let scores { lastScores = scores }
            if isLast || scores != nil || step % settings.rowEvery == 0 { try addRow(scores, seconds: seconds()) }
            report(progress(isNewValidation: scores != nil, secondsRun: seconds()))
            if !isLast, clock.now - saved >= .seconds(settings.checkpointMinutes * 60) {
                try save()
                saved = clock.now
            }
        }
        if step > first, curves.last("step") != Double(step) { try addRow(nil, seconds: seconds()) }
        try save()
        return end
    }

    private func makeStep(_ clock: ContinuousClock) throws(TrainingError) {
        let start = clock.now
        let batch = batches(step)
        let result = network.learn(from: batch, loss: settings.loss)
        guard result.loss.isFinite else { throw .diverged(step: step + 1, what: "the loss") }
        optimiser.update(
            &network.parameters, gradients: network.gradients, rate: settings.schedule.rate(at: step), step: step,
            team: team)
        if let decay = settings.average { smoothed?.add(network, decay: decay, step: step, team: team) }
        step += 1
        recent.add(result, samples: batch.count, seconds: (clock.now - start) / .seconds(1))
    }

    /// What the model file would hold now.
    private var modelTensors: [String: Tensor] {
        guard let smoothed else { return network.tensors }
        return network.layout.tensors(parameters: smoothed.parameters, averages: smoothed.averages)
    }

    private func validate(_ clock: ContinuousClock, goOn: () -> Bool) throws(TrainingError) -> ValidationScores? {
        guard let validator else { return nil }
        let start = clock.now
        defer { validationSeconds = (clock.now - start) / .seconds(1) }
        do throws(ModelError) { return try validator.scores(of: modelTensors, goOn: goOn) } catch {
            throw .diverged(step: step, what: "a number of the network")
        }
    }
}

// What is told and kept.
extension Trainer {
    private func progress(isNewValidation: Bool, secondsRun: Double) -> TrainingProgress {
        let (steps, perStep) = (settings.schedule.steps, recent.secondsPerStep)
        let validations = (steps - 1) / settings.validateEvery - (step - 1) / settings.validateEvery + 1
        var left = Double(steps - step) * perStep
        if validator != nil, step < steps { left += Double(validations) * validationSeconds }
        if let minutes = settings.minutes { left = min(left, max(0, minutes * 60 - secondsRun)) }
        return TrainingProgress(
            step: step, steps: steps, epoch: (step - 1) / settings.schedule.stepsPerEpoch,
            rate: settings.schedule.rate(at: step - 1), loss: recent.loss, dice: recentDice, validation: lastScores,
            isNewValidation: isNewValidation, samplesPerSecond: recent.samplesPerSecond, secondsLeft: left)
    }

    private var recentDice: [ClassDice] {
        settings.classNames.enumerated().map { ClassDice(name: $1, value: recent.dice(of: $0 + 1)) }
    }

    private func addRow(_ scores: ValidationScores?, seconds: Double) throws(TrainingError) {
        var row: [String: Double?] = [
            "step": Double(step), "epoch": Double(step) / Double(settings.schedule.stepsPerEpoch),
            "samples": Double(step * recent.samplesPerBatch), "learning_rate": settings.schedule.rate(at: step - 1),
            "loss": recent.loss, "samples_per_s": recent.samplesPerSecond, "seconds": earlierSeconds + seconds,
        ]
        for item in recentDice { row["dice_\(item.name)"] = item.value }
        if let scores {
            row["validation_liver"] = scores.liver
            row["validation_lesion"] = scores.lesion
            for item in scores.cases {
                row["\(Curves.plain(item.name))_liver"] = item.liver
                row["\(Curves.plain(item.name))_lesion"] = item.lesion
            }
        }
        curves.add(row)
        try writing("curves.csv") { try Data(curves.csv.utf8).write(to: $0, options: .atomic) }
    }

    /// Writes checkpoint, model and curves; a network that is not finite leaves the last ones in place.
    private func save() throws(TrainingError) {
        guard network.parameters.allSatisfy(\.isFinite), network.averages.allSatisfy(\.isFinite) else {
            throw .diverged(step: step, what: "a number of the network")
        }
        try Checkpoint(
            step: step, parameters: network.parameters, averages: network.averages, memory: optimiser.memory,
            smoothed: smoothed, options: settings.options
        ).write(to: output.appending(path: Self.checkpointName))
        try writeModel()
        try writing("curves.csv") { try Data(curves.csv.utf8).write(to: $0, options: .atomic) }
        let svg = CurvePlot.svg(of: curves, classes: settings.classNames)
        try writing("curves.svg") { try Data(svg.utf8).write(to: $0, options: .atomic) }
    }

    private func writeModel() throws(TrainingError) {
        let name = "\(settings.metadata.stage.rawValue).safetensors"
        let url = output.appending(path: name)
        let file = Safetensors(metadata: settings.metadata.dictionary, tensors: modelTensors)
        do throws(ModelError) {
            // Hours of work are not lost to a number that half precision cannot hold.
            do throws(ModelError) { try file.write(to: url, as: .float16) } catch .outOfRange {
                try file.write(to: url)
            }
        } catch {
            throw .unwritable(file: name, reason: unwritableReason(error))
        }
    }

    private func writing(_ name: String, _ body: (URL) throws -> Void) throws(TrainingError) {
        do { try body(output.appending(path: name)) } catch {
            throw .unwritable(file: name, reason: error.localizedDescription)
        }
    }
}

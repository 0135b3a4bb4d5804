import ArgumentParser
import Compute
import Foundation
import Inference
import Training

/// `hepar train`: a model file from scans with reference masks.
struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train the network of one stage.",
        discussion: """
            Learns from folders of scans NAME_ct.nii.gz with their masks NAME_seg.nii.gz (0 background, 1 liver, \
            2 lesion, 255 unknown). A folder's spacing.json, {"spacing_mm": {"NAME": [x, y, z]}}, overrides headers. The output folder gets liver.safetensors or lesion.safetensors, curves.csv, curves.svg, and \
            checkpoint.safetensors, from which --resume goes on. SIGTERM or Ctrl-C saves and stops. The defaults are \
            those of Han (2017), arXiv:1704.07239; everything else is off unless asked for.
            """)

    @OptionGroup(title: "What and where") var task: TrainTaskOptions
    @OptionGroup(title: "Network and steps") var recipe: TrainRecipeOptions
    @OptionGroup(title: "Data") var dataChoice: TrainDataOptions
    @OptionGroup(title: "Samples") var samples: TrainSampleOptions
    @OptionGroup(title: "Validation") var validation: TrainValidationOptions

    func run() throws {
        let stop = StopSignal()
        let log = TrainingLog()
        let folder = URL(filePath: task.output)
        let goesOn = Trainer.hasCheckpoint(in: folder)
        if goesOn, !task.resume { throw TrainingError.alreadyBegun(file: Trainer.checkpointName) }
        try refuseOverwriting(inputs, by: outputs(in: folder))
        let team = ThreadTeam(threads: task.threads.capped())
        let loss = try recipe.loss(task.stage)
        let dataOptions = try dataChoice.options(stage: task.stage, validation: validation.names)
        let sampling = try samples.options(batch: recipe.batch)
        let network = try beginning(team)
        do { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) } catch {
            throw UserError("The output folder \(task.output) cannot be made: \(error.localizedDescription)")
        }

        let training = try TrainingData(
            folders: task.data.map { URL(filePath: $0) }, options: dataOptions, slices: network.architecture.slices,
            team: team,
            report: log.say)
        let hard = try hardPlaces(in: training, folder: folder, team: team, log: log)
        let source = BatchSource(training, options: sampling, seed: recipe.seed, hard: hard)
        if let sheet = task.sheet {
            try sampleSheet(count: 24) { source.batch($0, team: team) }.writePNG(to: URL(filePath: sheet))
            print("The first samples are in \(sheet).")
            return
        }
        var settings = settings(
            training, loss: loss, samplesPerEpoch: source.samplesPerEpoch, width: network.architecture.width)
        if let hard { settings.options["--hard-model"] = hard.model }
        settings.minutes = task.minutes
        if let every = validation.every { settings.validateEvery = every }
        let validator =
            training.validationCases.isEmpty
            ? nil
            : try Validator(
                training.validationCases, metadata: settings.metadata, every: validation.slices, team: team)
        let trainer = Trainer(settings, network: network, output: folder, team: team, validator: validator) {
            source.batch($0, team: team)
        }
        if goesOn {
            try trainer.resume()
            log.say("Going on after step \(trainer.stepsMade).")
        }
        log.say(
            """
            \(training.cases.count) cases, \(source.samplesPerEpoch) slices; \(settings.schedule.steps) steps of \
            \(sampling.batch) samples, \(settings.schedule.stepsPerEpoch) an epoch.
            """)
        let end = try trainer.run(shouldStop: { stop.hasArrived }, report: log.show)
        log.finish()
        print(sentence(for: end, steps: trainer.stepsMade, of: settings.schedule.steps))
        if !training.skipped.isEmpty {
            print("Cases skipped: \(training.skipped.count).")
            for item in training.skipped { print("  \(item.name): \(item.reason)") }
        }
    }

    private var inputs: [NamedFile] {
        let models = [("the model of --init", recipe.initial), ("the model of --hard-model", samples.hardModel)]
        let cases = task.data.flatMap { folder in
            ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
                .filter { name in [".nii", ".nii.gz", ".json"].contains { name.hasSuffix($0) } }
                .map { NamedFile("a file of --data", URL(filePath: folder).appending(path: $0)) }
        }
        return models.compactMap { name, path in path.map { NamedFile(name, $0) } } + cases
    }

    private func outputs(in folder: URL) -> [NamedFile] {
        if let sheet = task.sheet { return [NamedFile("--sheet", sheet)] }
        let names = ["\(task.stage.rawValue).safetensors", Trainer.checkpointName, "curves.csv", "curves.svg"]
        return names.map { NamedFile("the training's \($0)", folder.appending(path: $0)) }
    }

    /// Where --hard-model is wrong: looked for once, and kept in the output folder for --resume.
    private func hardPlaces(
        in data: TrainingData, folder: URL, team: ThreadTeam, log: TrainingLog
    ) throws -> HardPlaces? {
        guard let file = samples.hardModel else { return nil }
        let model = try ModelFile(reading: URL(filePath: file))
        let kept = folder.appending(path: "hard-places.json")
        if let places = try? JSONDecoder().decode(HardPlaces.self, from: Data(contentsOf: kept)),
            places.model == model.sha256
        {
            return places
        }
        let places = try HardPlaces(of: model, in: data, team: team, report: log.say)
        try JSONEncoder().encode(places).write(to: kept, options: .atomic)
        return places
    }

    /// The network with the weights to begin with.
    private func beginning(_ team: ThreadTeam) throws -> TrainableNetwork {
        let model = try recipe.initial.map { try ModelFile(reading: URL(filePath: $0)) }
        let architecture = Architecture(
            width: recipe.width ?? model?.width ?? 64, slices: 5, classes: task.stage == .liver ? 2 : 3)
        let tensors = try model.map { try architecture.tensors(from: $0) }
        return try TrainableNetwork(tensors: tensors ?? architecture.initialTensors(seed: recipe.seed), team: team)
    }

    private func settings(_ training: TrainingData, loss: Loss, samplesPerEpoch: Int, width: Int) -> TrainingSettings {
        let options = training.options
        let phantoms = training.cases.count { $0.kind == .phantom }
        let metadata = ModelMetadata(
            stage: task.stage, window: options.window, spacing: options.spacing, licence: dataChoice.licence,
            trainedOn: dataChoice.trainedOn
                ?? "\(training.cases.count - phantoms) cases with reference masks, \(phantoms) phantoms")
        let schedule = recipe.schedule(samplesPerEpoch: samplesPerEpoch)
        // What decides about the result, under the names that the user gave it by.
        var facts = ["--stage": task.stage.rawValue, "--width": "\(width)"]
        facts.merge(recipe.facts(schedule)) { $1 }
        facts.merge(dataChoice.facts(options)) { $1 }
        facts.merge(samples.facts) { $1 }
        facts["the cases of --data"] = training.cases.map(\.name).joined(separator: " ")
        return TrainingSettings(
            metadata: metadata, loss: loss, method: recipe.optimizer,
            weightDecay: recipe.weightDecay, schedule: schedule, average: recipe.average, options: facts)
    }

    private func sentence(for end: TrainingEnd, steps: Int, of all: Int) -> String {
        switch end {
        case .finished: "Finished after \(steps) steps: \(task.output)/\(task.stage.rawValue).safetensors."
        case .stopped: "Stopped and saved after \(steps) of \(all) steps; --resume goes on from here."
        case .outOfTime: "Time is over: saved after \(steps) of \(all) steps; --resume goes on from here."
        }
    }
}

/// Options of `hepar train` without which there is none, and of how it runs.
struct TrainTaskOptions: ParsableArguments {
    @Option(help: "What to train: \(ModelMetadata.Stage.allCases.map(\.rawValue).joined(separator: " or ")).")
    var stage: ModelMetadata.Stage

    @Option(parsing: .upToNextOption, help: "The folders of scans and masks.")
    var data: [String]

    @Option(help: "The folder for the results; it is made if it is missing.")
    var output: String

    @Flag(help: "Go on from the output folder's checkpoint; without one, begin.")
    var resume = false

    @Option(help: "Draw the first samples into this PNG, and train nothing.")
    var sheet: String?

    @Option(help: "Save and stop after this many minutes.")
    var minutes: Double?

    @OptionGroup var threads: ThreadOption

    func validate() throws {
        guard minutes.map({ $0 > 0 }) ?? true else { throw ValidationError("--minutes must be above 0.") }
    }
}

extension ModelMetadata.Stage: ExpressibleByArgument {}

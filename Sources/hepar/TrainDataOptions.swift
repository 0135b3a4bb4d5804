import ArgumentParser
import Foundation
import Inference
import Training

/// Options of `hepar train` about what is learnt from.
struct TrainDataOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: "The model's window in HU, low,high: values outside are clipped.")
    var window = "-200,200"

    @Option(
        help: """
            Millimetres that scans are resampled to, x,y,z, or native; stage lesion is always native. \
            (default: 1,1,2.5 for liver)
            """)
    var spacing: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Cases whose slices are not neighbours; each is stacked with itself. NAME.json beside one says so too.",
            valueName: "names"))
    var singleSlices: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Cases whose mask does not tell lesion from liver: stage lesion learns from them where either is.",
            valueName: "names"))
    var mergedLabels: [String] = []

    @Option(help: "Phantoms to mix in.")
    var phantoms = 0

    @Option(help: "The model's licence, for its file.")
    var licence = "not stated"

    @Option(help: "What the model was trained on, for its file. (default: the number of cases and phantoms)")
    var trainedOn: String?

    /// What is learnt from, checked.
    func options(stage: ModelMetadata.Stage, validation: [String]) throws -> DataOptions {
        let options = DataOptions(
            stage: stage, window: try numberRange(window, "--window"), spacing: try millimetres(stage),
            validation: validation, singleSlices: separated(singleSlices), mergedLabels: separated(mergedLabels),
            phantoms: phantoms)
        try options.check()
        return options
    }

    private func millimetres(_ stage: ModelMetadata.Stage) throws -> SIMD3<Double>? {
        let text = spacing ?? (stage == .liver ? "1,1,2.5" : "native")
        if text == "native" { return nil }
        guard stage == .liver else {
            throw UserError("--spacing is \(text). Stage lesion works at each scan's own resolution: leave it out.")
        }
        guard let steps = numberList(text, count: 3) else {
            throw UserError("--spacing is \(text). Give native, or three numbers with commas, such as 1,1,2.5.")
        }
        return SIMD3(steps[0], steps[1], steps[2])
    }

    /// What decides about the result, by option.
    func facts(_ options: DataOptions) -> [String: String] {
        [
            "--window": "\(options.window.lowerBound),\(options.window.upperBound)",
            "--spacing": options.spacing.map { "\($0.x),\($0.y),\($0.z)" } ?? "native",
            "--validate": options.validation.joined(separator: " "),
            "--single-slices": options.singleSlices.joined(separator: " "),
            "--merged-labels": options.mergedLabels.joined(separator: " "), "--phantoms": "\(options.phantoms)",
        ]
    }
}

/// Options of `hepar train` about validation.
struct TrainValidationOptions: ParsableArguments {
    @Option(
        name: .customLong("validate"), parsing: .upToNextOption,
        help: ArgumentHelp("Cases that are never trained on, and whose Dice is told.", valueName: "case"))
    var cases: [String] = []

    @Option(name: .customLong("validate-every"), help: "Steps from one validation to the next. (default: an epoch)")
    var every: Int?

    @Option(name: .customLong("validate-slices"), help: "Validate on every n-th slice only, to save time.")
    var slices = 1

    /// The cases' names.
    var names: [String] { separated(cases) }

    func validate() throws {
        guard every.map({ $0 >= 1 }) ?? true else { throw ValidationError("--validate-every must be 1 or more.") }
        guard (1...1000).contains(slices) else { throw ValidationError("--validate-slices must be from 1 to 1000.") }
    }
}

/// Names that were given one by one or with commas between them.
func separated(_ given: [String]) -> [String] {
    given.flatMap { $0.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) } }.filter { !$0.isEmpty }
}

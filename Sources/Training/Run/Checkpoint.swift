internal import Foundation
internal import Inference

/// A training between two steps: all that the next step depends on. Batches are a function of their step, so there is
/// no random state to keep.
///
/// The file is a safetensors file of F32 arrays; the same training gives the same bytes.
struct Checkpoint: Equatable {
    /// Steps made.
    var step: Int
    /// ``TrainableNetwork/parameters`` and ``TrainableNetwork/averages``.
    var parameters, averages: [Float]
    /// What the optimiser remembers, by name.
    var memory: [String: [Float]]
    /// The moving average of the weights, where it is wanted.
    var smoothed: WeightAverage?
    /// The options that decide about the result, by the name that the user knows.
    var options: [String: String]

    private static let version = "1"
    private static let memoryPrefix = "optimiser."
    private static let optionPrefix = "option."

    /// Writes the file: a reader sees the old one or the new one, whole.
    func write(to url: URL) throws(TrainingError) {
        var arrays = ["parameters": parameters, "averages": averages]
        for (name, values) in memory { arrays[Self.memoryPrefix + name] = values }
        if let smoothed {
            arrays["smoothed.parameters"] = smoothed.parameters
            arrays["smoothed.averages"] = smoothed.averages
        }
        var metadata = ["hepar_checkpoint": Self.version, "step": String(step)]
        for (name, value) in options { metadata[Self.optionPrefix + name] = value }
        let tensors = arrays.mapValues { Tensor(shape: [$0.count], values: $0) }
        do throws(ModelError) {
            try Safetensors(metadata: metadata, tensors: tensors).write(to: url)
        } catch {
            throw .unwritable(file: url.lastPathComponent, reason: unwritableReason(error))
        }
    }

    /// A training as it stands.
    init(
        step: Int, parameters: [Float], averages: [Float], memory: [String: [Float]], smoothed: WeightAverage?,
        options: [String: String]
    ) {
        self.step = step
        self.parameters = parameters
        self.averages = averages
        self.memory = memory
        self.smoothed = smoothed
        self.options = options
    }

    /// Reads the file.
    ///
    /// - Throws: ``TrainingError/badCheckpoint(reason:)``.
    init(reading url: URL) throws(TrainingError) {
        let file: Safetensors
        do throws(ModelError) { file = try Safetensors(reading: url) } catch {
            throw .badCheckpoint(reason: "\(error)")
        }
        guard file.metadata["hepar_checkpoint"] == Self.version else {
            throw .badCheckpoint(reason: "it was not written by this version of hepar train")
        }
        guard let step = file.metadata["step"].flatMap({ Int($0) }), step >= 0 else {
            throw .badCheckpoint(reason: "it does not say how many steps were made")
        }
        var arrays = file.tensors.mapValues(\.values)
        guard let parameters = arrays.removeValue(forKey: "parameters"),
            let averages = arrays.removeValue(forKey: "averages")
        else { throw .badCheckpoint(reason: "it has no weights") }
        if let first = arrays.removeValue(forKey: "smoothed.parameters"),
            let second = arrays.removeValue(forKey: "smoothed.averages")
        {
            smoothed = WeightAverage(parameters: first, averages: second)
        }
        self.step = step
        self.parameters = parameters
        self.averages = averages
        memory = Self.stripped(arrays, of: Self.memoryPrefix)
        options = Self.stripped(file.metadata, of: Self.optionPrefix)
    }

    /// The entries whose names begin with `prefix`, under what is left of their names.
    private static func stripped<Value>(_ entries: [String: Value], of prefix: String) -> [String: Value] {
        var result: [String: Value] = [:]
        for (name, value) in entries where name.hasPrefix(prefix) {
            result[String(name.dropFirst(prefix.count))] = value
        }
        return result
    }

    /// Says how `wanted` differs from the options of this checkpoint: half a sentence for each option, in order.
    func differences(from wanted: [String: String]) -> [String] {
        Set(options.keys).union(wanted.keys).sorted().compactMap { name in
            guard options[name] != wanted[name] else { return nil }
            return "\(name) was \(options[name] ?? "not given") and is now \(wanted[name] ?? "not given")"
        }
    }
}

/// The system's reason, without the sentence around it.
func unwritableReason(_ error: ModelError) -> String {
    if case .unwritable(let reason) = error { reason } else { "\(error)" }
}

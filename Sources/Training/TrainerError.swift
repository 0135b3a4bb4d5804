public import Inference

/// Why a training cannot begin, go on or keep its results.
public enum TrainerError: Error, Equatable, Sendable {
    /// The model to begin with is a network of another size.
    case otherNetwork(found: Architecture, wanted: Architecture)
    /// The output folder holds a training, and nothing was said of resuming it.
    case alreadyBegun(file: String)
    /// The checkpoint belongs to a training with other options; each difference is half a sentence.
    case otherOptions([String])
    /// The checkpoint cannot be read.
    case badCheckpoint(reason: String)
    /// A result cannot be written.
    case unwritable(file: String, reason: String)
    /// The loss, or a parameter after the step, is not a finite number.
    case diverged(step: Int, what: String)
    /// A validation case cannot be used.
    case badValidationCase(name: String, reason: String)
}

extension TrainerError {
    /// Whether the user can mend it by changing the command or its files.
    public var isUsersFault: Bool {
        switch self {
        case .unwritable: false
        default: true
        }
    }
}

extension TrainerError: CustomStringConvertible {
    /// What is wrong, then what to change.
    public var description: String {
        switch self {
        case .otherNetwork(let found, let wanted):
            """
            The model to begin with has \(text(found)); this training is for \(text(wanted)). Give a model of the same \
            stage and width.
            """
        case .alreadyBegun(let file):
            "The output folder holds \(file), a training that has begun. Add --resume, or choose another folder."
        case .otherOptions(let differences):
            """
            The checkpoint belongs to a training with other options: \(differences.joined(separator: "; ")). Give the \
            options of then, or choose another output folder.
            """
        case .badCheckpoint(let reason):
            "The checkpoint cannot be used: \(reason). Remove it to begin anew."
        case .unwritable(let file, let reason):
            "\(file) cannot be written: \(reason)."
        case .diverged(let step, let what):
            """
            Training diverged at step \(step): \(what) is not a finite number. The last checkpoint is kept; try a lower \
            learning rate in another output folder.
            """
        case .badValidationCase(let name, let reason):
            "Validation case \(name) cannot be used: \(reason)"
        }
    }
}

private func text(_ network: Architecture) -> String {
    "width \(network.width), \(network.slices) slices and \(network.classes) classes"
}

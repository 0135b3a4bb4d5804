public import Inference

/// Why a training cannot begin, go on or keep its results. All but ``unwritable(file:reason:)`` are for the user to fix.
public enum TrainingError: Error, Equatable, Sendable {
    /// A data folder cannot be listed.
    case folderUnreadable(folder: String, reason: String)
    /// Two data folders have a case of this name.
    case sameName(String)
    /// A data folder's spacing.json cannot be used.
    case badSpacings(reason: String)
    /// No case of the data folder can be learnt from; `skipped` were found and skipped.
    case nothingToLearn(skipped: Int)
    /// An option, told in words, names a case that the data folder does not have.
    case unknownCase(name: String, option: String)
    /// An option's value cannot be used; `accepted` says what can.
    case badOption(name: String, found: String, accepted: String)
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

extension TrainingError {
    /// Whether the user can mend it by changing the command or its files.
    public var isUsersFault: Bool {
        if case .unwritable = self { false } else { true }
    }
}

extension TrainingError: CustomStringConvertible {
    /// What is wrong, with the value found, then what would be accepted.
    public var description: String {
        switch self {
        case .folderUnreadable(let folder, let reason):
            "The data folder \(folder) cannot be read: \(reason)."
        case .sameName(let name):
            "Two data folders have a case named \(name). Rename one: a name must tell which case is meant."
        case .badSpacings(let reason):
            """
            A data folder's spacing.json cannot be used: \(reason). It must be {"spacing_mm": {"NAME": [x, y, z]}}, \
            millimetres between stored voxels.
            """
        case .nothingToLearn(let skipped):
            """
            The data folder has no case to train on; \(skipped) were found and skipped. A case is a CT named \
            NAME_ct.nii.gz and its mask named NAME_seg.nii.gz, on the same grid, with labels 0, 1 and 2.
            """
        case .unknownCase(let name, let option):
            """
            The case \(String(reflecting: name)) (\(option)) is not in the data folder. Give the part of a file's name \
            before _ct.nii.gz.
            """
        case .badOption(let name, let found, let accepted):
            "The \(name) is \(found). It must be \(accepted)."
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
            Training diverged at step \(step): \(what) is not a finite number. What was saved before is kept. Begin anew \
            with a lower learning rate in another output folder; --init takes the model that was saved.
            """
        case .badValidationCase(let name, let reason):
            "Validation case \(name) cannot be used: \(reason)"
        }
    }
}

private func text(_ network: Architecture) -> String {
    "width \(network.width), \(network.slices) slices and \(network.classes) classes"
}

/// Why a network cannot be trained. Every case is for the user to fix.
public enum TrainingError: Error, Equatable, Sendable {
    /// The data folder cannot be listed.
    case folderUnreadable(reason: String)
    /// No case of the data folder can be learnt from; `skipped` were found and skipped.
    case nothingToLearn(skipped: Int)
    /// An option, told in words, names a case that the data folder does not have.
    case unknownCase(name: String, option: String)
    /// An option's value cannot be used; `accepted` says what can.
    case badOption(name: String, found: String, accepted: String)
}

extension TrainingError: CustomStringConvertible {
    /// What is wrong, with the value found, then what would be accepted.
    public var description: String {
        switch self {
        case .folderUnreadable(let reason):
            "The data folder cannot be read: \(reason)."
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
        }
    }
}

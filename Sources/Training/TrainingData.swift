public import Compute
public import Foundation

/// A case that is not trained on because something is wrong with it.
public struct SkippedCase: Equatable, Sendable {
    /// The part of the file's name before `_ct`.
    public let name: String
    /// What is wrong, a sentence for the user.
    public let reason: String
}

/// A case to validate on, not loaded.
public struct ValidationCase: Equatable, Sendable {
    /// The part of the file's name before `_ct`.
    public let name: String
    /// The CT's file and its mask's.
    public let ct, mask: URL
}

/// All cases to train on, in memory.
public struct TrainingData: Sendable {
    /// What the data was prepared with.
    public let options: DataOptions
    /// Adjacent axial slices in a sample, odd.
    public let slices: Int
    /// The cases to train on: the folder's by name, then phantoms.
    public let cases: [TrainingCase]
    /// The cases to validate on, in the order in which the options name them.
    public let validationCases: [ValidationCase]
    /// The cases found faulty, by name.
    public let skipped: [SkippedCase]

    /// Reads a data folder: each `NAME_ct.nii.gz` (or .nii) with its `NAME_seg.nii.gz` (or .nii).
    public init(
        folder: URL, options: DataOptions, slices: Int = 5, team: ThreadTeam, report: (String) -> Void
    ) throws(TrainingError) {
        fatalError("not written yet")
    }
}

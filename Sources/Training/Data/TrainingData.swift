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
    /// The true distance of its stored voxels in mm, where the data folder knows better than the header.
    let storedSpacing: SIMD3<Double>?
}

/// All cases to train on, in memory: 3 bytes a voxel.
public struct TrainingData: Sendable {
    /// What the data was prepared with.
    public let options: DataOptions
    /// Adjacent axial slices in a sample, odd.
    public let slices: Int
    /// The cases to train on: the folder's by name, then phantoms. Each has a slice that can be a sample's centre.
    public let cases: [TrainingCase]
    /// The cases to validate on, in the order in which the options name them.
    public let validationCases: [ValidationCase]
    /// The cases that were found and not used, by name.
    public let skipped: [SkippedCase]

    /// Data of cases that are in memory already.
    init(
        _ cases: [TrainingCase], options: DataOptions, slices: Int = 5, validationCases: [ValidationCase] = [],
        skipped: [SkippedCase] = []
    ) {
        precondition(slices > 0 && slices % 2 == 1)
        self.options = options
        self.slices = slices
        self.cases = cases.filter { !$0.centres.isEmpty }
        self.validationCases = validationCases
        self.skipped = skipped
    }

    /// Reads data folders, and makes the phantoms.
    ///
    /// A case is a CT named `NAME_ct.nii.gz` (or .nii) with its mask, `NAME_seg.nii.gz` (or .nii), on the same grid. What
    /// cannot be used is skipped: a case without a mask, with a file that cannot be read, with a mask of another grid,
    /// under whatever name a scan that is a validation case's, and in the lesion stage a scan without liver.
    ///
    /// - Parameters:
    ///   - folders: where the files are; other files do not matter.
    ///   - options: what to use, and how to prepare it.
    ///   - slices: adjacent axial slices in a sample, odd.
    ///   - team: the threads that prepare slices.
    ///   - report: is given a line for each case that is skipped or loses slices to validation, when it is.
    /// - Throws: ``TrainingError``, also where nothing is left to learn from.
    public init(
        folders: [URL], options: DataOptions, slices: Int = 5, team: ThreadTeam, report: (String) -> Void
    ) throws(TrainingError) {
        try options.check()
        let files = try CaseFiles.list(folders)
        let named = [
            ("to validate on", options.validation), ("single slices", options.singleSlices),
            ("merged labels", options.mergedLabels),
        ]
        for (option, names) in named {
            for name in names where !files.contains(where: { $0.name == name }) {
                throw .unknownCase(name: name, option: option)
            }
        }
        var cases: [TrainingCase] = []
        var validation: [String: ValidationCase] = [:]
        var skipped: [SkippedCase] = []
        var heldOut = HeldOut(numbers: Set(options.validation.compactMap(number(of:))), fingerprints: [])
        // Validation cases first: what they look like decides what else must be left out.
        let (held, learnt) = (
            files.filter { options.validation.contains($0.name) },
            files.filter { !options.validation.contains($0.name) }
        )
        for file in held + learnt {
            do throws(CaseFault) {
                guard let mask = file.mask else { throw CaseFault("It has no mask named \(file.name)_seg.nii.gz.") }
                if options.validation.contains(file.name) {
                    heldOut.fingerprints.append(try file.fingerprints(team: team))
                    validation[file.name] = ValidationCase(
                        name: file.name, ct: file.ct, mask: mask, storedSpacing: file.spacing)
                } else {
                    let (made, leftOut) = try file.load(mask: mask, options: options, without: heldOut, team: team)
                    cases.append(made)
                    if leftOut > 0 {
                        report(
                            "\(leftOut) slices of \(file.name) are left out: they are of validation cases' patients.")
                    }
                }
            } catch {
                skipped.append(SkippedCase(name: file.name, reason: error.reason))
                report("\(file.name) is skipped. \(error.reason)")
            }
        }
        skipped.sort { $0.name < $1.name }
        // An empty folder with phantoms is a choice; a folder of faulty files is not.
        guard cases.contains(where: { !$0.centres.isEmpty }) || (options.phantoms > 0 && skipped.isEmpty) else {
            throw .nothingToLearn(skipped: skipped.count)
        }
        cases += phantomCases(options, team: team)
        self.init(
            cases, options: options, slices: slices, validationCases: options.validation.compactMap { validation[$0] },
            skipped: skipped)
    }
}

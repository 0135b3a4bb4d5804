import ArgumentParser
import Cases
import Compute
import Foundation
import Imaging
import Metrics

/// `hepar evaluate`: scores of masks against references.
struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Score masks against references, as LiTS does.",
        discussion: """
            All are label maps: 0 background, 1 liver, 2 lesion; a mask and its reference are on the same grid. Of two \
            folders, files of the same name belong together, whatever follows it of _ct, _seg, _mask and _reference: \
            X_mask.nii.gz and X_seg.nii. Each case is told, then mean and standard deviation over them. A case that cannot \
            be scored is told and left out; the exit code is 2 then.
            """)

    @Argument(help: "The mask to judge, or a folder of masks.")
    var prediction: String

    @Argument(help: "The reference, or a folder of references.")
    var reference: String

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Print comma-separated values, a row for each case.")
    var csv = false

    @OptionGroup var threads: ThreadOption

    func validate() throws {
        guard !(json && csv) else { throw ValidationError("Give --json or --csv, not both.") }
    }

    func run() throws {
        let team = ThreadTeam(threads: threads.capped())
        let (prediction, reference) = (URL(filePath: prediction), URL(filePath: reference))
        guard reference.isFolder else {
            let scores = try scores(of: prediction, reference, team: team)
            return try show(
                scores, ReportText.table(of: scores), CSV.text(ScoreRows.table([(caseName(prediction), scores)])))
        }
        let pairs = try pairs(prediction, reference)
        var cases: [(name: String, scores: CaseScores)] = []
        for pair in pairs {
            do {
                cases.append((pair.name, try scores(of: pair.prediction, pair.reference, team: team)))
                FileHandle.standardError.write(Data("\(pair.name): scored\n".utf8))
            } catch let error as UserError {
                FileHandle.standardError.write(Data("hepar: \(pair.name): \(error)\n".utf8))
            }
        }
        guard !cases.isEmpty else { throw ExitCode(2) }
        let set = DataSetScores(cases.map(\.scores))
        try show(
            EachAndAll(each: cases.map { EachAndAll.Each(name: $0.name, scores: $0.scores) }, all: set),
            ReportText.table(of: cases, set), CSV.text(ScoreRows.table(cases)))
        if cases.count < pairs.count { throw ExitCode(2) }
    }

    private func show(_ scores: some Encodable, _ table: String, _ values: String) throws {
        if json { return print(String(decoding: try JSONEncoder.hepar.encode(scores), as: UTF8.self)) }
        print(csv ? values : table, terminator: csv ? "" : "\n")
    }

    private func scores(of prediction: URL, _ reference: URL, team: ThreadTeam) throws -> CaseScores {
        let limits = VolumeLimits()
        let labels = try naming(prediction) { () throws(VolumeError) in
            try readLabels(at: prediction, limits: limits, team: team)
        }
        let truth = try naming(reference) { () throws(VolumeError) in
            try readReference(reference, of: labels.header, limits: limits, team: team)
        }
        return score(prediction: labels.volume, reference: truth, team: team)
    }

    /// With two files the user must know which of them is wrong.
    private func naming<Result>(_ file: URL, _ body: () throws(VolumeError) -> Result) throws -> Result {
        do throws(VolumeError) {
            return try body()
        } catch {
            throw error.isUsersFault ? UserError("\(file.relativePath): \(error)") : error
        }
    }

    /// The masks and references of the same cases. A file without a partner is told: a missing mask flatters the mean.
    private func pairs(
        _ predictions: URL, _ references: URL
    ) throws -> [(name: String, prediction: URL, reference: URL)] {
        guard predictions.isFolder else { throw UserError("\(predictions.path) is not a folder, as the reference is.") }
        let (masks, truths) = (try labelMaps(in: predictions), try labelMaps(in: references))
        let names = Set(masks.keys).intersection(truths.keys).sorted()
        guard !names.isEmpty else {
            throw UserError("No .nii or .nii.gz file of \(predictions.path) has the name of one of \(references.path).")
        }
        for (folder, files, others) in [(predictions, masks, truths), (references, truths, masks)] {
            for (name, file) in files.sorted(by: { $0.key < $1.key }) where others[name] == nil {
                let sentence = "\(file.lastPathComponent) of \(folder.relativePath) has no partner and is not scored."
                FileHandle.standardError.write(Data("warning: \(sentence)\n".utf8))
            }
        }
        return names.compactMap { name in
            masks[name].flatMap { mask in truths[name].map { (name, mask, $0) } }
        }
    }

    /// The label maps of a folder by their cases' names; a CT that has its mask beside it is none.
    private func labelMaps(in folder: URL) throws -> [String: URL] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { isVolumeName($0) && !$0.hasPrefix(".") }.sorted()
        let masks = names.filter { isMask($0, beside: names) }
        let scans = names.filter { name in
            !masks.contains(name) && masks.contains { caseName(URL(filePath: $0)) == caseName(URL(filePath: name)) }
        }
        var found: [String: URL] = [:]
        for name in names where !scans.contains(name) {
            let file = folder.appending(path: name)
            if let other = found.updateValue(file, forKey: caseName(file)) {
                throw UserError(
                    """
                    \(folder.relativePath) has two files of the case \(caseName(file)): \(other.lastPathComponent) and \
                    \(name). Leave one of them there.
                    """)
            }
        }
        return found
    }
}

/// The scores of each case, and over all: JSON with the keys of ``DataSetScores`` and `each`.
private struct EachAndAll: Encodable {
    struct Each: Encodable {
        let name: String
        let scores: CaseScores
    }

    let each: [Each]
    let all: DataSetScores

    private enum CodingKeys: CodingKey { case each }

    func encode(to encoder: any Encoder) throws {
        try all.encode(to: encoder)
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(each, forKey: .each)
    }
}

/// Scores as rows of a table for spreadsheets; empty where a score is not defined.
private enum ScoreRows {
    static func table(_ cases: [(name: String, scores: CaseScores)]) -> [[String]] {
        let scores = ["dice", "voe", "rvd", "rvd_lits_program", "assd_mm", "rmsd_mm", "mssd_mm"]
        let regions = ["liver", "lesion"].flatMap { region in
            (scores + ["prediction_ml", "reference_ml"]).map { "\(region)_\($0)" }
        }
        let found = ["reference_lesions", "found_lesions", "prediction_lesions", "true_lesions"]
        return [["name"] + regions + found] + cases.map { [$0.name] + row($0.scores) }
    }

    private static func row(_ scores: CaseScores) -> [String] {
        let regions: [Double?] = [scores.liver, scores.lesion].flatMap { region -> [Double?] in
            [
                region.dice, region.voe, region.rvd, region.rvdLiTSProgram, region.assd, region.rmsd, region.mssd,
                region.predictionMillilitres, region.referenceMillilitres,
            ]
        }
        let found = scores.detection
        let counts = [
            found.referenceLesions, found.overZero.foundReferences, found.predictionLesions,
            found.overZero.truePredictions,
        ]
        return regions.map { $0.map { String(format: "%.6f", $0) } ?? "" } + counts.map { "\($0)" }
    }
}

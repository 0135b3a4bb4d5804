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
            folders, files of the same name belong together, and the scores are means over the cases.
            """)

    @Argument(help: "The mask to judge, or a folder of masks.")
    var prediction: String

    @Argument(help: "The reference, or a folder of references.")
    var reference: String

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var threads: ThreadOption

    func run() throws {
        let team = ThreadTeam(threads: threads.capped())
        let (prediction, reference) = (URL(filePath: prediction), URL(filePath: reference))
        guard reference.isFolder else {
            return try show(try scores(of: prediction, reference, team: team), ReportText.table(of:))
        }
        var cases: [CaseScores] = []
        for name in try namesInBoth(prediction, reference) {
            let pair = (prediction.appending(path: name), reference.appending(path: name))
            cases.append(try scores(of: pair.0, pair.1, team: team))
            FileHandle.standardError.write(Data("\(name): scored\n".utf8))
        }
        try show(DataSetScores(cases), ReportText.table(of:))
    }

    private func show<Scores: Encodable>(_ scores: Scores, _ table: (Scores) -> String) throws {
        print(json ? String(decoding: try JSONEncoder.hepar.encode(scores), as: UTF8.self) : table(scores))
    }

    private func scores(of prediction: URL, _ reference: URL, team: ThreadTeam) throws -> CaseScores {
        let limits = VolumeLimits()
        let labels = try readLabels(at: prediction, limits: limits, team: team)
        let truth = try readReference(reference, of: labels.header, limits: limits, team: team)
        return score(prediction: labels.volume, reference: truth, team: team)
    }

    /// The NIfTI files of the reference folder; each must have its mask, for a missing one would flatter the mean.
    private func namesInBoth(_ predictions: URL, _ references: URL) throws -> [String] {
        guard predictions.isFolder else { throw UserError("\(predictions.path) is not a folder, as the reference is.") }
        let names = try FileManager.default.contentsOfDirectory(atPath: references.path)
            .filter { $0.lowercased().hasSuffix(".nii") || $0.lowercased().hasSuffix(".nii.gz") }.sorted()
        guard !names.isEmpty else { throw UserError("\(references.path) holds no .nii or .nii.gz file.") }
        for name in names where !FileManager.default.fileExists(atPath: predictions.appending(path: name).path) {
            throw UserError("\(predictions.path) has no \(name), which is among the references.")
        }
        return names
    }
}

extension URL {
    /// Whether there is a folder at this place.
    fileprivate var isFolder: Bool { (try? resourceValues(forKeys: [.isDirectoryKey]))?.isDirectory == true }
}

import ArgumentParser
import Cases
import Compute
import Foundation
import Imaging
import Inference
import Segmentation

/// `hepar segment`: one CT to its mask and report.
struct Segment: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Segment one CT scan.",
        discussion: """
            Writes a label map on the scan's own grid (0 background, 1 liver, 2 lesion) and, if asked, a report in JSON \
            with the lesion table, volumes, timings and, given a reference, the scores.
            """)

    @Argument(help: "The CT: .nii or .nii.gz, in Hounsfield units.")
    var ct: String

    @Option(name: .shortAndLong, help: "Where the mask is written: .nii or .nii.gz.")
    var output: String

    @Option(help: "Where the report is written, in JSON.")
    var report: String?

    @Option(help: "A label map on the same grid to score the mask against.")
    var reference: String?

    @Option(help: "Where the lesion probabilities are written: .nii or .nii.gz.")
    var probabilities: String?

    @OptionGroup var engine: EngineOptions

    @Flag(help: "Run stage 2 on whole slices, as the paper did, not only around the liver.")
    var full = false

    func run() throws {
        for path in [output, probabilities].compactMap({ $0 }) {
            guard path.lowercased().hasSuffix(".nii.gz") || path.lowercased().hasSuffix(".nii") else {
                throw UserError("The output is named \(path). Its name must end in .nii.gz or .nii.")
            }
        }
        for path in [output, report, probabilities].compactMap({ $0 }) {
            let folder = URL(filePath: path).deletingLastPathComponent().path
            guard FileManager.default.isWritableFile(atPath: folder) else {
                throw UserError("\(path) cannot be written. Choose a folder that exists and that you may write to.")
            }
        }
        let models = ModelMetadata.Stage.allCases.flatMap { Segmenter.files(of: $0, in: engine.modelFolder) }
        try refuseOverwriting(
            [NamedFile("the CT", ct)] + (reference.map { [NamedFile("the reference", $0)] } ?? [])
                + models.map { NamedFile("the model's \($0.lastPathComponent)", $0) },
            by: [("--output", output), ("--report", report), ("--probabilities", probabilities)]
                .compactMap { name, path in path.map { NamedFile(name, $0) } })
        // The same judgement as an upload gets: truncation, a damaged gzip, air only.
        let findings = try inspectScan(at: URL(filePath: ct)).findings
        let team = ThreadTeam(threads: engine.threads.capped())
        let segmenter = try Segmenter(
            models: engine.modelFolder, algorithm: engine.algorithm, instructions: engine.instructions,
            team: team)
        let files = Case(
            image: URL(filePath: ct), reference: reference.map { URL(filePath: $0) }, mask: URL(filePath: output),
            probabilities: probabilities.map { URL(filePath: $0) },
            options: Segmenter.Options(full: full, probabilities: probabilities != nil), findings: findings)
        let bar = ProgressBar()
        let result = try Cases.run(files, with: segmenter, team: team) { bar.show($0) }
        bar.finish()
        if let report {
            try JSONEncoder.hepar.encode(result).write(to: URL(filePath: report), options: .atomic)
        }
        print(ReportText.summary(of: result))
    }
}

/// Options of every command that runs the network.
struct EngineOptions: ParsableArguments {
    @Option(help: "The model folder: liver.safetensors and lesion.safetensors.")
    var model: String?

    @OptionGroup var threads: ThreadOption

    @Option(help: "How convolutions are computed: \(Algorithm.allCases.map(\.rawValue).joined(separator: ", ")).")
    var algorithm = Algorithm.winograd

    @Option(
        help: ArgumentHelp(
            "Vector instructions: \(InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")).",
            visibility: .hidden))
    var instructions: InstructionSet?

    mutating func validate() throws {
        if let instructions, !instructions.isAvailable {
            throw ValidationError("This CPU has no \(instructions.rawValue).")
        }
    }

    /// The folder given, or `Models/default` of the working folder, or the one installed beside the executable.
    var modelFolder: URL { model.map { URL(filePath: $0) } ?? Self.defaultModelFolder }

    /// Where the model lies that is used when none is named.
    static var defaultModelFolder: URL {
        // Not the name that the program was called by: found by PATH, that is "hepar" in the working folder.
        let executable = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let candidates = [
            URL(filePath: "Models/default"), executable.appending(path: "../share/hepar/Models/default"),
            executable.appending(path: "../../../Models/default"),
        ]
        return candidates.first { FileManager.default.fileExists(atPath: $0.path) } ?? candidates[0]
    }
}

extension Algorithm: ExpressibleByArgument {}

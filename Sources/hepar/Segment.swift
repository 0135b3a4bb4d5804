import ArgumentParser
import Cases
import Compute
import Foundation
import Imaging
import Inference
import Segmentation

/// `hepar segment`: CTs to their masks and reports.
struct Segment: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Segment CT scans: NIfTI or DICOM, one or a folder of them.",
        discussion: """
            A mask is a label map on the scan's own grid: 0 background, 1 liver, 2 lesion. With a folder as --output each \
            scan NAME gets NAME_mask.nii.gz and NAME_report.json there, volumes.csv and lesions.csv tell of all, and what \
            is there already is not done again. Of a folder or zip of several DICOM volumes one is taken and the report \
            says which; hepar import-dicom takes another.
            """)

    @Argument(help: "CTs: .nii, .nii.gz, a .zip or folder of DICOM files, or folders of all these.")
    var scans: [String]

    @Option(name: .shortAndLong, help: "The mask of one scan, .nii or .nii.gz; or a folder for all that is made.")
    var output: String

    @Option(help: "Where the report of one scan is written, in JSON.")
    var report: String?

    @Option(help: "A label map on one scan's grid to score its mask against.")
    var reference: String?

    @Option(help: "Where the lesion probabilities of one scan are written: .nii or .nii.gz.")
    var probabilities: String?

    @Flag(help: "Draw slices with outlines too: NAME_preview.png.")
    var preview = false

    @Flag(help: "Write the report as a page too: NAME_report.html.")
    var html = false

    @Flag(help: "Write masks of DICOM scans as DICOM segmentation objects too: NAME_seg.dcm.")
    var seg = false

    @Flag(help: "Run stage 2 on whole slices, as the paper did, not only around the liver.")
    var full = false

    @OptionGroup var engine: EngineOptions

    func run() throws {
        let isOne = isVolumeName(output)
        let found = try findScans(scans.map { URL(filePath: $0) }, except: isOne ? nil : URL(filePath: output))
        guard !seg || found.contains(where: \.isDicom) else {
            throw UserError("--seg makes DICOM masks of DICOM scans, and none of these is DICOM. Leave it out.")
        }
        let cases = try isOne ? [one(found)] : many(found)
        let extras = CaseExtras(preview: preview, html: html, seg: seg)
        try refuseOverwriting(found, by: cases, extras)
        let team = ThreadTeam(threads: engine.threads.capped())
        let segmenter = try Segmenter(
            models: engine.modelFolder, algorithm: engine.algorithm, instructions: engine.instructions, team: team)
        let options = Segmenter.Options(full: full, probabilities: probabilities != nil)
        let bench = CaseBench(segmenter: segmenter, team: team, options: options, extras: extras)
        guard isOne else {
            let worst = try SegmentFolder(folder: URL(filePath: output), bench: bench).run(cases)
            if worst != 0 { throw ExitCode(worst) }
            return
        }
        let bar = ProgressBar()
        let result = try bench.run(cases[0]) { bar.show($0) }
        bar.finish()
        print(ReportText.summary(of: result.report))
        if let error = result.missing { throw error }
    }

    /// The only scan, with a mask where the user wants it.
    private func one(_ found: [FoundScan]) throws -> CaseFiles {
        guard found.count == 1 else {
            throw UserError("\(output) is one mask, but there are \(found.count) scans. Give --output a folder's name.")
        }
        for path in [probabilities].compactMap({ $0 }) where !isVolumeName(path) {
            throw UserError("The output is named \(path). Its name must end in .nii.gz or .nii.")
        }
        for path in [output, report, probabilities].compactMap({ $0 }) {
            let folder = URL(filePath: path).deletingLastPathComponent().path
            guard FileManager.default.isWritableFile(atPath: folder) else {
                throw UserError("\(path) cannot be written. Choose a folder that exists and that you may write to.")
            }
        }
        if let reference { try requirePresent(URL(filePath: reference)) }
        return CaseFiles(
            scan: found[0], mask: URL(filePath: output), report: report.map { URL(filePath: $0) },
            reference: reference.map { URL(filePath: $0) }, probabilities: probabilities.map { URL(filePath: $0) })
    }

    /// All scans, each with its files in the output folder, which is made.
    private func many(_ found: [FoundScan]) throws -> [CaseFiles] {
        for (name, path) in [("--report", report), ("--reference", reference), ("--probabilities", probabilities)]
        where path != nil {
            throw UserError(
                """
                \(name) is for one scan, whose --output ends in .nii.gz or .nii. In a folder each scan has its report; \
                hepar evaluate scores a folder of masks.
                """)
        }
        let folder = URL(filePath: output, directoryHint: .isDirectory)
        guard folder.isFolder || folder.pathExtension.isEmpty else {
            throw UserError(
                """
                The output is named \(output). One mask's name must end in .nii.gz or .nii; a folder with a point in its name \
                must be there already.
                """)
        }
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            throw UserError("\(output) cannot be made a folder. Choose a place that you may write to.")
        }
        guard FileManager.default.isWritableFile(atPath: folder.path) else {
            throw UserError("\(output) cannot be written. Choose a folder that you may write to.")
        }
        return found.map { CaseFiles(scan: $0, in: folder) }
    }

    private func refuseOverwriting(_ found: [FoundScan], by cases: [CaseFiles], _ extras: CaseExtras) throws {
        let models = ModelMetadata.Stage.allCases.flatMap { Segmenter.files(of: $0, in: engine.modelFolder) }
        let inputs =
            found.flatMap { scan in
                scan.files.map { NamedFile(found.count == 1 ? "the CT" : "the scan \(scan.name)", $0) }
            }
            + (reference.map { [NamedFile("the reference", $0)] } ?? [])
            + models.map { NamedFile("the model's \($0.lastPathComponent)", $0) }
        var outputs = cases.flatMap { $0.outputs(extras) }
        if !isVolumeName(output) {
            outputs += CaseTables.names.map { NamedFile($0, URL(filePath: output).appending(path: $0)) }
        }
        try hepar.refuseOverwriting(inputs, by: outputs)
    }
}

/// Whether a name is a NIfTI file's.
func isVolumeName(_ name: String) -> Bool {
    let name = name.lowercased()
    return name.hasSuffix(".nii.gz") || name.hasSuffix(".nii")
}

import ArgumentParser
import Compute
import Dicom
import Foundation

/// `hepar import-dicom`: one CT volume out of DICOM files.
struct ImportDicom: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import-dicom",
        abstract: "Make one CT volume of DICOM files.",
        discussion: """
            Takes the volume that was measured before computed ones, of a soft kernel before sharp ones, axial, \
            portal-venous, then the one with most slices, and writes it in Hounsfield units. What was chosen among what is \
            printed; nothing that names the patient is.
            """)

    @Argument(help: "DICOM files, folders of them, or one .zip of them.")
    var files: [String]

    @Option(name: .shortAndLong, help: "Where the volume is written: .nii.gz or .nii.")
    var output: String

    @Option(help: "Take this study: its number as printed, or StudyInstanceUID.")
    var study: String?

    @Option(help: "Take this series: SeriesNumber or SeriesInstanceUID.")
    var series: String?

    @Option(help: "Take the slices of this acquisition: AcquisitionNumber.")
    var acquisition: Int?

    @Option(
        help: "Take this volume: its number as printed without --acquisition. For phases that times alone tell apart.")
    var volume: Int?

    @Flag(help: "Put UIDs into the report; they lead to the patient in an archive.")
    var uids = false

    @Flag(help: "Print the report as JSON, or the error.")
    var json = false

    @Option(help: "An existing folder where a zip is unpacked. [default: a temporary one]")
    var work: String?

    func run() throws {
        let files = try files.flatMap { path in
            let place = URL(filePath: path)
            try requirePresent(place)
            return place.isFolder ? try dicomFiles(in: place).map(\.path) : [path]
        }
        guard output.lowercased().hasSuffix(".nii.gz") || output.lowercased().hasSuffix(".nii") else {
            throw UserError("The output is named \(output). Its name must end in .nii.gz or .nii.")
        }
        try refuseOverwriting(files.map { NamedFile("an input", $0) }, by: [NamedFile("--output", output)])
        guard volume == nil || acquisition == nil else {
            throw UserError(
                "--volume and --acquisition were given. Give one: it counts volumes of all acquisitions.")
        }
        do throws(DicomError) {
            let report = try imported(files)
            print(json ? Self.text(report) : DicomText.summary(of: report))
        } catch {
            guard json else { throw error }
            print(Self.text(Failure(code: error.code, message: error.description)))
            throw ExitCode(error.isUsersFault ? 2 : 1)
        }
    }

    /// A failed import as JSON.
    private struct Failure: Encodable {
        let code, message: String
    }

    private func imported(_ files: [String]) throws(DicomError) -> DicomReport {
        let folder = work ?? FileManager.default.temporaryDirectory.appending(path: "hepar-\(UUID().uuidString)").path
        if work == nil {
            guard mkdir(folder, 0o700) == 0 else { throw .importFailed(reason: .workFolder) }
        }
        defer { if work == nil { try? FileManager.default.removeItem(atPath: folder) } }
        return try importDicom(
            files.map { URL(filePath: $0) }, work: URL(filePath: folder), output: URL(filePath: output),
            options: DicomOptions(
                study: study, series: series, acquisition: acquisition, volume: volume, includeUIDs: uids),
            team: ThreadTeam(threads: 1))
    }

    private static func text(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}

/// An import as people read it on a terminal.
private enum DicomText {
    static func summary(of report: DicomReport) -> String {
        var lines = report.volumes.map { volume in
            let number = { (value: Int?) in value.map(String.init) ?? "-" }
            let acquisitions =
                volume.acquisitionNumbers?.map(String.init).joined(separator: "+") ?? number(volume.acquisitionNumber)
            let kind = [volume.image?.rawValue, volume.kernel.map { "\($0.rawValue) kernel" }, volume.plane?.rawValue]
                .compactMap { $0 }.joined(separator: ", ")
            let spacing = volume.spacingMm.map { String(format: "%.3f", $0) }.joined(separator: " x ")
            let verdict = volume.taken ? "taken" : volume.refusal?.message ?? "not taken"
            return """
                \(volume.number): patient \(number(volume.patient)), study \(number(volume.study)), \
                series \(number(volume.seriesNumber)), acquisition \(acquisitions), \(volume.phase.rawValue), \(kind), \
                \(volume.columns) x \(volume.rows) x \(volume.slices), \(spacing) mm, \
                \(volume.transferSyntax.rawValue): \(verdict)
                """
        }
        lines += report.leftOut.map { left in
            "left out: \(left.files) \(left.files == 1 ? "file" : "files"), \(left.reason.rawValue)"
        }
        lines += report.findings.map(\.message)
        return lines.joined(separator: "\n")
    }
}

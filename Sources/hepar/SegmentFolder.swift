import Cases
import Dicom
import Foundation
import Imaging

/// Many scans into one folder: what one of them fails by does not stop the others.
struct SegmentFolder {
    let folder: URL
    let bench: CaseBench

    /// Runs the cases, telling of each in a line, and writes the tables after each.
    ///
    /// - Returns: 0 where all are there; 2 where a scan was refused; 1 where Hepar failed with one.
    func run(_ cases: [CaseFiles]) throws -> Int32 {
        let bar = ProgressBar(scans: cases.count)
        var tables = CaseTables()
        var statuses: Set<Int32> = []
        func tell(_ error: any Error, of files: CaseFiles) -> String {
            statuses.insert(HeparCommand.isUsersFault(error) ? 2 : 1)
            let sentence = HeparCommand.sentence(for: error)
            FileHandle.standardError.write(Data("hepar: \(files.scan.name): \(sentence)\n".utf8))
            return sentence
        }
        for (index, files) in cases.enumerated() {
            do {
                let outcome = try bench.run(files, skips: true) { bar.show($0, scan: index) }
                bar.finish()
                let line = "\(outcome.wasDone ? "done before, " : "")\(ReportText.line(of: outcome.report))"
                // At once into a pipe too: `print` would keep it until the last scan is done.
                FileHandle.standardOutput.write(Data("\(files.scan.name): \(line)\n".utf8))
                tables.add(files.scan.name, outcome, missing: outcome.missing.map { tell($0, of: files) })
            } catch {
                bar.finish()
                try? FileManager.default.removeItem(at: files.begun)
                tables.add(files.scan.name, failure: tell(error, of: files))
            }
            try tables.write(to: folder)
        }
        return statuses.contains(1) ? 1 : statuses.max() ?? 0
    }
}

/// The tables of many cases, for spreadsheets: `volumes.csv` has a row for each scan, `lesions.csv` one for each lesion.
struct CaseTables {
    static let names = ["volumes.csv", "lesions.csv"]

    private var volumes = [
        [
            "name", "state", "liver_ml", "lesion_ml", "tumour_burden", "lesions", "liver_mean_hu", "liver_median_hu",
            "liver_deviation_hu", "needs_review", "findings", "error",
        ]
    ]
    private var lesions = [
        [
            "name", "lesion", "volume_ml", "longest_axial_diameter_mm", "short_axis_mm", "first_slice", "last_slice",
            "diameter_slice", "diameter_instance_number", "mean_hu", "median_hu", "deviation_hu", "largest_probability",
            "mean_probability", "centroid_r_mm", "centroid_a_mm", "centroid_s_mm",
        ]
    ]

    /// A case with a mask.
    mutating func add(_ name: String, _ outcome: CaseBench.Outcome, missing: String?) {
        let report = outcome.report
        let density = report.liverDensity
        volumes.append([
            name, "done", number(report.liverVolumeMl, 3), number(report.lesionVolumeMl, 3),
            number(report.tumourBurden, 5), "\(report.lesions.count)", number(density?.meanHU, 2),
            density.map { "\($0.medianHU)" } ?? "", number(density?.deviationHU, 2),
            report.needsReview ? "true" : "false", report.findings.map(\.code).joined(separator: " "),
            missing ?? "",
        ])
        lesions += report.lesions.map { lesion in
            [
                name, "\(lesion.number)", number(lesion.volumeMl, 3), number(lesion.longestAxialDiameterMm, 2),
                number(lesion.shortAxisMm, 2), "\(lesion.firstSlice)", "\(lesion.lastSlice)", "\(lesion.diameterSlice)",
                outcome.dicom?.instanceNumber(ofAxial: lesion.diameterSlice).map { "\($0)" } ?? "",
                number(lesion.density?.meanHU, 2), lesion.density.map { "\($0.medianHU)" } ?? "",
                number(lesion.density?.deviationHU, 2), number(lesion.largestProbability, 4),
                number(lesion.meanProbability, 4),
            ] + lesion.centroidRasMm.map { number($0, 2) }
        }
    }

    /// A case without one.
    mutating func add(_ name: String, failure: String) {
        volumes.append([name, "failed"] + Array(repeating: "", count: 9) + [failure])
    }

    func write(to folder: URL) throws {
        for (name, rows) in zip(Self.names, [volumes, lesions]) {
            try Data(CSV.text(rows).utf8).write(to: folder.appending(path: name), options: .atomic)
        }
    }

    private func number(_ value: Double?, _ digits: Int) -> String {
        value.map { String(format: "%.\(digits)f", $0) } ?? ""
    }
}

/// Comma-separated values (RFC 4180), with a line feed after each row.
enum CSV {
    static func text(_ rows: [[String]]) -> String {
        rows.map { $0.map(field).joined(separator: ",") + "\n" }.joined()
    }

    /// By code points: with a mark behind it a comma is a part of another character, and still a comma to who reads.
    private static func field(_ text: String) -> String {
        let text = isFormula(text) ? "'" + text : text
        guard text.utf8.contains(where: { ",\"\r\n".utf8.contains($0) }) else { return text }
        var quoted = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" { quoted += "\"" }
            quoted.unicodeScalars.append(scalar)
        }
        return quoted + "\""
    }

    /// Whether a spreadsheet would compute it, as a file's name may have it do: it is then led by an apostrophe.
    private static func isFormula(_ text: String) -> Bool {
        guard let first = text.utf8.first else { return false }
        return "=+-@\t\r".utf8.contains(first) && Double(text) == nil
    }
}

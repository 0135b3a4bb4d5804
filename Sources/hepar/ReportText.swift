import Cases
import Foundation
import Metrics
import Segmentation

/// A report as people read it on a terminal.
enum ReportText {
    /// Volumes and lesions in one line.
    static func line(of report: Report) -> String {
        "Liver \(number(report.liverVolumeMl, 0)) ml, \(report.lesions.count) "
            + (report.lesions.count == 1 ? "lesion" : "lesions")
            + ", \(number(report.lesionVolumeMl, 1)) ml"
            + (report.tumourBurden.map { " (\(number($0 * 100, 1)) % of the liver)" } ?? "")
            + ", in \(number((report.timingsMs["total"] ?? 0) / 1000, 1)) s"
    }

    static func summary(of report: Report) -> String {
        var lines = [line(of: report)]
        if let density = report.liverDensity {
            lines.append("Liver without lesions and rim: \(text(of: density)) HU")
        }
        if !report.lesions.isEmpty { lines += ["", lesionTable(report)] }
        if let scores = report.scores { lines += ["", table(of: scores)] }
        lines += report.findings.map { "\($0.severity.rawValue): \($0.message)" }
        return lines.joined(separator: "\n")
    }

    /// Mean, deviation and median, in HU.
    private static func text(of density: Density) -> String {
        "mean \(number(density.meanHU, 1)) ± \(number(density.deviationHU, 1)), median \(density.medianHU)"
    }

    static func lesionTable(_ report: Report) -> String {
        let header = ["lesion", "ml", "long mm", "short mm", "slices", "HU", "max p", "mean p", "centre R, A, S mm"]
        let rows = report.lesions.map { lesion in
            [
                "\(lesion.number)", number(lesion.volumeMl, 2), number(lesion.longestAxialDiameterMm, 1),
                number(lesion.shortAxisMm, 1), "\(lesion.firstSlice)-\(lesion.lastSlice)",
                number(lesion.density?.meanHU, 0), number(lesion.largestProbability, 2),
                number(lesion.meanProbability, 2),
                lesion.centroidRasMm.map { number($0, 0) }.joined(separator: ", "),
            ]
        }
        return aligned([header] + rows)
    }

    static func table(of scores: CaseScores) -> String {
        let rows = [("liver", scores.liver), ("lesion", scores.lesion)].map { [$0] + row($1) }
        return aligned([scoreNames] + rows)
    }

    /// A row for each case, then mean and deviation over them.
    static func table(of cases: [(name: String, scores: CaseScores)], _ all: DataSetScores) -> String {
        let regions: [(String, KeyPath<CaseScores, RegionScores>, DataSetScores.Region)] = [
            ("liver", \.liver, all.liver), ("lesion", \.lesion, all.lesion),
        ]
        return regions.map { name, region, means in
            let scores = [means.dice, means.voe, means.rvd, means.assd, means.rmsd, means.mssd]
            let rows =
                cases.map { [$0.name] + row($0.scores[keyPath: region]) }
                + [["mean"] + row(scores.map(\.mean)), ["deviation"] + row(scores.map(\.deviation))]
            return aligned([[name] + scoreNames.dropFirst()] + rows)
                + "\nglobal Dice of \(name): \(number(means.diceGlobal, 4))"
        }.joined(separator: "\n\n") + "\n\(cases.count) \(cases.count == 1 ? "case" : "cases")"
    }

    private static func row(_ region: RegionScores) -> [String] {
        row([region.dice, region.voe, region.rvd, region.assd, region.rmsd, region.mssd])
    }

    /// Three scores without a unit, and three in mm.
    private static func row(_ values: [Double?]) -> [String] {
        values.enumerated().map { number($1, $0 < 3 ? 4 : 2) }
    }

    private static let scoreNames = ["", "Dice", "VOE", "RVD", "ASSD mm", "RMSD mm", "MSSD mm"]

    /// `-` where a value is undefined.
    private static func number(_ value: Double?, _ digits: Int) -> String {
        value.map { String(format: "%.\(digits)f", $0) } ?? "-"
    }

    private static func aligned(_ rows: [[String]]) -> String {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            zip(row, widths).map { String(repeating: " ", count: $1 - $0.count) + $0 }.joined(separator: "  ")
        }.joined(separator: "\n")
    }
}

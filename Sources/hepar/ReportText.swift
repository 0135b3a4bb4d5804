import Foundation
import Metrics
import Segmentation
import Service

/// A report as people read it on a terminal.
enum ReportText {
    static func summary(of report: Report) -> String {
        var lines = [
            "Liver \(number(report.liverVolumeMl, 0)) ml, \(report.lesions.count) "
                + (report.lesions.count == 1 ? "lesion" : "lesions")
                + ", \(number(report.lesionVolumeMl, 1)) ml"
                + (report.tumourBurden.map { " (\(number($0 * 100, 1)) % of the liver)" } ?? "")
                + ", in \(number((report.timingsMs["total"] ?? 0) / 1000, 1)) s"
        ]
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
        let rows = [("liver", scores.liver), ("lesion", scores.lesion)].map { name, region in
            [
                name, number(region.dice, 4), number(region.voe, 4), number(region.rvd, 4), number(region.assd, 2),
                number(region.rmsd, 2), number(region.mssd, 2),
            ]
        }
        return aligned([scoreNames] + rows)
    }

    static func table(of scores: DataSetScores) -> String {
        let rows = [("liver", scores.liver), ("lesion", scores.lesion)].map { name, region in
            [
                name, number(region.dice.mean, 4), number(region.voe.mean, 4), number(region.rvd.mean, 4),
                number(region.assd.mean, 2), number(region.rmsd.mean, 2), number(region.mssd.mean, 2),
                number(region.diceGlobal, 4),
            ]
        }
        return "Means over \(scores.cases) cases\n" + aligned([scoreNames + ["global Dice"]] + rows)
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

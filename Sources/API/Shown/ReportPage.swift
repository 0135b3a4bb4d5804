import Cases
import Foundation
import Imaging
import Metrics
import Segmentation

/// A finished job as one page that a person reads and prints: HTML without script and without anything to load, so that
/// it can be kept as a file. It is well-formed XML too.
struct ReportPage {
    /// An axial slice with outlines.
    struct Slice {
        /// Counted from 0 along the file's own axial axis, as in the lesion table.
        let number: Int
        let png: Data
    }

    let report: Report
    /// The report's job: its times and findings.
    let job: JobJSON
    /// From the feet; three fill a row.
    let slices: [Slice]

    /// The page, to be sent as `text/html; charset=utf-8`.
    var html: String {
        let page: Markup = """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8"/>
            <meta name="viewport" content="width=device-width"/>
            <title>Liver report \(job.id)</title>
            <style>\(reportStyle)</style>
            </head>
            <body>
            <header>
            <h1>Liver segmentation report</h1>
            <p>Job \(job.id)\(finished)</p>
            <p class="purpose">For research. Not a medical device, not for clinical use.</p>
            </header>
            \(Markup([verdict, numbers, pictures, lesions, scores, technical]))
            </body>
            </html>

            """
        return page.source
    }

    private var finished: Markup { job.finishedAt.map { ", finished \(time($0))" } ?? "" }

    // MARK: - Result

    /// Whether to look again, and why.
    private var verdict: Markup {
        let words: [Finding.Severity: String] = [.error: "Error", .warning: "Warning", .info: "Note"]
        let items = Markup(
            job.findings.map { finding in
                """
                <li class="\(finding.severity.rawValue)"><strong>\(words[finding.severity] ?? ""):</strong> \
                \(finding.message) <code>\(finding.code)</code></li>
                """
            })
        let list: Markup = job.findings.isEmpty ? "" : "<ul class=\"findings\">\(items)</ul>"
        let sentence: Markup =
            job.needsReview
            ? "<p class=\"review\">This result needs review: a person should check it before it is used.</p>"
            : "<p class=\"plain\">The program's own checks found nothing that calls for a review.</p>"
        return "<section><h2>Findings</h2>\(sentence)\(list)</section>"
    }

    private var numbers: Markup {
        let burden = report.tumourBurden.map { "\(number($0 * 100, 1)) %" }
        let tiles = [
            ("Liver, lesions included", "\(number(report.liverVolumeMl, 0)) ml"),
            ("Lesions", "\(number(report.lesionVolumeMl, 1)) ml"), ("Tumour burden", burden ?? "not defined"),
            ("Number of lesions", "\(report.lesions.count)"),
        ]
        let items = Markup(tiles.map { "<div><span>\($0)</span><strong>\($1)</strong></div>" })
        return "<section><h2>Volumes</h2><div class=\"tiles\">\(items)</div></section>"
    }

    private var pictures: Markup {
        guard !slices.isEmpty else { return "" }
        let figures = Markup(
            slices.map { slice in
                """
                <figure><img alt="Axial slice \(slice.number) with outlines" \
                src="data:image/png;base64,\(slice.png.base64EncodedString())"/>\
                <figcaption>Slice \(slice.number)</figcaption></figure>
                """
            })
        return """
            <section><h2>Slices</h2><div class="slices">\(figures)</div>
            <p>Liver outlined in green, lesions in red; window -160 to 240 HU; seen from the feet, the patient's right at \
            the left. Slices are counted from 0 along the file's axial axis.</p></section>
            """
    }

    private var lesions: Markup {
        let rows = report.lesions.map { lesion in
            [
                "\(lesion.number)", number(lesion.volumeMl, 2), number(lesion.longestAxialDiameterMm, 1),
                number(lesion.shortAxisMm, 1), "\(lesion.firstSlice)–\(lesion.lastSlice)", "\(lesion.diameterSlice)",
                "\(number(lesion.largestProbability, 2)), \(number(lesion.meanProbability, 2))",
                lesion.centroidRasMm.map { number($0, 0) }.joined(separator: ", "),
            ]
        }
        let headings = [
            "No.", "Volume, ml", "Longest diameter, mm", "Across it, mm", "Slices", "Diameter on slice",
            "Probability, highest and mean", "Centre R, A, S, mm",
        ]
        let table: Markup = rows.isEmpty ? "<p>No lesion was found.</p>" : .table(headings, rows)
        let dropped: Markup =
            report.droppedCount == 0
            ? ""
            : "<p>Candidates left out by the rules (improbable, or outside the liver): \(report.droppedCount).</p>"
        return "<section><h2>Lesions</h2>\(table)\(dropped)</section>"
    }

    private var scores: Markup {
        guard let scores = report.scores else { return "" }
        let rows = [("Liver", scores.liver), ("Lesions", scores.lesion)].map { name, region in
            [
                name, number(region.dice, 4), number(region.voe, 4), number(region.rvd, 4), number(region.assd, 2),
                number(region.rmsd, 2), number(region.mssd, 2),
            ]
        }
        let table = Markup.table(["", "Dice", "VOE", "RVD", "ASSD, mm", "RMSD, mm", "MSSD, mm"], rows)
        let found = scores.detection
        return """
            <section><h2>Scores against the reference</h2>\(table)
            <p>Lesions of the reference: \(found.referenceLesions); touched: \(found.overZero.foundReferences); matched by \
            more than half: \(found.overHalf.foundReferences). Lesions found here: \(found.predictionLesions); touching \
            one of the reference: \(found.overZero.truePredictions).</p></section>
            """
    }

    // MARK: - How it was made

    private var technical: Markup {
        let options = [
            report.options.full ? "full" : nil, report.options.probabilities ? "probabilities" : nil,
        ].compactMap { $0 }
        let facts = Markup.facts([
            ("Scan", "\(product(report.input.shape.map { "\($0)" })) voxels, as stored"),
            ("Spacing", "\(product(report.input.spacingMm.map { number($0, 3) })) mm"),
            ("Options", options.isEmpty ? "none" : options.joined(separator: ", ")),
            ("Received", time(job.createdAt)), ("Begun", job.startedAt.map(time)),
            ("Finished", job.finishedAt.map(time)),
            ("Computing time", report.timingsMs["total"].map { "\(number($0 / 1000, 1)) s" }),
            ("Result taken from", job.copiedFrom.map { "job \($0): the same scan, model and options" }),
            ("Program", "Hepar \(report.heparVersion)"), ("Model", report.model.name),
            ("Liver model, SHA-256", report.model.liver.sha256), ("Lesion model, SHA-256", report.model.lesion.sha256),
            ("Scan's file, SHA-256", report.provenance?.statement.inputSha256),
            ("Mask's file, SHA-256", report.provenance?.statement.maskSha256), ("Signature", signature),
            ("Public key", report.provenance?.publicKey),
        ])
        return "<section class=\"made\"><h2>How it was made</h2>\(facts)</section>"
    }

    private var signature: String {
        guard let provenance = report.provenance, let text = provenance.signature else { return "not signed" }
        return provenance.isAuthentic
            ? "\(text) (Ed25519 over hashes, version and options; valid for the public key below)"
            : "\(text) (NOT VALID for the public key below)"
    }
}

/// A dash where a value is not defined.
private func number(_ value: Double?, _ digits: Int) -> String {
    value.map { String(format: "%.\(digits)f", $0) } ?? "–"
}

private func product(_ lengths: [String]) -> String { lengths.joined(separator: " × ") }

/// `2026-03-01 14:05:09 UTC`.
private func time(_ date: Date) -> String {
    date.formatted(.iso8601).replacing("T", with: " ").replacing("Z", with: " UTC")
}

/// For the screen and for A4 paper.
private let reportStyle: Markup = """

    @page { size: A4; margin: 14mm; }
    * { box-sizing: border-box; }
    body { font: 10pt/1.4 "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; color: #1a1a1a; background: #fff;
      max-width: 182mm; margin: 8mm auto; padding: 0 4mm; }
    h1 { font-size: 17pt; margin: 0; } h2 { font-size: 11.5pt; margin: 5mm 0 1.5mm; border-bottom: 0.3mm solid #bbb; }
    p { margin: 1mm 0; } header p { color: #444; } header p.purpose { color: #8a1c00; font-weight: bold; }
    .review, .plain { padding: 2mm 3mm; border-left: 1.5mm solid #2e7d32; background: #eef6ee; }
    .review { border-color: #c77700; background: #fff5e0; font-weight: bold; }
    .findings { margin: 1.5mm 0; padding-left: 5mm; } .findings code { color: #666; font-size: 8pt; }
    .error strong { color: #b00020; } .warning strong { color: #a05a00; }
    .tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 3mm; }
    .tiles div { border: 0.3mm solid #ccc; padding: 2mm 3mm; }
    .tiles span { display: block; color: #555; font-size: 8.5pt; } .tiles strong { font-size: 14pt; }
    .slices { display: grid; grid-template-columns: repeat(3, 1fr); gap: 2mm; }
    figure { margin: 0; break-inside: avoid; } img { width: 100%; display: block; background: #000; }
    figcaption { font-size: 8.5pt; color: #444; text-align: center; }
    table { border-collapse: collapse; width: 100%; font-size: 9pt; font-variant-numeric: tabular-nums; }
    th, td { border-bottom: 0.2mm solid #ddd; padding: 0.8mm 1.5mm; text-align: right; vertical-align: top; }
    thead th { border-bottom: 0.4mm solid #888; } tr, .made { break-inside: avoid; }
    tbody td { white-space: nowrap; }
    th:first-child, td:first-child, .facts td { text-align: left; }
    .facts th { font-weight: normal; color: #555; width: 42mm; } .facts td { overflow-wrap: anywhere; white-space: normal; }
    h2 { break-after: avoid; }
    @media print { body { margin: 0; max-width: none; padding: 0 0.5mm; }
      .review, .plain, img { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }

    """

import Dicom
import Foundation
import Imaging
import Metrics
import Preview
import Segmentation

/// A finished job as one page that a person reads and prints: HTML without script and without anything to load, so that
/// it can be kept as a file. It is well-formed XML too.
package struct ReportPage {
    /// An axial slice with outlines, or one lesion in it.
    package struct Slice {
        /// Counted from 0 along the file's own axial axis, as in the lesion table.
        package let number: Int
        /// The lesion that is shown alone.
        package let lesion: Int?
        package let png: Data

        package init(number: Int, lesion: Int?, png: Data) {
            self.number = number
            self.lesion = lesion
            self.png = png
        }
    }

    /// Where the report comes from: what a job has beside it.
    package struct Origin {
        /// `Job 0192…`, or `Scan` and its name.
        package let title: String
        package var findings: [Finding]
        package var createdAt, startedAt, finishedAt: Date?
        package var copiedFrom: String?
        /// What was imported, where the scan came as DICOM.
        package var dicom: DicomReport?

        package init(
            title: String, findings: [Finding], createdAt: Date? = nil, startedAt: Date? = nil, finishedAt: Date? = nil,
            copiedFrom: String? = nil, dicom: DicomReport? = nil
        ) {
            self.title = title
            self.findings = findings
            self.createdAt = createdAt
            self.startedAt = startedAt
            self.finishedAt = finishedAt
            self.copiedFrom = copiedFrom
            self.dicom = dicom
        }
    }

    /// Which pictures a page has.
    package static let pictures = SliceChoice.report(slices: 6, lesions: 12)

    package let report: Report
    package let origin: Origin
    /// From the feet; three fill a row. Then the lesions alone.
    package let slices: [Slice]
    /// Whether the pictures show a reference's outlines.
    package let hasReference: Bool

    package init(report: Report, origin: Origin, slices: [Slice], hasReference: Bool) {
        self.report = report
        self.origin = origin
        self.slices = slices
        self.hasReference = hasReference
    }

    /// The page, to be sent as `text/html; charset=utf-8`.
    package var html: String {
        let page: Markup = """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8"/>
            <meta name="viewport" content="width=device-width, initial-scale=1"/>
            <title>Liver report: \(origin.title)</title>
            <style>\(reportStyle)</style>
            </head>
            <body>
            <header>
            <h1>Liver segmentation report</h1>
            <p>\(origin.title)\(finished)</p>
            <p class="purpose">For research. Not a medical device, not for clinical use.</p>
            </header>
            <main>
            \(Markup([verdict, numbers, lesions, pictures, scores, technical]))
            </main>
            </body>
            </html>

            """
        return page.source
    }

    private var finished: Markup { origin.finishedAt.map { ", finished \(time($0))" } ?? "" }

    // MARK: - Result

    /// Whether to look again, and why.
    private var verdict: Markup {
        let words: [Finding.Severity: String] = [.error: "Error", .warning: "Warning", .info: "Note"]
        let items = Markup(
            origin.findings.map { finding in
                """
                <li class="\(finding.severity.rawValue)"><strong>\(words[finding.severity] ?? ""):</strong> \
                \(finding.message) <code>\(finding.code)</code></li>
                """
            })
        let list: Markup = origin.findings.isEmpty ? "" : "<ul class=\"findings\">\(items)</ul>"
        let sentence: Markup =
            origin.findings.needReview
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
        let density: Markup =
            report.liverDensity.map { density in
                """
                <p>Liver without lesions and a rim of 3 mm: mean \(number(density.meanHU, 1)) HU, median \
                \(density.medianHU) HU, standard deviation \(number(density.deviationHU, 1)) HU.</p>
                """
            } ?? ""
        return "<section><h2>Volumes and density</h2><div class=\"tiles\">\(items)</div>\(density)</section>"
    }

    private var pictures: Markup {
        let bodies = slices.filter { $0.lesion == nil }
        guard !bodies.isEmpty else { return "" }
        let legend: Markup = """
            <p>Liver outlined in <span class="liver">green</span>, lesions in <span class="lesion">orange</span> and \
            numbered as in the table\(reference); window -160 to 240 HU; seen from the feet, the patient's right (R) at \
            the left. Slices are counted from 0 along the file's axial axis\
            \(named ? "; the image is DICOM's InstanceNumber, the location its SliceLocation" : "").</p>
            """
        return """
            <section><h2>Slices</h2>\(figures(bodies) { "Axial slice \($0.number) with outlines" })\(legend)</section>
            \(alone)
            """
    }

    /// The largest lesions, one by one.
    private var alone: Markup {
        let alone = slices.filter { slice in
            slice.lesion != nil && report.lesions.contains { $0.number == slice.lesion }
        }
        guard !alone.isEmpty else { return "" }
        let rest = report.lesions.count - alone.count
        let note: Markup = rest > 0 ? "<p>The \(alone.count) largest of \(report.lesions.count) lesions.</p>" : ""
        return """
            <section><h2>Longest diameters</h2>\(figures(alone) { "Lesion \($0.lesion ?? 0) with its diameter" })\
            \(note)</section>
            """
    }

    private func figures(_ slices: [Slice], alternative: (Slice) -> String) -> Markup {
        let figures = Markup(
            slices.map { slice in
                let lesion = slice.lesion.map { "Lesion \($0), " } ?? ""
                let caption =
                    "\(lesion)\(lesion.isEmpty ? "Slice" : "slice") \(slice.number)\(name(of: slice.number))"
                return """
                    <figure><img alt="\(alternative(slice))" \
                    src="data:image/png;base64,\(slice.png.base64EncodedString())"/>\
                    <figcaption>\(caption)</figcaption></figure>
                    """
            })
        return "<div class=\"slices\">\(figures)</div>"
    }

    /// ` (image 62)`, where the scan came as DICOM.
    private func image(of slice: Int) -> String {
        origin.dicom?.instanceNumber(ofAxial: slice).map { " (image \($0))" } ?? ""
    }

    /// `, image 62, location -123.5 mm`, as far as they are known.
    private func name(of slice: Int) -> String {
        (origin.dicom?.instanceNumber(ofAxial: slice).map { ", image \($0)" } ?? "")
            + (origin.dicom?.location(ofAxial: slice).map { ", location \(number($0, 1)) mm" } ?? "")
    }

    private var named: Bool { origin.dicom?.namesAxialSlices == true }

    private var reference: Markup {
        hasReference ? ", the reference dashed in <span class=\"reference\">blue</span>" : ""
    }

    private var lesions: Markup {
        let rows = report.lesions.map { lesion in
            [
                "\(lesion.number)", number(lesion.volumeMl, 2), number(lesion.longestAxialDiameterMm, 1),
                number(lesion.shortAxisMm, 1), "\(lesion.firstSlice)–\(lesion.lastSlice)",
                "\(lesion.diameterSlice)\(image(of: lesion.diameterSlice))",
                number(lesion.density?.meanHU, 0), lesion.density.map { "\($0.medianHU)" } ?? "–",
                number(lesion.density?.deviationHU, 0),
                "\(number(lesion.largestProbability, 2)), \(number(lesion.meanProbability, 2))",
                lesion.centroidRasMm.map { number($0, 0) }.joined(separator: ", "),
            ]
        }
        let headings = [
            "No.", "Volume, ml", "Longest diameter, mm", "Across it, mm", "Slices", "Diameter on slice", "Mean HU",
            "Median HU", "Deviation, HU", "Probability, highest and mean", "Centre R, A, S, mm",
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
            ("Received", origin.createdAt.map(time)), ("Begun", origin.startedAt.map(time)),
            ("Finished", origin.finishedAt.map(time)),
            ("Computing time", report.timingsMs["total"].map { "\(number($0 / 1000, 1)) s" }),
            ("Result taken from", origin.copiedFrom.map { "job \($0): the same scan, model and options" }),
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

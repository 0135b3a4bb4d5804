import Compute
import Dicom
import Foundation
import FoundationXML
import Imaging
import Metrics
import Preview
import Testing

@testable import API
@testable import Cases

/// The page for people: whole, well-formed, and with nothing in it that is not text.
@Suite struct ReportPageTests {
    private func job(_ findings: [Finding] = []) throws -> JobJSON {
        let list = String(decoding: try JSONEncoder().encode(findings), as: UTF8.self)
        let json = """
            {"id": "0192f0c1", "state": "succeeded", "progress": 1, "attempts": 1, "cancel_requested": false,
             "has_reference": false, "upload_bytes": 9, "stored_bytes": 9, "priority": "routine", "created_at": "2026-03-01T14:00:00Z",
             "started_at": "2026-03-01T14:00:01Z", "finished_at": "2026-03-01T14:05:09Z",
             "options": {"full": false, "probabilities": false}, "findings": \(list),
             "needs_review": \(findings.needReview), "dicom": null, "links": {"self": "/v1/jobs/0192f0c1"}}
            """
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return try decoder.decode(JobJSON.self, from: Data(json.utf8))
    }

    /// What is read on the page: all text outside the style, and the names of the elements.
    private func read(_ page: ReportPage) throws -> (text: String, elements: [String], pictures: [String]) {
        let reader = PageReader()
        let parser = XMLParser(data: Data(page.html.utf8))
        parser.delegate = reader
        #expect(parser.parse(), "\(String(describing: parser.parserError)) in line \(parser.lineNumber)")
        return (reader.text, reader.elements, reader.pictures)
    }

    @Test func everySectionIsThere() throws {
        var report = try Report.sample()
        let labels = Volume<UInt8>(shape: Shape(2, 2, 2), spacing: SIMD3(1, 1, 1), voxels: [0, 1, 1, 1, 1, 2, 1, 1])
        report.scores = score(prediction: labels, reference: labels, team: ThreadTeam(threads: 1))
        let picture = try Picture(width: 3, height: 2, grey: 9).png()
        let findings = [
            Finding(code: "few_slices", severity: .warning, message: "The scan has 9 slices."),
            Finding(code: "body_cut", severity: .info, message: "12 % are tissue."),
        ]
        let page = ReportPage(
            report: report, origin: .init(try job(findings), dicom: try dicom(plane: "axial")),
            slices: [
                .init(number: 37, lesion: nil, png: picture), .init(number: 41, lesion: nil, png: picture),
                .init(number: 37, lesion: 1, png: picture),
            ], hasReference: true)
        let (text, elements, pictures) = try read(page)

        for expected in [
            "For research. Not a medical device", "Job 0192f0c1, finished 2026-03-01 14:05:09 UTC", "needs review",
            "Warning: The scan has 9 slices. few_slices", "Note: 12 % are tissue. body_cut", "1534 ml", "21.5 ml",
            "1.4 %",
            "Slice 37, image 138, location -32.5 mm", "Slice 41, image 142", "Lesion 1, slice 37, image 138",
            "37 (image 138)",
            "mean 104.4 HU, median 105 HU, standard deviation 18.3 HU", "61", "58", "17",
            "the reference dashed in blue",
            "21.46", "38.2", "33–41", "61, -13, 104", "outside the liver): 4.",
            "512 × 512 × 61 voxels", "0.781 × 0.781 × 2.500 mm", "2026-03-01 14:00:01 UTC", "12.3 s", "Hepar 0.1.0",
            "default", Report.sampleHash, "cd\(Report.sampleHash)", "c2lnbmF0dXJl (NOT VALID", "a2V5", "1.0000",
            "Lesions of the reference: 1;",
        ] { #expect(text.contains(expected), "\(expected) in \(text)") }
        #expect(elements.count { $0 == "h2" } == 7)
        #expect(elements.count { $0 == "main" } == 1)
        #expect(!elements.contains("script") && !elements.contains("link"))
        #expect(pictures == Array(repeating: "data:image/png;base64,\(picture.base64EncodedString())", count: 3))
        #expect(!page.html.contains("http") && !page.html.contains("url("))
    }

    /// Slices 0 to 60 are the images 101 to 161; the last has neither number nor place.
    private func dicom(plane: String) throws -> DicomReport {
        let numbers = (101...160).map(String.init).joined(separator: ",")
        let places = (0..<60).map { "\(Double($0) * 2.5 - 125)" }.joined(separator: ",")
        let json = """
            {"files": 61, "left_out": [], "findings": [],
             "volumes": [{"number": 1, "phase": "portal_venous", "plane": "\(plane)", "slices": 61, "rows": 512, "columns": 512,
              "spacing_mm": [0.78125, 0.78125, 2.5], "transfer_syntax": "rle", "taken": true}],
             "slices": {"instance_numbers": [\(numbers),null], "locations_mm": [\(places),null]}}
            """
        return try JSONDecoder().decode(DicomReport.self, from: Data(json.utf8))
    }

    /// Coronal slices are not those of the lesion table, and no name is better than a wrong one.
    @Test func onlyAxialSlicesAreNamed() throws {
        let picture = try Picture(width: 3, height: 2, grey: 9).png()
        func text(_ dicom: DicomReport, slice: Int) throws -> String {
            try read(
                ReportPage(
                    report: Report.sample(), origin: .init(job(), dicom: dicom),
                    slices: [.init(number: slice, lesion: nil, png: picture)],
                    hasReference: false)
            ).text
        }
        #expect(try !text(dicom(plane: "coronal"), slice: 3).contains("image 1"))
        #expect(try text(dicom(plane: "axial"), slice: 3).contains("Slice 3, image 104, location -117.5 mm"))
        let last = try text(dicom(plane: "axial"), slice: 60)
        #expect(last.contains("Slice 60") && !last.contains("Slice 60, "))
    }

    @Test func nothingFoundIsAPageToo() throws {
        let (text, elements, _) = try read(
            ReportPage(
                report: Report.sample(lesions: false), origin: .init(try job(), dicom: nil), slices: [],
                hasReference: false))
        #expect(text.contains("No lesion was found.") && text.contains("not defined"))
        #expect(text.contains("nothing that calls for a review"))
        #expect(!elements.contains("img") && !text.contains("Scores"))
    }

    /// Whatever a name or a message holds, it is read as it is and makes no element.
    @Test func textStaysText() throws {
        let evil = "</style><script src='x'>\"&amp;\u{1}</script>]]>"
        let findings = [Finding(code: "<b>", severity: .warning, message: evil)]
        let name = #"\"><img src=x onerror=alert(1)>"#
        let (text, elements, pictures) = try read(
            ReportPage(
                report: Report.sample(modelName: name), origin: .init(job(findings), dicom: nil), slices: [],
                hasReference: false))
        #expect(text.contains("Warning: </style><script src='x'>\"&amp;\u{FFFD}</script>]]> <b>"))
        #expect(text.contains("\"><img src=x onerror=alert(1)>"))
        #expect(!elements.contains("script") && !elements.contains("b") && pictures.isEmpty)
    }

    @Test func whatIsPutIntoMarkupIsEscaped() {
        let text = "<a href=\"x\">'&'</a>"
        #expect(
            ("<p title=\"\(text)\">\(Markup("<i>\(3)</i>"))</p>" as Markup).source
                == "<p title=\"&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;\"><i>3</i></p>")
    }
}

private final class PageReader: NSObject, XMLParserDelegate {
    var text = ""
    var elements: [String] = []
    var pictures: [String] = []

    func parser(
        _ parser: XMLParser, didStartElement element: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) {
        elements.append(element)
        if element == "img" { pictures.append(attributes["src"] ?? "") }
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) {
        if elements.last != "style" { text += string }
    }
}

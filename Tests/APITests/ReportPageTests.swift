import Compute
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
             "needs_review": \(findings.needReview), "links": {"self": "/v1/jobs/0192f0c1"}}
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
            report: report, job: try job(findings),
            slices: [.init(number: 37, png: picture), .init(number: 41, png: picture)])
        let (text, elements, pictures) = try read(page)

        for expected in [
            "For research. Not a medical device", "Job 0192f0c1, finished 2026-03-01 14:05:09 UTC", "needs review",
            "Warning: The scan has 9 slices. few_slices", "Note: 12 % are tissue. body_cut", "1534 ml", "21.5 ml",
            "1.4 %",
            "Slice 37", "Slice 41", "21.46", "38.2", "33–41", "61, -13, 104", "outside the liver): 4.",
            "512 × 512 × 61 voxels", "0.781 × 0.781 × 2.500 mm", "2026-03-01 14:00:01 UTC", "12.3 s", "Hepar 0.1.0",
            "default", Report.sampleHash, "cd\(Report.sampleHash)", "c2lnbmF0dXJl (NOT VALID", "a2V5", "1.0000",
            "Lesions of the reference: 1;",
        ] { #expect(text.contains(expected), "\(expected) in \(text)") }
        #expect(elements.count { $0 == "h2" } == 6)
        #expect(!elements.contains("script") && !elements.contains("link"))
        #expect(pictures == Array(repeating: "data:image/png;base64,\(picture.base64EncodedString())", count: 2))
        #expect(!page.html.contains("http") && !page.html.contains("url("))
    }

    @Test func nothingFoundIsAPageToo() throws {
        let (text, elements, _) = try read(ReportPage(report: Report.sample(lesions: false), job: job(), slices: []))
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
            ReportPage(report: Report.sample(modelName: name), job: job(findings), slices: []))
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

import Foundation
import Testing

@testable import HTTPDaemon

/// A part as the parser tells it, its content put together.
private struct ParsedPart: Equatable {
    var headers: [String]
    var content: [UInt8] = []
    var hasEnded = false
}

/// Feeds `body` cut at the given places.
private func parse(_ body: [UInt8], boundary: String = "XX", cuts: [Int] = []) throws(BodyError) -> [ParsedPart] {
    guard var parser = MultipartParser(boundary: boundary) else { throw .multipart(.noBoundary) }
    var parts: [ParsedPart] = []
    var start = 0
    for end in cuts + [body.count] {
        // A copy of its own, so that reading past a chunk's end reads past an allocation.
        let chunk = Array(body[start..<end])
        try chunk.withUnsafeBufferPointer { (bytes) throws(BodyError) in
            try parser.feed(UnsafeRawBufferPointer(bytes)) { (event) throws(BodyError) in
                switch event {
                case .partBegins(let headers):
                    parts.append(ParsedPart(headers: headers.map { "\($0.name)=\($0.value)" }))
                case .content(let run):
                    #expect(!run.isEmpty)
                    parts[parts.count - 1].content += Array(run)
                case .partEnds: parts[parts.count - 1].hasEnded = true
                }
            }
        }
        start = end
    }
    try parser.finish()
    return parts
}

private func crlf(_ text: String) -> [UInt8] {
    Array(text.replacingOccurrences(of: "\n", with: "\r\n").utf8)
}

/// Two parts, and all that may be taken for a boundary and is not.
private let tricky: [UInt8] =
    crlf("ignored\n--XX \t\nA: 1\nB:2 \n\n")
    + Array("\r\n--X\r\r\n--\n--XX--\r\n\r\n-\r--XX\n\r\n--XY--XX".utf8) + crlf("\n--XX\n\n")
    + crlf("\n--XX\nEmpty:\n\n\r\n\n--XX--\nepilogue --XX\n--XX")

private let trickyParts = [
    ParsedPart(
        headers: ["a=1", "b=2"], content: Array("\r\n--X\r\r\n--\n--XX--\r\n\r\n-\r--XX\n\r\n--XY--XX".utf8),
        hasEnded: true),
    ParsedPart(headers: [], content: [], hasEnded: true),
    ParsedPart(headers: ["empty="], content: Array("\r\r\n".utf8), hasEnded: true),
]

@Suite struct MultipartParserTests {
    @Test func findsParts() throws {
        #expect(try parse(tricky) == trickyParts)
    }

    @Test func doesNotDependOnOneCut() throws {
        for cut in 0...tricky.count { #expect(try parse(tricky, cuts: [cut]) == trickyParts, "cut at \(cut)") }
    }

    @Test func doesNotDependOnTwoCuts() throws {
        for first in 0...tricky.count {
            for second in first...tricky.count where try parse(tricky, cuts: [first, second]) != trickyParts {
                Issue.record("cut at \(first) and \(second)")
            }
        }
    }

    @Test func doesNotDependOnCutsEverywhere() throws {
        #expect(try parse(tricky, cuts: Array(0...tricky.count)) == trickyParts)
    }

    /// Bytes drawn from those of the delimiter, between parts known beforehand, in random chunks.
    @Test func findsContentMadeOfDelimiterBytes() throws {
        for seed in 1...200 as ClosedRange<UInt64> {
            let raw = noise(400, seed: seed)
            var content = raw.map { Array("\r\n-X".utf8)[Int($0 & 3)] }
            // The delimiter itself must not occur: the only thing a sender has to see to.
            while let found = content.indices.first(where: { content[$0...].starts(with: Array("\r\n--XX".utf8)) }) {
                content[found] = UInt8(ascii: "a")
            }
            let body = crlf("--XX\n\n") + content + crlf("\n--XX--\n")
            let cuts = noise(40, seed: seed + 1_000).map { Int($0) * body.count / 256 }.sorted()
            #expect(try parse(body, cuts: cuts) == [ParsedPart(headers: [], content: content, hasEnded: true)])
        }
    }

    @Test func anyTruncationIsAnError() {
        let end = tricky.count - "\r\nepilogue --XX\r\n--XX".utf8.count
        for length in 0..<end {
            #expect(throws: BodyError.multipart(.truncated), "\(length) bytes") { try parse(Array(tricky[..<length])) }
        }
    }

    static let malformed: [(String, BodyError.Multipart)] = [
        ("--XX\nA: 1\n\nlf only\n--XX--\n", BodyError.Multipart.badBoundaryLine),
        ("--XX\r\nA: 1\nB: 2\r\n\r\nx\r\n--XX--\r\n", .badHeader),
        ("--XX\r\nA: 1\rB: 2\r\n\r\nx\r\n--XX--\r\n", .badHeader),
        ("--XX\r\nA: 1\r\n folded\r\n\r\nx\r\n--XX--\r\n", .badHeader),
        ("--XX\r\nA 1\r\n\r\nx\r\n--XX--\r\n", .badHeader),
        ("--XX\r\n: 1\r\n\r\nx\r\n--XX--\r\n", .badHeader),
        ("--XX\r\nA : 1\r\n\r\nx\r\n--XX--\r\n", .badHeader),
        ("--XX\r\nA: \u{0}\r\n\r\nx\r\n--XX--\r\n", .badHeader),
        ("--XX\r\n\r\nx\r\n--XXY\r\n\r\n--XX--\r\n", .badBoundaryLine),
        ("--XX\r\n\r\nx\r\n--XX-\r\n", .badBoundaryLine),
        ("--XX\r\n\r\nx\r\n--XX \u{b}\r\n", .badBoundaryLine),
        ("--XX" + String(repeating: " ", count: 200) + "\r\n\r\nx\r\n--XX--\r\n", .badBoundaryLine),
        ("no boundary", .truncated), ("", .truncated), ("-XX--", .truncated), ("--YY--", .truncated),
        (String(repeating: "preamble ", count: 200), .noBoundary),
        ("--XX\r\nA: " + String(repeating: "x", count: 9_000) + "\r\n\r\n\r\n--XX--", .headerTooLong),
        ("--XX\r\n" + String(repeating: "A: 1\r\n", count: 17) + "\r\n\r\n--XX--", .headerTooLong),
    ]

    @Test(arguments: malformed)
    func refuses(body: String, problem: BodyError.Multipart) {
        let bytes = Array(body.utf8)
        #expect(throws: BodyError.multipart(problem)) { try parse(bytes) }
        #expect(throws: BodyError.multipart(problem)) { try parse(bytes, cuts: Array(0...bytes.count)) }
    }

    @Test func theBodyMayBeginWithTheLastBoundary() throws {
        #expect(try parse(Array("--XX--".utf8)) == [])
    }

    /// RFC 2046 allows 70 characters; Orthanc's DICOMweb plugin sends 73.
    @Test(arguments: ["a", "0123456789'()+_,-./:=? x", 70, 73, 200].map { "\($0)" })
    func takesBoundaries(text: String) throws {
        let boundary = Int(text).map { String(repeating: "b", count: $0) } ?? text
        #expect(try parse(crlf("--\(boundary)\n\nx\n--\(boundary)--"), boundary: boundary).map(\.content) == [[120]])
    }

    @Test(arguments: ["", "a ", "a\r", "ä", "a\"b", "a;b", "a*b", String(repeating: "b", count: 201)])
    func refusesBoundaries(boundary: String) { #expect(MultipartParser(boundary: boundary) == nil) }
}

@Suite struct HeaderValueTests {
    @Test(arguments: [
        ("form-data; name=a", ["name": "a"]),
        ("Form-Data;name=\"a b;c\" ; FileName=\"d\\\"e\\\\f\"", ["name": "a b;c", "filename": "d\"e\\f"]),
        ("form-data; name=\"C:\\dir\\x\";", ["name": "C:\\dir\\x"]), ("form-data", [:]),
        ("form-data; name=\"\"", ["name": ""]), ("form-data; name=\"Länge\"", ["name": "Länge"]),
    ])
    func takes(text: String, parameters: [String: String]) {
        #expect(HeaderValue(text)?.value == "form-data")
        #expect(HeaderValue(text)?.parameters == parameters)
    }

    @Test(arguments: [
        "", "; name=a", "form-data name=a", "form-data; name", "form-data; =a", "form-data; name=",
        "form-data; name=\"a",
        "form-data; name=a; NAME=b", "form-data; name=\"a\" b", "form-data; na me=a", "form-data; name=\"a\\\"",
    ])
    func refuses(text: String) { #expect(HeaderValue(text) == nil) }

    @Test func decodesExtendedFileNames() {
        #expect(HeaderValue("form-data; filename*=UTF-8''L%C3%A4nge.nii")?.extendedFileName == "Länge.nii")
        #expect(HeaderValue("form-data; filename*=utf-8'de'a")?.extendedFileName == "a")
        #expect(HeaderValue("form-data; filename*=latin1''a")?.extendedFileName == nil)
        #expect(HeaderValue("form-data; filename*=UTF-8''%00")?.extendedFileName == nil)
    }
}

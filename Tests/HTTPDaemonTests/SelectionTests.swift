import Foundation
import Testing

@testable import HTTPDaemon

/// `Range`, `If-Range` and `If-None-Match`: which part of an answer is sent.
@Suite struct SelectionTests {
    @Test(arguments: [
        (nil, Selection.whole), ("bytes=0-0", .part(0..<1)), ("bytes=2-5", .part(2..<6)), ("bytes=7-", .part(7..<10)),
        ("bytes=-3", .part(7..<10)), ("bytes=-30", .part(0..<10)), ("Bytes=8-30", .part(8..<10)),
        ("bytes=9-99999999999999999999", .part(9..<10)), ("bytes=10-", .unsatisfiable), ("bytes=-0", .unsatisfiable),
        ("bytes=99999999999999999999-", .unsatisfiable),
        // Malformed, several, or another unit: ignored.
        ("bytes=5-2", .whole), ("bytes=-", .whole), ("bytes=1-2,4-5", .whole), ("bytes=+1-2", .whole),
        ("lines=1-2", .whole), ("bytes 1-2", .whole),
    ])
    func ranges(_ header: String?, _ expected: Selection) {
        let headers = header.map { ["Range": $0] as Headers } ?? [:]
        #expect(Selection(headers, tag: "\"a\"", bytes: 10) == expected)
    }

    @Test func conditions() {
        func selection(_ headers: Headers) -> Selection { Selection(headers, tag: "\"a\"", bytes: 10) }
        for known in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*"] {
            #expect(selection(["If-None-Match": known, "Range": "bytes=0-1"]) == .notModified)
        }
        #expect(selection(["If-None-Match": "\"b\""]) == .whole)
        #expect(selection(["If-Range": "\"a\"", "Range": "bytes=0-1"]) == .part(0..<2))
        #expect(selection(["If-Range": "\"b\"", "Range": "bytes=0-1"]) == .whole)
    }

    /// An empty answer has no bytes that could be asked for.
    @Test func emptyAnswer() {
        #expect(Selection(["Range": "bytes=0-"], tag: "\"a\"", bytes: 0) == .unsatisfiable)
        #expect(Selection(["Range": "bytes=-1"], tag: "\"a\"", bytes: 0) == .unsatisfiable)
    }

    @Test(arguments: ["/tagged", "/tagged-file", "/tagged-later"]) func overASocket(path: String) throws {
        let server = try TestServer()
        let bytes = Array(UInt8(0)..<100)
        try Data(bytes).write(to: server.folder.appendingPathComponent("served"))
        let client = server.client()
        func get(_ fields: String, hasBody: Bool = true) throws -> TestClient.Answer {
            client.send(lines: "GET \(path) HTTP/1.1\nHost: a\n\(fields)\n")
            return try #require(client.answer(hasBody: hasBody))
        }
        let whole = try get("")
        #expect(whole.status == 200 && whole.body == bytes && whole.headers["accept-ranges"] == "bytes")
        let part = try get("Range: bytes=10-19\n")
        #expect(part.status == 206 && part.body == Array(10..<20))
        #expect(part.headers["content-range"] == "bytes 10-19/100" && part.headers["etag"] == "\"tag\"")
        #expect(part.headers["content-length"] == "10")
        let none = try get("Range: bytes=100-\n")
        #expect(none.status == 416 && none.body.isEmpty && none.headers["content-range"] == "bytes */100")
        let known = try get("If-None-Match: \"tag\"\n", hasBody: false)
        #expect(known.status == 304 && known.headers["etag"] == "\"tag\"" && known.headers["content-type"] == nil)
        // The connection is still in step.
        #expect(try get("Range: bytes=-1\n").body == [99])
    }

    /// Parts are of what has a tag: without one a client could not tell two versions apart.
    @Test func withoutATagAllIsSent() throws {
        let server = try TestServer()
        let client = server.client()
        client.send(lines: "GET /hello HTTP/1.1\nHost: a\nRange: bytes=0-1\n\n")
        let answer = try #require(client.answer())
        #expect(answer.status == 200 && answer.text == "hello" && answer.headers["accept-ranges"] == nil)
    }
}

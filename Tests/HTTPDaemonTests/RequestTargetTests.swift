import Testing

@testable import HTTPDaemon

@Suite struct RequestTargetTests {
    @Test(arguments: [
        ("/", "/"), ("/v1/jobs", "/v1/jobs"), ("/v1/jobs/", "/v1/jobs/"), ("/a%20b", "/a b"), ("/L%c3%A4nge", "/Länge"),
        ("/a+b", "/a+b"), ("/...", "/..."), ("/a?", "/a"), ("http://host:80/x", "/x"), ("HTTPS://host", "/"),
        ("http://host?a=b", "/"),
    ])
    func takesPaths(raw: String, path: String) throws {
        #expect(try RequestTarget(raw.utf8, method: "GET").path == path)
    }

    @Test(arguments: [
        "", "x", "*", "//a", "/a//b", "/..", "/a/../b", "/%2e%2e/etc", "/.", "/a/./b", "/a%2Fb", "/a%5cb", "/a%00",
        "/a%0a", "/a%7f", "/%zz", "/%4", "/%", "/a b", "/a#b", "/ä", "/%ff", "/%c0%ae", "/%ed%a0%80", "/%c2%85",
        "host:443", "ftp://host/x", "http:/x",
    ])
    func refusesPaths(raw: String) {
        #expect(throws: Refusal.self) { try RequestTarget(raw.utf8, method: "GET") }
    }

    /// Found by the fuzzer: marks that make one character with a slash (U+0301 and U+20EC behind it, U+0600 before it), and
    /// encoded slashes and backslashes that hide so.
    @Test(arguments: ["/%e2%83%ac", "/a/%cc%81b", "/%d8%80/b", "/a%2F%cc%81b", "/a%5c%cc%81b", "/..%2f%cc%81/b"])
    func refusesSlashesThatAreOtherCharacters(raw: String) {
        #expect(throws: Refusal.self) { try RequestTarget(raw.utf8, method: "GET") }
    }

    @Test func takesMarksElsewhere() throws {
        #expect(try RequestTarget("/Cafe%cc%81/x".utf8, method: "GET").path == "/Cafe\u{301}/x")
    }

    @Test func takesQueries() throws {
        let target = try RequestTarget("/a?x=1&y=a+b%26c&empty=&flag&z=1=2&".utf8, method: "GET")
        #expect(target.query == ["x": "1", "y": "a b&c", "empty": "", "flag": "", "z": "1=2"])
    }

    @Test(arguments: ["/?a=1&a=2", "/?=1", "/?a=%", "/?a=%00", "/?a=%ff", "/?a=%0d%0aX:y"])
    func refusesQueries(raw: String) {
        #expect(throws: Refusal.self) { try RequestTarget(raw.utf8, method: "GET") }
    }

    @Test func takesTheAsteriskOfOptionsOnly() throws {
        #expect(try RequestTarget("*".utf8, method: "OPTIONS").path == "*")
    }
}

@Suite struct RequestCheckTests {
    private func check(
        _ fields: [(String, String)], method: String = "POST", version: String = "HTTP/1.1"
    ) throws -> CheckedHead {
        try CheckedHead(
            method: Array(method.utf8), target: Array("/a".utf8), version: version,
            fields: fields.map { (Array($0.0.utf8), Array($0.1.utf8)) }, peerAddress: "192.0.2.1")
    }

    @Test func knowsHowTheBodyIsDelimited() throws {
        let host = ("Host", "a")
        #expect(try check([host]).framing == .none)
        #expect(try check([host, ("Content-Length", "0")]).framing == .none)
        #expect(try check([host, ("content-length", "12")]).framing == .length(12))
        #expect(try check([host, ("Transfer-Encoding", "Chunked")]).framing == .chunked)
    }

    @Test(arguments: [
        [("Content-Length", "1"), ("Content-Length", "1")],
        [("Content-Length", "1"), ("content-length", "2")],
        [("Content-Length", "1"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
        [("Transfer-Encoding", "gzip, chunked")], [("Transfer-Encoding", "identity")], [("Transfer-Encoding", "")],
        [("Content-Length", "+1")], [("Content-Length", "-1")], [("Content-Length", "1, 1")], [("Content-Length", "")],
        [("Content-Length", "0x1")], [("Content-Length", "1234567890123456789")],
        [("Host", "b")], [("Content-Type", "a/b"), ("Content-Type", "c/d")],
        [("Bad Name", "x")], [("", "x")], [("A\u{0}", "x")], [("A", "x\ry")], [("A", "x\u{7f}")],
    ])
    func refusesWhatTwoServersCouldReadInTwoWays(fields: [(String, String)]) {
        #expect(throws: Refusal.self) { try check([("Host", "a")] + fields) }
    }

    @Test func needsAHostSinceHTTP11() throws {
        #expect(throws: Refusal.self) { try check([]) }
        #expect(try check([], version: "HTTP/1.0").framing == .none)
        #expect(throws: Refusal.self) { try check([("Transfer-Encoding", "chunked")], version: "HTTP/1.0") }
    }

    @Test func meetsOneExpectation() throws {
        #expect(try check([("Host", "a"), ("Expect", "100-Continue"), ("Content-Length", "1")]).expectsContinue)
        #expect(try !check([("Host", "a"), ("Expect", "100-continue")]).expectsContinue)
        #expect(throws: Refusal.self) { try check([("Host", "a"), ("Expect", "magic")]) }
    }

    @Test func findsFieldsWithoutRegardToCase() throws {
        let headers = try check([("Host", "a"), ("X-Tag", "1 \t"), ("x-tag", "2")]).head.headers
        #expect(headers["X-TAG"] == "1, 2")
        #expect(headers["x-none"] == nil)
    }

    @Test(arguments: ["a", "A-1._z", String(repeating: "x", count: 64)])
    func keepsAHarmlessRequestID(id: String) throws {
        #expect(try check([("Host", "a"), ("X-Request-Id", id)]).head.id == id)
    }

    @Test(arguments: ["", "a b", "ä", "a,b", String(repeating: "x", count: 65)])
    func replacesAnyOtherRequestID(id: String) throws {
        let made = try check([("Host", "a"), ("X-Request-Id", id)]).head.id
        #expect(made != id)
        #expect(made.utf8.count == 16)
    }
}

import Foundation
import Testing

@testable import HTTPDaemon

/// Bodies on their way to memory and files, over real sockets.
@Suite struct BodyTests {
    let server: TestServer

    init() throws { server = try TestServer() }

    private func post(_ path: String, _ body: [UInt8], fields: String = "") -> TestClient.Answer? {
        let client = server.client()
        client.send(lines: "POST \(path) HTTP/1.1\nHost: a\nContent-Length: \(body.count)\n\(fields)\n")
        client.send(body)
        return client.answer()
    }

    private func report(_ answer: TestClient.Answer?) throws -> BodyReport {
        let answer = try #require(answer)
        #expect(answer.status == 200, "\(answer.text)")
        return try JSONDecoder().decode(BodyReport.self, from: Data(answer.body))
    }

    private func chunked(_ path: String, _ chunks: [[UInt8]], fields: String = "") -> [UInt8] {
        Array("POST \(path) HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\(fields)\r\n".utf8)
            + (chunks + [[]]).flatMap { Array("\(String($0.count, radix: 16))\r\n".utf8) + $0 + Array("\r\n".utf8) }
    }

    @Test(arguments: [1, 1_000, 200_000])
    func keepsABareBodyInAFileOfItsOwn(size: Int) throws {
        let bytes = noise(size)
        let report = try report(post("/upload", bytes, fields: "Content-Type: application/gzip\n"))
        #expect(report.kind == "file")
        #expect(report.bytes == size)
        #expect(report.sum == checksum(bytes))
        #expect(report.mode == 0o600)
        #expect(eventually { server.filesLeft.isEmpty })
    }

    @Test func streams64MiB() throws {
        let block = noise(1 << 20)
        let client = server.client()
        client.send(lines: "POST /upload HTTP/1.1\nHost: a\nContent-Length: \(64 << 20)\n\n")
        for _ in 0..<64 { client.send(block) }
        let report = try report(client.answer())
        #expect(report.bytes == 64 << 20)
        #expect(report.sum == checksum(repeatElement(block, count: 64).joined()))
        #expect(eventually { server.filesLeft.isEmpty })
    }

    @Test func keepsWhatTheHandlerMovesAway() throws {
        let bytes = noise(5_000)
        #expect(post("/keep", bytes)?.status == 201)
        #expect(eventually { server.filesLeft.isEmpty })
        #expect(try Data(contentsOf: server.folder.appendingPathComponent("kept")) == Data(bytes))
    }

    @Test func anEmptyBodyIsNone() throws {
        #expect(try report(post("/upload", [])).kind == "none")
        let client = server.client()
        client.send(chunked("/upload", []))
        #expect(try report(client.answer()).kind == "none")
    }

    @Test func takesChunks() throws {
        let bytes = noise(100_000)
        let chunks = [Array(bytes[..<1]), Array(bytes[1..<70_000]), Array(bytes[70_000...])]
        let client = server.client()
        client.send(chunked("/upload", chunks))
        let report = try report(client.answer())
        #expect(report.bytes == 100_000)
        #expect(report.sum == checksum(bytes))
    }

    @Test func takesAChunkedBodyByteByByte() throws {
        let wire = chunked("/memory", [Array("abc".utf8), Array("defg".utf8)])
        let client = server.client()
        for byte in wire { client.send([byte]) }
        #expect(client.answer()?.text == "abcdefg")
    }

    @Test(arguments: ["zz\r\n", "-1\r\n", "\r\n", "5\r\nabcdefgh", "fffffffffffffffff\r\n"])
    func refusesMalformedChunks(body: String) {
        let client = server.client()
        client.send(Array("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\(body)".utf8))
        client.endSending()
        let status = client.answer()?.status
        #expect(status == nil || status == 400 || status == 413)
        #expect(client.isClosed())
        #expect(server.handled.words.isEmpty)
        #expect(eventually { server.filesLeft.isEmpty })
    }

    @Test func asksForABodyThatWaits() {
        let client = server.client()
        client.send(lines: "POST /memory HTTP/1.1\nHost: a\nContent-Length: 3\nExpect: 100-continue\n\n")
        #expect(client.answer()?.status == 100)
        client.send(lines: "abc")
        #expect(client.answer()?.text == "abc")
    }

    @Test func refusesABodyThatWaitsWithoutAskingForIt() {
        for path in ["/refused", "/hello", "/memory"] {
            let client = server.client()
            client.send(lines: "POST \(path) HTTP/1.1\nHost: a\nContent-Length: 1001\nExpect: 100-continue\n\n")
            #expect(client.answer()?.status == (path == "/refused" ? 403 : 413))
            #expect(client.isClosed())
        }
    }

    @Test func refusesADeclaredBodyBeforeItComes() throws {
        let client = server.client()
        client.send(lines: "POST /upload HTTP/1.1\nHost: a\nContent-Length: \(TestServer.uploadLimit + 1)\n\n")
        let answer = try #require(client.answer())
        #expect(answer.status == 413)
        #expect(answer.member("code") == "body_too_large")
        #expect(answer.headers["x-content-type-options"] == "nosniff")
        #expect(answer.headers["x-request-id"] != nil)
        #expect(answer.headers["date"]?.hasSuffix("GMT") == true)
        #expect(answer.headers["connection"] == "close")
        #expect(client.isClosed())
    }

    /// A client that sends all it has before it reads must find the answer and not a reset connection.
    @Test func aClientThatSendsOnStillGetsTheAnswer() {
        for (path, status) in [("/refused", 403), ("/memory", 413), ("/hello", 413), ("/lost", 500)] {
            let client = server.client()
            client.send(lines: "POST \(path) HTTP/1.1\nHost: a\nContent-Length: 8000000\n\n")
            client.send(noise(8_000_000))
            #expect(client.answer()?.status == status, "\(path)")
            #expect(client.isClosed())
        }
        #expect(server.handled.words.isEmpty)
    }

    @Test func stopsAChunkedBodyAtTheLimit() throws {
        let client = server.client()
        client.send(chunked("/memory", [noise(TestServer.memoryLimit)]))
        #expect(client.answer()?.body == noise(TestServer.memoryLimit))
        client.send(chunked("/memory", [noise(600), noise(401)]))
        #expect(client.answer()?.status == 413)
        #expect(client.isClosed())

        let other = server.client()
        other.send(chunked("/small-upload", Array(repeating: noise(10_000), count: 30)))
        let answer = try #require(other.answer())
        #expect(answer.status == 413)
        #expect(answer.member("detail").contains("20000 bytes"))
        #expect(eventually { server.filesLeft.isEmpty })
    }

    @Test func refusesABodyWhereNoneIsExpected() {
        #expect(post("/hello", [1])?.member("code") == "body_not_expected")
        let client = server.client()
        client.send(chunked("/hello", [[1]]))
        #expect(client.answer()?.status == 413)
        let other = server.client()
        other.send(chunked("/hello", []))
        #expect(other.answer()?.text == "hello")
    }

    @Test func aRefusalWithoutABodyKeepsTheConnection() {
        let client = server.client()
        for _ in 0..<2 {
            client.send(lines: "GET /refused HTTP/1.1\nHost: a\n\n")
            #expect(client.answer()?.status == 403)
        }
    }

    @Test(arguments: [false, true])
    func aClientThatVanishesLeavesNothing(resets: Bool) {
        do {
            let client = server.client()
            client.send(lines: "POST /upload HTTP/1.1\nHost: a\nContent-Length: 1000000\n\n")
            client.send(noise(300_000))
            #expect(eventually { server.filesLeft.count == 1 })
            if resets { client.reset() }
            withExtendedLifetime(client) {}
        }
        #expect(eventually { server.filesLeft.isEmpty })
        #expect(server.handled.words.isEmpty)
    }

    @Test func aClientThatVanishesWhileItsAnswerIsMadeLeavesNothing() {
        do {
            let client = server.client()
            client.send(lines: "GET /wait HTTP/1.1\nHost: a\n\n")
            #expect(eventually { server.handled.words.count == 1 })
            withExtendedLifetime(client) {}
        }
        server.gate.signal()
        #expect(eventually { server.log.lines.contains { $0.message == "request" } })
    }

    @Test func aFullDiskIs507() throws {
        let full = try TestServer(
            .forTests,
            write: { descriptor, bytes in
                var info = stat()
                fstat(descriptor, &info)
                if info.st_size > 100_000 {
                    errno = ENOSPC
                    return -1
                }
                return Glibc.write(descriptor, bytes.baseAddress, bytes.count)
            })
        let client = full.client()
        client.send(lines: "POST /upload HTTP/1.1\nHost: a\nContent-Length: 1000000\n\n")
        client.send(noise(1_000_000))
        let answer = try #require(client.answer())
        #expect(answer.status == 507)
        #expect(answer.member("code") == "storage_full")
        #expect(full.filesLeft.isEmpty)
        #expect(full.log.lines.contains { $0.message == "no room for a body" })
    }
}

/// multipart/form-data over real sockets.
@Suite struct FormTests {
    let server: TestServer

    init() throws { server = try TestServer() }

    private func send(_ body: [UInt8], type: String = "multipart/form-data; boundary=XX") -> TestClient.Answer? {
        let client = server.client()
        client.send(
            lines: "POST /upload HTTP/1.1\nHost: a\nContent-Type: \(type)\nContent-Length: \(body.count)\n\n")
        client.send(body)
        return client.answer()
    }

    private func part(_ head: String, _ content: [UInt8]) -> [UInt8] {
        Array("--XX\r\nContent-Disposition: form-data; \(head)\r\n\r\n".utf8) + content + Array("\r\n".utf8)
    }

    private let end = Array("--XX--\r\n".utf8)

    private func parts(_ answer: TestClient.Answer?) throws -> [BodyReport.Part] {
        let answer = try #require(answer)
        #expect(answer.status == 200, "\(answer.text)")
        return try JSONDecoder().decode(BodyReport.self, from: Data(answer.body)).parts
    }

    @Test func takesFilesAndFields() throws {
        let file = noise(150_000)
        let body =
            part("name=\"image\"; filename=\"Doe, John \\\"x\\\".nii.gz\"\r\nContent-Type: application/gzip", file)
            + part("name=options", Array("{}".utf8)) + part("name=\"options\"", Array("again".utf8))
            + part("name=\"empty\"; filename=\"\"", []) + part("name=\"none\"", [])
            + part("name=\"looks\"", Array("--XX\r\n--X\r\n\r\n--\nXX".utf8)) + end
        let found = try parts(send(body, type: "Multipart/Form-Data; charset=utf-8; boundary=\"XX\""))
        #expect(found.map(\.name) == ["image", "options", "options", "empty", "none", "looks"])
        #expect(found.map(\.bytes) == [150_000, 2, 5, 0, 0, 18])
        #expect(found.map(\.inFile) == [true, false, false, true, false, false])
        #expect(found[0].fileName == "Doe, John \"x\".nii.gz")
        #expect(found[0].type == "application/gzip")
        #expect(found[1].fileName == nil)
        #expect(found[2].text == "again")
        #expect(found[3].fileName?.isEmpty == true)
        #expect(found[5].text == "--XX\r\n--X\r\n\r\n--\nXX")
        #expect(eventually { server.filesLeft.isEmpty })
        #expect(!server.log.lines.contains { "\($0)".contains("Doe") })
    }

    @Test func aFieldAbove64KiBGoesToAFile() throws {
        let sizes = [65_536, 65_537, 65_536, 65_536, 65_536, 1]
        let body = sizes.enumerated().flatMap { part("name=\"f\($0)\"", noise($1)) } + end
        let found = try parts(send(body))
        #expect(found.map(\.bytes) == sizes)
        // The last one finds the memory for all fields used up.
        #expect(found.map(\.inFile) == [false, true, false, false, false, true])
        #expect(eventually { server.filesLeft.isEmpty })
    }

    @Test(arguments: [
        "--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--\r\n",
        "--XX\r\nContent-Disposition: form-data; name=\"\"\r\n\r\nx\r\n--XX--\r\n",
        "--XX\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\nx\r\n--XX--\r\n",
        "--XX\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--XX--\r\n", "--XX\r\n\r\nx\r\n--XX--\r\n",
        "--XX\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\nx\r\n--XX--\r\n",
        "--XX\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--XX--\r\n",
        "--XX\nContent-Disposition: form-data; name=a\n\nx\n--XX--\n",
        "--XX\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nx\r\n--XX",
        "--XX\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nx", "", "x",
    ])
    func refusesMalformedForms(body: String) throws {
        let bytes = Array(body.utf8)
        if bytes.isEmpty {
            let client = server.client()
            client.send(
                lines: "POST /upload HTTP/1.1\nHost: a\nContent-Type: multipart/form-data; boundary=XX\n"
                    + "Transfer-Encoding: chunked\n\n0\n\n")
            #expect(client.answer()?.status == 400)
        } else {
            let answer = try #require(send(bytes))
            #expect(answer.status == 400)
            #expect(answer.member("code") == "malformed_multipart")
        }
        #expect(server.handled.words.isEmpty)
        #expect(eventually { server.filesLeft.isEmpty })
    }

    @Test(arguments: [
        "multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"a;b\"",
        "multipart/form-data; boundary=XX; boundary=YY", "multipart/form-data; boundary=\"XX",
    ])
    func refusesBadBoundaries(type: String) {
        #expect(send(part("name=a", [1]) + end, type: type)?.status == 400)
    }

    @Test func refusesTooManyParts() {
        let many = (0..<65).flatMap { part("name=\"f\($0)\"", [1]) } + end
        #expect(send(many)?.member("code") == "too_many_parts")
    }

    /// Empty files are no files: thousands of them fit into what one scan has for bytes.
    @Test(arguments: [64, 65])
    func refusesTooManyEmptyFiles(count: Int) {
        let head = Array("--XX\r\nContent-Type: application/dicom\r\n\r\n\r\n".utf8)
        let body = (0..<count).flatMap { _ in head } + end
        let answer = send(body, type: "multipart/related; type=\"application/dicom\"; boundary=XX")
        #expect(answer?.status == (count == 64 ? 200 : 413))
        #expect((answer?.member("code") == "too_many_parts") == (count > 64))
        #expect(eventually { server.filesLeft.isEmpty })
    }

    /// Each file costs the threads that serve all sockets time: thousands of small ones would keep them busy.
    @Test(arguments: [1_023, 1_024])
    func refusesTooManySmallFiles(bytes: Int) throws {
        let server = try TestServer(.forTests.with(\.partLimit, 100))
        let one = Array("--XX\r\nContent-Type: application/dicom\r\n\r\n".utf8) + noise(bytes) + Array("\r\n".utf8)
        let body = (0..<65).flatMap { _ in one } + end
        let client = server.client()
        client.send(
            lines: "POST /upload HTTP/1.1\nHost: a\nContent-Length: \(body.count)\n"
                + "Content-Type: multipart/related; type=\"application/dicom\"; boundary=XX\n\n")
        client.send(body)
        #expect(client.answer()?.status == (bytes < 1_024 ? 413 : 200))
        #expect(eventually { server.filesLeft.isEmpty })
    }

    /// As a STOW-RS client sends instances: parts without names, each a file whatever its size.
    @Test func partsOfMultipartRelatedAreFilesWithoutNames() throws {
        let head = Array("--XX\r\nContent-Type: application/dicom\r\n\r\n".utf8)
        let body = [[1], noise(100_000), []].flatMap { head + $0 + Array("\r\n".utf8) } + end
        let found = try parts(send(body, type: "multipart/related; type=\"application/dicom\"; boundary=XX"))
        #expect(found.map(\.name) == ["", "", ""])
        #expect(found.map(\.bytes) == [1, 100_000, 0])
        #expect(found.allSatisfy { $0.inFile && $0.type == "application/dicom" })
        #expect(eventually { server.filesLeft.isEmpty })
    }

    @Test func otherMultipartTypesAreBareBodies() throws {
        let answer = try #require(send(end, type: "multipart/mixed; boundary=XX"))
        #expect(answer.member("kind") == "file")
    }
}

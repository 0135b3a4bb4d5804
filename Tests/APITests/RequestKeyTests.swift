import Foundation
import HTTPDaemon
import TestSupport
import Testing

@testable import API
@testable import Cases

/// What makes two requests under one key the same.
@Suite struct RequestKeyTests {
    private static func digest(_ query: [String: String], of files: [URL]) throws -> String {
        let parts = files.map { Part(name: "image", fileName: "x", content: .file($0, bytes: 4)) }
        let head = RequestHead(method: "POST", path: "/v1/jobs", query: query)
        return try Upload(Request(head: head, body: .parts(parts))).digest(query)
    }

    @Test func anotherWishIsAnotherRequest() throws {
        try withTemporaryFolder { folder in
            let files = ["one", "two"].map { folder.appending(path: $0) }
            for file in files { try Data(file.lastPathComponent.utf8).write(to: file) }
            let queries: [[String: String]] = [
                [:], ["series": "4"], ["series": "5"], ["acquisition": "4"], ["series": "4", "acquisition": "1"],
                ["uids": "true"], ["volume": "2"], ["priority": "stat"], ["priority": "bulk"], ["label": "a"],
                ["webhook": "http://a"], ["webhook": "http://a", "label": "a"],
            ]
            #expect(Set(try queries.map { try Self.digest($0, of: files) }).count == queries.count)
            #expect(try Self.digest(["series": "4"], of: files) == Self.digest(["series": "4"], of: files))
            #expect(try Self.digest([:], of: files.reversed()) != Self.digest([:], of: files))
        }
    }
}

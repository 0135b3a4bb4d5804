import Foundation
import TestSupport
import Testing
import Yams

/// A method and an address, as openapi.yaml writes them.
struct Endpoint: Hashable, Sendable, Comparable, CustomStringConvertible {
    let method: String, path: String

    init(_ method: String, _ path: String) { (self.method, self.path) = (method, path) }

    var description: String { "\(method) \(path)" }

    static func < (a: Endpoint, b: Endpoint) -> Bool { a.description < b.description }
}

/// What openapi.yaml says.
enum OpenAPI {
    /// The whole document.
    static func document() throws -> [String: Any] {
        let text = try String(contentsOf: SharedData.repository.appending(path: "openapi.yaml"), encoding: .utf8)
        return try #require(try Yams.load(yaml: text) as? [String: Any])
    }

    /// The statuses of each endpoint.
    static let statuses: [Endpoint: Set<Int>] = {
        var statuses: [Endpoint: Set<Int>] = [:]
        let paths = try! document()["paths"] as! [String: [String: Any]]
        for (path, item) in paths {
            for (method, operation) in item where method != "parameters" {
                let responses = (operation as! [String: Any])["responses"] as! [String: Any]
                statuses[Endpoint(method.uppercased(), path)] = Set(responses.keys.map { Int($0)! })
            }
        }
        return statuses
    }()
}

import Foundation
import TestSupport
import Testing
import Yams

@testable import API
@testable import Cases

/// openapi.yaml against what is served.
@Suite struct OpenAPITests {
    private func document() throws -> [String: Any] {
        let text = try String(contentsOf: SharedData.repository.appending(path: "openapi.yaml"), encoding: .utf8)
        return try #require(try Yams.load(yaml: text) as? [String: Any])
    }

    @Test func pathsAndMethodsAreThoseServed() throws {
        let paths = try #require(try document()["paths"] as? [String: [String: Any]])
        let described = paths.mapValues { item in
            item.keys.filter { $0 != "parameters" }.map { $0.uppercased() }.sorted()
        }
        let table = try withTemporaryFolder { try InProcess(in: $0).routes.table }
        let served = Dictionary(grouping: table, by: \.path).mapValues { $0.map(\.method).sorted() }
        #expect(described == served)
    }

    @Test func theContractThatIsServedIsTheFile() throws {
        let file = SharedData.repository.appending(path: "openapi.yaml")
        guard case .data(let served) = Contract.response.body else { throw CocoaError(.fileNoSuchFile) }
        #expect(try served == Data(contentsOf: file))
    }

    @Test func theVersionIsTheProgrammes() throws {
        let info = try #require(try document()["info"] as? [String: Any])
        #expect(info["version"] as? String == Hepar.version)
    }

    @Test func theKeysOfAJobAreThoseDescribed() throws {
        let schema = try schema("Job")
        let keys = Set(JobJSON.CodingKeys.allCases.map(\.stringValue))
        #expect(keys == Set(try #require(schema["properties"] as? [String: Any]).keys))
        #expect(keys == Set(try #require(schema["required"] as? [String])))
    }

    @Test func theKeysOfAReportAreThoseDescribed() throws {
        let schema = try schema("Report")
        let keys = Set(Report.CodingKeys.allCases.map(\.stringValue))
        #expect(keys == Set(try #require(schema["properties"] as? [String: Any]).keys))
        #expect(keys == Set(try #require(schema["required"] as? [String])))
    }

    private func schema(_ name: String) throws -> [String: Any] {
        let components = try #require(try document()["components"] as? [String: Any])
        let schemas = try #require(components["schemas"] as? [String: Any])
        return try #require(schemas[name] as? [String: Any])
    }
}

import Foundation
import TestSupport
import Testing

@testable import API
@testable import Cases

/// openapi.yaml against what is served.
@Suite struct OpenAPITests {
    @Test func pathsAndMethodsAreThoseServed() throws {
        let paths = try #require(try OpenAPI.document()["paths"] as? [String: [String: Any]])
        let described = paths.mapValues { item in
            item.keys.filter { $0 != "parameters" }.map { $0.uppercased() }.sorted()
        }
        let table = try InProcess.withServer { $0.routes.table }
        let served = Dictionary(grouping: table, by: \.path).mapValues { $0.map(\.method).sorted() }
        #expect(described == served)
    }

    @Test func theContractThatIsServedIsTheFile() throws {
        let file = SharedData.repository.appending(path: "openapi.yaml")
        guard case .data(let served) = Contract.response.body else { throw CocoaError(.fileNoSuchFile) }
        #expect(try served == Data(contentsOf: file))
    }

    @Test func theVersionIsTheProgrammes() throws {
        let info = try #require(try OpenAPI.document()["info"] as? [String: Any])
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
        let components = try #require(try OpenAPI.document()["components"] as? [String: Any])
        let schemas = try #require(components["schemas"] as? [String: Any])
        return try #require(schemas[name] as? [String: Any])
    }
}

import Foundation
import TestSupport
import Testing

/// Every status that openapi.yaml lists for a route, and none that it does not.
@Suite struct RouteStatusTests {
    /// What cannot be had without a socket or a disk that is full, with the test that shows it of the real daemon.
    private static let elsewhere: [(endpoint: Endpoint, status: Int, why: String, test: String)] = [
        (Endpoint("GET", "/healthz"), 400, "a head that is not well-formed", "refusesMalformedHeads"),
        (Endpoint("GET", "/readyz"), 400, "a head that is not well-formed", "refusesMalformedHeads"),
        (Endpoint("POST", "/v1/jobs"), 415, "a coded body", "refusesCodedBodies"),
        (Endpoint("POST", "/v1/scans"), 415, "a coded body", "refusesCodedBodies"),
        (Endpoint("PUT", "/v1/jobs/{id}/reference"), 415, "a coded body", "refusesCodedBodies"),
        (Endpoint("POST", "/v1/evaluations"), 415, "a coded body", "refusesCodedBodies"),
        (Endpoint("PUT", "/v1/jobs/{id}/reference"), 507, "a disk that is full", "aFullDiskIs507"),
        (Endpoint("POST", "/v1/evaluations"), 507, "a disk that is full", "aFullDiskIs507"),
    ]

    @Test(arguments: RouteCase.all)
    func isAnswered(route: RouteCase) throws {
        #expect(try route.run() == route.status)
    }

    @Test func allThatIsListedIsProvokedAndNothingElse() throws {
        var provoked: [Endpoint: Set<Int>] = [:]
        for route in RouteCase.all { provoked[route.endpoint, default: []].insert(route.status) }
        for one in Self.elsewhere {
            let isNew = provoked[one.endpoint, default: []].insert(one.status).inserted
            #expect(isNew, "\(one.endpoint) \(one.status) is provoked here: \(one.why) need not be shown elsewhere")
        }
        for (endpoint, listed) in OpenAPI.statuses.sorted(by: { $0.key < $1.key }) {
            let found = provoked[endpoint] ?? []
            #expect(listed.subtracting(found).isEmpty, "\(endpoint): openapi.yaml lists what no test provokes")
            #expect(found.subtracting(listed).isEmpty, "\(endpoint): openapi.yaml does not list what is answered")
        }
        #expect(Set(provoked.keys) == Set(OpenAPI.statuses.keys))
    }

    /// What is shown elsewhere is shown there.
    @Test(arguments: Set(elsewhere.map(\.test)).sorted())
    func theTestOfTheRealDaemonIsThere(name: String) throws {
        let folder = SharedData.repository.appending(path: "Tests/HTTPDaemonTests")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(try files.contains { try String(contentsOf: $0, encoding: .utf8).contains("func \(name)(") })
    }
}

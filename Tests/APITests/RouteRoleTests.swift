import Access
import Foundation
import Jobs
import Testing

@testable import API

/// Which role may ask what: each route, by each role, of an own job and of another's.
@Suite struct RouteRoleTests {
    /// Whom a route is for.
    private struct Rule {
        /// May ask of what was sent under their own name, and of what concerns no job.
        let own: Set<Role>
        /// May ask of everybody's jobs.
        let all: Set<Role>

        init(_ own: Role..., all: Set<Role> = [.admin]) { (self.own, self.all) = (Set(own).union(all), all) }
    }

    private static let sends = Rule(.submit)
    private static let sees = Rule(.readOwn, all: [.readAll, .admin])
    private static let operates = Rule()
    private static let everybody = Rule(all: Set(Role.allCases))

    private static let rules: [Endpoint: Rule] = [
        Endpoint("GET", "/v1/jobs"): sees,
        Endpoint("POST", "/v1/jobs"): sends,
        Endpoint("POST", "/v1/scans"): sends,
        Endpoint("POST", "/v1/dicomweb/studies"): sends,
        Endpoint("POST", "/v1/dicomweb/studies/{study}"): sends,
        Endpoint("GET", "/v1/jobs/{id}"): sees,
        Endpoint("GET", "/v1/jobs/{id}/dicom"): sees,
        Endpoint("DELETE", "/v1/jobs/{id}"): sends,
        Endpoint("GET", "/v1/jobs/{id}/mask"): sees,
        Endpoint("GET", "/v1/jobs/{id}/probabilities"): sees,
        Endpoint("GET", "/v1/jobs/{id}/report"): sees,
        Endpoint("GET", "/v1/jobs/{id}/preview.png"): sees,
        Endpoint("PUT", "/v1/jobs/{id}/reference"): sends,
        Endpoint("POST", "/v1/jobs/{id}/verify"): sends,
        Endpoint("POST", "/v1/evaluations"): sends,
        Endpoint("GET", "/v1/signing-key"): sees,
        Endpoint("POST", "/v1/jobs/{id}/cancel"): sends,
        Endpoint("POST", "/v1/jobs/{id}/retry"): sends,
        // Events do not say whose the job is.
        Endpoint("GET", "/v1/events"): Rule(all: [.readAll, .admin]),
        Endpoint("GET", "/v1/queue"): sees,
        Endpoint("POST", "/v1/queue/pause"): operates,
        Endpoint("POST", "/v1/queue/resume"): operates,
        Endpoint("GET", "/v1/webhooks/dead"): operates,
        Endpoint("POST", "/v1/webhooks/dead/{id}/retry"): operates,
        Endpoint("GET", "/v1/audit"): operates,
        Endpoint("GET", "/v1/info"): operates,
        Endpoint("GET", "/metrics"): everybody,
        Endpoint("GET", "/openapi.yaml"): everybody,
        Endpoint("GET", "/healthz"): everybody,
        Endpoint("GET", "/readyz"): everybody,
    ]

    @Test func everyRouteHasARule() throws {
        let table = try InProcess.withServer { $0.routes.table.map { Endpoint($0.method, $0.path) } }
        #expect(Set(table) == Set(Self.rules.keys))
    }

    /// A job that waits is enough: what is wrong with a request that may be asked is told with another status than 403.
    @Test(arguments: rules.keys.sorted())
    func rolesAreHeldToTheirRoutes(endpoint: Endpoint) throws {
        let rule = try #require(Self.rules[endpoint])
        let isOfOneJob = endpoint.path.hasPrefix("/v1/jobs/{id}")
        try InProcess.withServer(InProcess.Settings(tokens: Tokens.watch)) { server in
            for role in Role.allCases {
                for isOwn in isOfOneJob ? [true, false] : [true] {
                    var ask = InProcess.Ask(method: endpoint.method, path: endpoint.path)
                    ask.token = Tokens.text(role.rawValue)
                    ask.name(isOfOneJob ? "\(try server.job(.queued, of: isOwn ? role.rawValue : "other"))" : "1")
                    // Past the look at the type of a body.
                    if endpoint.path.contains("dicomweb") {
                        ask.body = (RouteCase.related, RouteCase.upload(RouteCase.related))
                        ask.query = ["unknown": ""]
                    }
                    let (status, _) = try server.send(ask)
                    let may = (isOwn ? rule.own : rule.all).contains(role)
                    #expect(
                        (status == 403) == !may && status != 401, "\(role), \(isOwn ? "own" : "other's"): \(status)")
                }
            }
        }
    }

    /// Lists show whoever sees only own jobs no others.
    @Test func listsShowWhatMayBeSeen() throws {
        try InProcess.withServer(InProcess.Settings(tokens: Tokens.watch)) { server in
            let own = try server.job(.queued, of: Role.readOwn.rawValue)
            let other = try server.job(.queued, of: "other")
            for (role, seen) in [(Role.readOwn, [own]), (.readAll, [other, own]), (.admin, [other, own])] {
                let ask = InProcess.Ask(method: "GET", path: "/v1/jobs", token: Tokens.text(role.rawValue))
                let decoder = JSONDecoder()
                decoder.dateDecodingStrategy = .iso8601
                let list = try decoder.decode(JobListJSON.self, from: server.send(ask).body)
                #expect(list.jobs.map(\.id) == seen.map { "\($0)" })
            }
        }
    }
}

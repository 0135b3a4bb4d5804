import Access
import Foundation
import HTTPDaemon
import Jobs
import TestSupport
import Testing

@testable import API

/// What one caller may have at once, and what is told of it.
@Suite struct ShareTests {
    /// A client that opens one upload after the other keeps no other's out.
    @Test func uploadsUnderWayAreCounted() throws {
        let underWay = UploadsUnderWay(standardBytes: 1_000)
        let (a, b) = (Caller(name: "a", roles: [.submit]), Caller(name: "b", roles: [.submit]))
        var meters: [BodyMeter] = []
        for _ in 0..<UploadsUnderWay.mostUploads {
            meters.append(try #require(try underWay.meter(for: a, declared: nil)))
        }
        for declared in [nil, 1] {
            let refusal = #expect(throws: Problem.self) { try underWay.meter(for: a, declared: declared) }
            #expect(refusal?.status == 429 && refusal?.code == "in_flight_full")
        }
        #expect(try underWay.meter(for: b, declared: 1_000) != nil)
        meters.removeLast().end()
        // One that is refused for its bytes takes no place.
        #expect(throws: Problem.self) { try underWay.meter(for: a, declared: 1_001) }
        #expect(try underWay.meter(for: a, declared: 1_000) != nil)
        #expect(throws: Problem.self) { try underWay.meter(for: a, declared: nil) }
    }

    /// A list is read in bites, and is one page.
    @Test func aListIsWholeHoweverItIsRead() throws {
        struct Page: Decodable {
            struct Job: Decodable { let id: String }
            let jobs: [Job]
            let next: String?
        }
        try InProcess.withServer { server in
            var ids: [String] = []
            for _ in 0..<52 {
                let id = JobID()
                let new = NewJob(id: id, options: Data("{}".utf8), hasReference: false, uploadBytes: 1)
                _ = try server.store.enqueue(new, limits: QueueLimits(jobs: 100))
                ids.insert("\(id)", at: 0)
            }
            func page(_ query: [String: String]) throws -> Page {
                let answer = try server.send(InProcess.Ask(method: "GET", path: "/v1/jobs", query: query))
                return try JSONDecoder().decode(Page.self, from: answer.body)
            }
            let all = try page(["limit": "500"])
            #expect(all.jobs.map(\.id) == ids && all.next == nil)
            let most = try page(["limit": "51"])
            #expect(most.jobs.map(\.id) == Array(ids.prefix(51)) && most.next == ids[50])
            let rest = try page(["limit": "51", "before": ids[50]])
            #expect(rest.jobs.map(\.id) == [ids[51]] && rest.next == nil)
        }
    }

    /// The log tells our own words and jobs' ids: a wrong address may hold a patient.
    @Test(arguments: [
        ("/v1/jobs", "/v1/jobs"), ("/healthz", "/healthz"), ("/", "/"),
        ("/v1/jobs/0190a2b4-6f00-7c3e-9d41-2f8b6a0c51e7/mask", "/v1/jobs/0190a2b4-6f00-7c3e-9d41-2f8b6a0c51e7/mask"),
        ("/v1/jobs/Doe^John", "/v1/jobs/..."), ("/v1/dicomweb/studies/1.2.840.1", "/v1/dicomweb/studies/..."),
        ("/dicom-web/studies/1.2.840.1/series/1.2.3", "/.../studies/.../.../..."),
        ("/v1/studies/1.2.840.1", "/v1/studies/..."), ("/V1/dicomweb/studies/1.2.840.1", "/.../dicomweb/studies/..."),
    ])
    func theLoggedPathNamesNoPatient(path: String, logged: String) throws {
        try InProcess.withServer { server in
            #expect(server.routes.loggedPath(RequestHead(method: "GET", path: path)) == logged)
        }
    }
}

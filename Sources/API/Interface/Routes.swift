import Access
import Cases
import Foundation
import HTTPDaemon
import Jobs
import Logging
import Telemetry
import Work

/// The HTTP interface: openapi.yaml in code. Finds who asks and for what, hands over to the route's resource, and keeps
/// what was answered.
package struct Routes: Sendable {
    let health: HealthResource
    /// Every address; a test holds them against openapi.yaml.
    let table: [Route]
    /// What stands in their paths.
    let words: Set<String>
    let gate: Gate
    let places: Places
    let auditDesk: AuditDesk
    let metrics: ServiceMetrics
    /// Where uploads go, and the most bytes of one.
    let incoming: URL, uploadLimit: Int
    let underWay: UploadsUnderWay
    /// Whether a job was removed.
    let wasRemoved: @Sendable (JobID) -> Bool
    let logger: Logger

    /// Whether a request is about the server's health, and must be answered whatever else goes on.
    package static func isVital(_ head: RequestHead) -> Bool { ["/healthz", "/readyz"].contains(head.path) }

    /// A path as it may be logged: our own words and jobs' ids. What else stands in it may be a study's UID or a name, also
    /// where the address is wrong.
    package func loggedPath(_ head: RequestHead) -> String {
        head.path.split(separator: "/", omittingEmptySubsequences: false)
            .map { $0.isEmpty || words.contains(String($0)) || JobID(String($0)) != nil ? $0 : "..." }
            .joined(separator: "/")
    }

    /// The routes of a path, one for each method, and what stands for `{id}` in it.
    private func routes(at path: String) -> (routes: [Route], id: String) {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        var id = ""
        let routes = table.filter { route in
            let pattern = route.path.split(separator: "/")
            guard pattern.count == segments.count else { return false }
            return zip(pattern, segments).allSatisfy { expected, found in
                let isName = expected.first == "{"
                if isName { id = String(found) }
                return isName || expected == found
            }
        }
        return (routes, id)
    }

    /// Finds the route and the caller, before any byte of a body is read: who may not send it is told so at once. The answer
    /// goes on from both.
    package func plan(_ head: RequestHead) -> RequestPlan {
        let (found, id) = routes(at: head.path)
        guard let route = found.first(where: { $0.method == head.method }) else {
            return .refuse(Self.noRoute(found).response)
        }
        @Sendable func accept(_ body: BodyPlan, from caller: Caller) -> RequestPlan {
            .accept(body, caller: caller == .anonymous ? "" : caller.name) { answer($0, route, id: id, from: caller) }
        }
        guard let action = route.action else { return accept(.none, from: .anonymous) }
        var caller = Caller.unknown
        do throws(AccessRefusal) {
            caller = try gate.caller(head)
            try caller.check(action)
        } catch {
            metrics.authenticationFailures.add(1, error.code)
            metrics.httpRequests.add(1, route.path, route.method, "\(error.status)")
            // Strangers' requests are counted and limited; they would fill the table.
            if let action = route.audited, caller != .unknown {
                auditDesk.record(action, by: caller, job: nil, outcome: "\(error.status)", request: head)
            }
            return .refuse(error.problem.response)
        }
        if route.takesFiles, !places.hasRoom(for: caller.name) {
            metrics.httpRequests.add(1, route.path, route.method, "429")
            return .refuse(Places.Refusal.ownShare.problem(share: places.share).response)
        }
        guard route.takesFiles else { return accept(.none, from: caller) }
        let declared = head.headers["Content-Length"].flatMap { Int($0) }
        // What is too large for everyone is refused as such, before a byte of it.
        guard declared ?? 0 <= uploadLimit else {
            return accept(.files(folder: incoming, limit: uploadLimit), from: caller)
        }
        do {
            let meter = try underWay.meter(for: caller, declared: declared)
            return accept(.files(folder: incoming, limit: uploadLimit, meter: meter), from: caller)
        } catch {
            metrics.httpRequests.add(1, route.path, route.method, "\(error.status)")
            metrics.uploads.add(1, error.code)
            if let action = route.audited {
                auditDesk.record(action, by: caller, job: nil, outcome: "\(error.status)", request: head)
            }
            return .refuse(error.response)
        }
    }

    /// What is said of an address, with these routes, that does not answer a method.
    private static func noRoute(_ routes: [Route]) -> Problem {
        let methods = routes.map(\.method)
        guard !methods.isEmpty else {
            return Problem(404, "not_found", "There is nothing at this address. GET /openapi.yaml tells what there is.")
        }
        let allowed = (methods.contains("GET") ? methods + ["HEAD"] : methods).sorted().joined(separator: ", ")
        return Problem(405, "method_not_allowed", "This address answers \(allowed).", headers: [("Allow", allowed)])
    }

    /// Answers a request whose caller was let in when its head came. An upload may have taken long since: the caller's token
    /// is looked at again.
    private func answer(_ request: Request, _ route: Route, id: String, from caller: Caller) -> Answer {
        let start = ContinuousClock.now
        var logger = logger
        logger[metadataKey: "request"] = "\(request.head.id)"
        logger[metadataKey: "client"] = "\(gate.client(request.head))"
        let name = route.path
        @Sendable func counted(_ response: Response) -> Response {
            metrics.httpRequests.add(1, name, route.method, "\(response.status)")
            metrics.httpTime.observe((ContinuousClock.now - start) / .seconds(1), name, route.method)
            return response
        }
        let call = Call(
            request: request, id: id, caller: caller, action: route.action, logger: logger,
            check: { [gate] () throws(AccessRefusal) in
                guard let action = route.action else { return }
                try gate.doorkeeper.stillCaller { request.head.headers[$0] }.check(action)
            })
        do {
            try call.check()
            switch try route.handle(call) {
            case .now(let response): return .now(counted(done(response, call, route)))
            case .later(let begin): return .later { begin($0.changed(by: counted)) }
            case .inPlace(let kind, let work):
                return .later { [self] reply in
                    places.run(kind, for: caller.name, reply: reply) { refusal in
                        do {
                            if let refusal { throw refusal }
                            try call.check()
                            return counted(done(try work(), call, route))
                        } catch {
                            return counted(failed(error, call, route))
                        }
                    }
                }
            }
        } catch {
            return .now(counted(failed(error, call, route)))
        }
    }

    /// Keeps that a request was answered.
    private func done(_ response: Response, _ call: Call, _ route: Route) -> Response {
        if let action = route.audited {
            let made = response.headers.first { $0.0 == "Location" }?.1.split(separator: "/").last
            auditDesk.record(
                action, by: call.caller, job: JobID(made.map(String.init) ?? call.id),
                outcome: response.status < 400 ? AuditEntry.done : "\(response.status)", request: call.request.head)
        }
        return response
    }

    /// Keeps that a request failed, and says why.
    private func failed(_ error: any Error, _ call: Call, _ route: Route) -> Response {
        let problem =
            (error as? Places.Refusal)?.problem(share: places.share)
            ?? Problem.of(cause(of: error, call, route), call.logger)
        if route.takesFiles { metrics.uploads.add(1, problem.code) }
        if let action = route.audited {
            auditDesk.record(
                action, by: call.caller, job: JobID(call.id), outcome: "\(problem.status)", request: call.request.head)
        }
        return problem.response
    }

    /// The error to answer: files that are missing are those of a job that was deleted after it was found.
    private func cause(of error: any Error, _ call: Call, _ route: Route) -> any Error {
        let isOfFiles = (error as? Problem).map { $0.code == "upload_lost" } ?? !(error is AccessRefusal)
        guard isOfFiles, route.path.hasPrefix("/v1/jobs/{id}"), let id = JobID(call.id) else { return error }
        return wasRemoved(id) ? JobStoreError.removed(id) : error
    }
}

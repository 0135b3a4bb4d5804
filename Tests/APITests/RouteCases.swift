import Foundation
import Jobs
import TestSupport

@testable import Cases

/// One way to be answered one status by one endpoint.
struct RouteCase: Sendable, CustomStringConvertible {
    let endpoint: Endpoint
    let status: Int
    let what: String
    var settings: InProcess.Settings
    /// Brings the server into a state and completes the request, which has the endpoint's method and path, and the token of
    /// an admin.
    let prepare: @Sendable (InProcess, inout InProcess.Ask) throws -> Void

    /// A case on a server with tokens.
    init(
        _ endpoint: Endpoint, _ status: Int, _ what: String,
        prepare: @escaping @Sendable (InProcess, inout InProcess.Ask) throws -> Void = { _, _ in }
    ) {
        self.init(endpoint, status, what, { _ in }, prepare: prepare)
    }

    /// A case on a server that is set so.
    init(
        _ endpoint: Endpoint, _ status: Int, _ what: String, _ set: (inout InProcess.Settings) -> Void,
        prepare: @escaping @Sendable (InProcess, inout InProcess.Ask) throws -> Void
    ) {
        (self.endpoint, self.status, self.what, self.prepare) = (endpoint, status, what, prepare)
        settings = InProcess.Settings(tokens: Tokens.watch)
        set(&settings)
    }

    var description: String { "\(endpoint) \(status): \(what)" }

    /// The status that the client gets.
    func run() throws -> Int {
        try InProcess.withServer(settings) { server in
            var ask = InProcess.Ask(method: endpoint.method, path: endpoint.path, token: Tokens.text("admin"))
            try prepare(server, &ask)
            return try server.send(ask).status
        }
    }

    // MARK: - What every endpoint has

    /// Of all endpoints but those of health, which everybody may ask.
    static let common: [RouteCase] = OpenAPI.statuses.keys.sorted().filter {
        $0.path.hasPrefix("/v1") || $0.path == "/metrics"
    }
    .flatMap { endpoint in
        [
            RouteCase(endpoint, 400, "a parameter that is not known") { server, ask in
                ask.query = ["unknown": "1"]
                ask.name(1)
                if uploadTypes[endpoint] != nil { ask.upload(to: endpoint) }
            },
            RouteCase(endpoint, 401, "no token") { _, ask in ask.token = nil },
            RouteCase(endpoint, 403, "a proxy before a server without tokens", { $0.tokens = nil }) { _, ask in
                (ask.token, ask.headers) = (nil, ["X-Forwarded-For": "192.0.2.1"])
            },
            RouteCase(endpoint, 429, "one wrong token too many", { $0.wrongTokens = 1 }) { server, ask in
                ask.token = "hpr_" + String(repeating: "A", count: 43)
                _ = try server.send(ask)
            },
        ]
    }

    /// Of the endpoints of one job.
    static let ofOneJob: [RouteCase] = OpenAPI.statuses.keys.sorted().filter { $0.path.hasPrefix("/v1/jobs/{id}") }
        .flatMap { endpoint in
            [
                RouteCase(endpoint, 404, "no such job") { _, ask in ask.name(JobID()) },
                RouteCase(endpoint, 404, "no job's name") { _, ask in ask.name("x") },
                RouteCase(endpoint, 410, "a deleted job") { server, ask in ask.name(try server.removedJob()) },
            ]
        }

    /// What is sent to endpoints that take files.
    static let uploadTypes: [Endpoint: String] = [
        Endpoint("POST", "/v1/jobs"): "application/octet-stream",
        Endpoint("POST", "/v1/scans"): "application/octet-stream",
        Endpoint("POST", "/v1/dicomweb/studies"): related,
        Endpoint("POST", "/v1/dicomweb/studies/{study}"): related,
        Endpoint("PUT", "/v1/jobs/{id}/reference"): "application/octet-stream",
        Endpoint("POST", "/v1/evaluations"): "multipart/form-data; boundary=b",
    ]

    static let related = "multipart/related; type=\"application/dicom\"; boundary=b"

    /// The small scan, as this type of body wants it.
    static func upload(_ type: String) -> Data {
        switch type {
        case "application/octet-stream": return SmallScan.ct
        case related: return slices
        default:
            var ask = InProcess.Ask(method: "", path: "")
            ask.send(form: [("prediction", SmallScan.reference), ("reference", SmallScan.reference)])
            return ask.body!.bytes
        }
    }

    private static let slices = instances(SmallScan.slices)

    /// Files as STOW-RS sends them.
    static func instances(_ files: [Data]) -> Data {
        let head = Data("--b\r\nContent-Type: application/dicom\r\n\r\n".utf8)
        return files.reduce(into: Data()) { $0 += head + $1 + Data("\r\n".utf8) } + Data("--b--\r\n".utf8)
    }
}

extension InProcess.Ask {
    /// Sends the small scan to an endpoint that takes files, under its own study where the path wants one.
    mutating func upload(to endpoint: Endpoint) {
        let type = RouteCase.uploadTypes[endpoint]!
        body = (type, RouteCase.upload(type))
        if endpoint.path.contains("{study}") { name(DicomPhantom.study) }
    }
}

import Foundation
import Jobs

extension RouteCase {
    /// Of the endpoints that take files.
    static let ofUploads: [RouteCase] = uploadTypes.keys.sorted().flatMap { endpoint in
        @Sendable func send(_ server: InProcess, _ ask: inout InProcess.Ask) throws {
            ask.upload(to: endpoint)
            if endpoint.path.contains("{id}") { ask.name(try server.job(.succeeded)) }
        }
        let isScan = endpoint.path != "/v1/jobs/{id}/reference" && endpoint.path != "/v1/evaluations"
        return [
            RouteCase(endpoint, 413, "more bytes than the server takes", { $0.uploadBytes = 10 }, prepare: send),
            RouteCase(endpoint, 413, "more bytes than the token may have under way") { server, ask in
                try send(server, &ask)
                ask.token = Tokens.text("sending")
            },
            RouteCase(endpoint, 503, "the server ends") { server, ask in
                try send(server, &ask)
                server.endPlaces()
            },
        ]
            + (isScan
                ? [
                    RouteCase(
                        endpoint, 507, "a disk that is nearly full", { $0.freeSpaceMiB = 1 << 40 }, prepare: send),
                    RouteCase(
                        endpoint, 503, "no child can be started", { $0.program = URL(filePath: "/does/not/exist") },
                        prepare: send),
                ] : [])
    }

    static let ofScans: [RouteCase] = ["/v1/jobs", "/v1/dicomweb/studies", "/v1/dicomweb/studies/{study}"].flatMap {
        path in
        let endpoint = Endpoint("POST", path)
        let isStow = path != "/v1/jobs"
        return [
            RouteCase(endpoint, isStow ? 200 : 202, "a scan") { _, ask in ask.upload(to: endpoint) },
            RouteCase(endpoint, 403, "more urgent than the token allows") { _, ask in
                ask.upload(to: endpoint)
                (ask.token, ask.query) = (Tokens.text("submit"), ["priority": "stat"])
            },
            RouteCase(endpoint, 409, "a key of another request") { server, ask in
                let key = RetryKey(key: "admin/k", digest: String(repeating: "0", count: 64))
                let new = NewJob(options: Data("{}".utf8), hasReference: false, uploadBytes: 1, retryKey: key)
                _ = try server.store.enqueue(new, queueLimit: 9)
                ask.upload(to: endpoint)
                ask.headers = ["Idempotency-Key": "k"]
            },
            RouteCase(endpoint, isStow ? 409 : 422, "a webhook that is not allowed") { _, ask in
                ask.upload(to: endpoint)
                ask.query = ["webhook": "https://example.org/"]
            },
            RouteCase(endpoint, 429, "as many waiting as the token may have") { server, ask in
                try server.job(.queued, of: "waiting")
                ask.upload(to: endpoint)
                ask.token = Tokens.text("waiting")
            },
            RouteCase(endpoint, 503, "a full queue", { $0.queue = 0 }) { _, ask in ask.upload(to: endpoint) },
            RouteCase(endpoint, 507, "as much stored as the token may have") { server, ask in
                try server.job(.queued, of: "storing")
                ask.upload(to: endpoint)
                ask.token = Tokens.text("storing")
            },
        ]
    }

    /// What is said of each instance.
    static let ofInstances: [RouteCase] = ["/v1/dicomweb/studies", "/v1/dicomweb/studies/{study}"].flatMap { path in
        let endpoint = Endpoint("POST", path)
        @Sendable func send(_ files: [Data], _ ask: inout InProcess.Ask) {
            ask.upload(to: endpoint)
            ask.body = (related, instances(files))
        }
        return [
            RouteCase(endpoint, 202, "slices, and what is none") { _, ask in
                send(SmallScan.slices + [SmallScan.ct], &ask)
            },
            RouteCase(endpoint, 400, "no instances") { _, ask in send([], &ask) },
            RouteCase(endpoint, 409, "no slices") { _, ask in send([SmallScan.ct], &ask) },
            RouteCase(endpoint, 409, "slices that make no volume") { _, ask in
                send(Array(SmallScan.slices.prefix(2)), &ask)
            },
            RouteCase(endpoint, 415, "a bare body") { _, ask in
                ask.upload(to: endpoint)
                ask.body = ("application/dicom", SmallScan.slices[0])
            },
        ]
    }

    static let ofOtherUploads: [RouteCase] = [
        RouteCase(Endpoint("POST", "/v1/jobs"), 422, "no file"),
        RouteCase(Endpoint("POST", "/v1/jobs"), 422, "no scan") { _, ask in
            ask.body = ("application/octet-stream", Data(repeating: 65, count: 1_000))
        },
        RouteCase(Endpoint("POST", "/v1/scans"), 422, "no file"),
        RouteCase(Endpoint("POST", "/v1/scans"), 200, "a scan") { _, ask in
            ask.body = ("application/octet-stream", SmallScan.ct)
        },
        RouteCase(Endpoint("POST", "/v1/jobs"), 202, "DICOM files") { _, ask in
            ask.send(form: SmallScan.slices.map { ("image", $0) })
        },
        RouteCase(
            Endpoint("POST", "/v1/jobs"), 503, "no child can be started for DICOM files",
            { $0.program = URL(filePath: "/does/not/exist") }
        ) { _, ask in ask.send(form: SmallScan.slices.map { ("image", $0) }) },
        RouteCase(Endpoint("POST", "/v1/dicomweb/studies/{study}"), 400, "no UID") { _, ask in
            ask.upload(to: Endpoint("POST", "/v1/dicomweb/studies"))
            ask.name("x")
        },
        RouteCase(Endpoint("POST", "/v1/dicomweb/studies/{study}"), 400, "another study in the query") { _, ask in
            ask.upload(to: Endpoint("POST", "/v1/dicomweb/studies/{study}"))
            ask.query = ["study": "1.2.4"]
        },
        RouteCase(Endpoint("POST", "/v1/dicomweb/studies/{study}"), 409, "slices of another study") { _, ask in
            ask.upload(to: Endpoint("POST", "/v1/dicomweb/studies"))
            ask.name("1.2.4")
        },
        RouteCase(Endpoint("PUT", "/v1/jobs/{id}/reference"), 200, "a reference") { server, ask in
            ask.name(try server.job(.succeeded))
            ask.body = ("application/octet-stream", SmallScan.reference)
        },
        RouteCase(Endpoint("PUT", "/v1/jobs/{id}/reference"), 409, "a job that waits") { server, ask in
            ask.name(try server.job(.queued))
            ask.body = ("application/octet-stream", SmallScan.reference)
        },
        RouteCase(Endpoint("PUT", "/v1/jobs/{id}/reference"), 422, "no file") { server, ask in
            ask.name(try server.job(.succeeded))
        },
        RouteCase(Endpoint("POST", "/v1/evaluations"), 200, "two masks") { _, ask in
            ask.send(form: [("prediction", SmallScan.reference), ("reference", SmallScan.reference)])
        },
        RouteCase(Endpoint("POST", "/v1/evaluations"), 422, "one mask") { _, ask in
            ask.send(form: [("prediction", SmallScan.reference)])
        },
        RouteCase(Endpoint("POST", "/v1/evaluations"), 422, "no form") { _, ask in
            ask.body = ("application/octet-stream", SmallScan.reference)
        },
    ]
}

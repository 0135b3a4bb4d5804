import Foundation
import Jobs

@testable import Cases

extension RouteCase {
    /// Of a job's results: files that can be asked for in parts, and what is made when it is asked for.
    static let ofResults: [RouteCase] = ["mask", "probabilities", "report", "preview.png"].flatMap { name in
        let endpoint = Endpoint("GET", "/v1/jobs/{id}/\(name)")
        @Sendable func succeeded(_ server: InProcess, _ ask: inout InProcess.Ask) throws {
            ask.name(try server.job(.succeeded))
        }
        let whole =
            [RouteCase(endpoint, 200, "a job that succeeded", prepare: succeeded)]
            + [JobState.queued, .running, .failed, .cancelled].map { state in
                RouteCase(endpoint, 409, "a job that is \(state)") { server, ask in ask.name(try server.job(state)) }
            }
        guard name != "report" else { return whole }
        return whole + [
            RouteCase(endpoint, 206, "a part") { server, ask in
                try succeeded(server, &ask)
                ask.headers = ["Range": "bytes=0-9"]
            },
            RouteCase(endpoint, 304, "known already") { server, ask in
                try succeeded(server, &ask)
                ask.headers = ["If-None-Match": "*"]
            },
            RouteCase(endpoint, 416, "a part that is not there") { server, ask in
                try succeeded(server, &ask)
                ask.headers = ["Range": "bytes=99999999-"]
            },
        ]
    }

    static let ofOtherResults: [RouteCase] = [
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/mask"), 406, "DICOM of a scan that was none") { server, ask in
            ask.name(try server.job(.succeeded))
            ask.headers = ["Accept": "application/dicom"]
        },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/mask"), 200, "one label") { server, ask in
            ask.name(try server.job(.succeeded))
            ask.query = ["label": "lesion"]
        },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/mask"), 422, "a mask that no child can read") { server, ask in
            let id = try server.job(.succeeded)
            ask.name(id)
            ask.query = ["label": "liver"]
            try Data("none".utf8).write(to: server.spool.folder(of: id).appending(path: JobFiles.mask))
        },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/mask"), 503, "the server ends") { server, ask in
            ask.name(try server.job(.succeeded))
            ask.query = ["label": "liver"]
            server.endPlaces()
        },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/mask"), 410, "a mask that was deleted just now") { server, ask in
            let id = try server.job(.succeeded)
            ask.name(id)
            try server.spool.remove(id)
        },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/probabilities"), 404, "none were kept") { server, ask in
            let id = try server.job(.succeeded)
            ask.name(id)
            try FileManager.default.removeItem(
                at: server.spool.folder(of: id).appending(path: JobFiles.probabilities))
        },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/report"), 200, "the page") { server, ask in
            ask.name(try server.job(.succeeded))
            ask.query = ["format": "html"]
        },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/report"), 422, "a page of a scan that no child can read") {
            server, ask in
            let id = try server.job(.succeeded)
            ask.name(id)
            ask.query = ["format": "html"]
            try Data("none".utf8).write(to: server.spool.folder(of: id).appending(path: "image.nii.gz"))
        },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/report"), 503, "the server ends") { server, ask in
            ask.name(try server.job(.succeeded))
            ask.query = ["format": "html"]
            server.endPlaces()
        },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/preview.png"), 404, "no such slice") { server, ask in
            ask.name(try server.job(.succeeded))
            ask.query = ["slice": "999"]
        },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/preview.png"), 409, "a scan that is lost") { server, ask in
            let id = try server.job(.succeeded)
            ask.name(id)
            try FileManager.default.removeItem(at: server.spool.folder(of: id).appending(path: "image.nii.gz"))
        },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/preview.png"), 422, "a scan that no child can read") { server, ask in
            let id = try server.job(.succeeded)
            ask.name(id)
            try Data("none".utf8).write(to: server.spool.folder(of: id).appending(path: "image.nii.gz"))
        },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/preview.png"), 503, "the server ends") { server, ask in
            ask.name(try server.job(.succeeded))
            server.endPlaces()
        },
    ]

    /// Of what is done to jobs.
    static let ofChanges: [RouteCase] = [
        RouteCase(Endpoint("GET", "/v1/jobs/{id}"), 200, "a job") { server, ask in ask.name(try server.job(.queued)) },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/dicom"), 200, "a job that came as DICOM") { server, ask in
            let endpoint = Endpoint("POST", "/v1/dicomweb/studies")
            var upload = InProcess.Ask(method: endpoint.method, path: endpoint.path, token: ask.token)
            upload.upload(to: endpoint)
            upload.query = ["uids": "true"]
            _ = try server.send(upload)
            ask.name(try server.store.jobs(JobFilter()).first?.id ?? JobID())
        },
        RouteCase(Endpoint("GET", "/v1/jobs/{id}/dicom"), 404, "a job that came as NIfTI") { server, ask in
            ask.name(try server.job(.queued))
        },
        RouteCase(Endpoint("DELETE", "/v1/jobs/{id}"), 202, "a job that runs") { server, ask in
            ask.name(try server.job(.running))
        },
        RouteCase(Endpoint("DELETE", "/v1/jobs/{id}"), 204, "a job that waits") { server, ask in
            ask.name(try server.job(.queued))
        },
        RouteCase(
            Endpoint("DELETE", "/v1/jobs/{id}"), 409, "a job that is always run again",
            {
                $0.changed = { id, store in
                    _ = try? store.retry(id, limits: QueueLimits(jobs: 9), at: Date())
                }
            }
        ) { server, ask in ask.name(try server.job(.queued)) },
        RouteCase(Endpoint("POST", "/v1/jobs/{id}/cancel"), 200, "a job that waits") { server, ask in
            ask.name(try server.job(.queued))
        },
        RouteCase(Endpoint("POST", "/v1/jobs/{id}/cancel"), 202, "a job that runs") { server, ask in
            ask.name(try server.job(.running))
        },
        RouteCase(Endpoint("POST", "/v1/jobs/{id}/cancel"), 409, "a job that succeeded") { server, ask in
            ask.name(try server.job(.succeeded))
        },
        RouteCase(Endpoint("POST", "/v1/jobs/{id}/retry"), 202, "a job that failed") { server, ask in
            ask.name(try server.job(.failed))
        },
        RouteCase(Endpoint("POST", "/v1/jobs/{id}/retry"), 409, "a job that succeeded") { server, ask in
            ask.name(try server.job(.succeeded))
        },
        RouteCase(Endpoint("POST", "/v1/jobs/{id}/retry"), 429, "as many waiting as the token may have") {
            server, ask in
            ask.name(try server.job(.failed, of: "waiting"))
            try server.job(.queued, of: "waiting")
            ask.token = Tokens.text("waiting")
        },
        RouteCase(Endpoint("POST", "/v1/jobs/{id}/retry"), 503, "a full queue", { $0.queue = 0 }) { server, ask in
            ask.name(try server.job(.failed))
        },
        RouteCase(Endpoint("POST", "/v1/jobs/{id}/verify"), 202, "a job that succeeded") { server, ask in
            ask.name(try server.job(.succeeded))
        },
        RouteCase(Endpoint("POST", "/v1/jobs/{id}/verify"), 409, "a job that waits") { server, ask in
            ask.name(try server.job(.queued))
        },
        RouteCase(Endpoint("POST", "/v1/jobs/{id}/verify"), 413, "a body where none is taken") { server, ask in
            ask.name(try server.job(.succeeded))
            ask.body = ("application/octet-stream", Data([1]))
        },
        RouteCase(Endpoint("POST", "/v1/jobs/{id}/verify"), 429, "as many waiting as the token may have") {
            server, ask in
            ask.name(try server.job(.succeeded, of: "waiting"))
            try server.job(.queued, of: "waiting")
            ask.token = Tokens.text("waiting")
        },
        RouteCase(Endpoint("POST", "/v1/jobs/{id}/verify"), 503, "a full queue", { $0.queue = 0 }) { server, ask in
            ask.name(try server.job(.succeeded))
        },
        RouteCase(Endpoint("POST", "/v1/jobs/{id}/verify"), 507, "as much stored as the token may have") {
            server, ask in
            ask.name(try server.job(.succeeded, of: "storing"))
            ask.token = Tokens.text("storing")
        },
    ]

    /// Of the queue and of what operators look at.
    static let ofOperation: [RouteCase] =
        [
            Endpoint("GET", "/v1/jobs"), Endpoint("GET", "/v1/signing-key"), Endpoint("GET", "/v1/events"),
            Endpoint("GET", "/v1/queue"), Endpoint("POST", "/v1/queue/pause"), Endpoint("POST", "/v1/queue/resume"),
            Endpoint("GET", "/v1/webhooks/dead"), Endpoint("GET", "/v1/audit"), Endpoint("GET", "/v1/info"),
            Endpoint("GET", "/metrics"), Endpoint("GET", "/healthz"), Endpoint("GET", "/readyz"),
            Endpoint("GET", "/openapi.yaml"),
        ].map { RouteCase($0, 200, "all is well") } + [
            RouteCase(Endpoint("POST", "/v1/webhooks/dead/{id}/retry"), 204, "a webhook that was given up") {
                server, ask in
                let id = try server.job(.queued, webhook: "https://example.org/")
                _ = try server.store.cancel(id, at: Date())
                try server.store.giveUp("https://example.org", triedSince: Date(), "no")
                ask.name(try server.store.deadLetters().first?.id ?? 0)
            },
            RouteCase(Endpoint("POST", "/v1/webhooks/dead/{id}/retry"), 404, "no such webhook") { _, ask in ask.name(1)
            },
            RouteCase(Endpoint("GET", "/openapi.yaml"), 400, "a parameter that is not known") { _, ask in
                (ask.token, ask.query) = (nil, ["unknown": "1"])
            },
            RouteCase(Endpoint("GET", "/readyz"), 503, "a disk that is nearly full", { $0.freeSpaceMiB = 1 << 40 }) {
                _, _ in
            },
        ]

    static let all =
        common + ofOneJob + ofUploads + ofScans + ofInstances + ofOtherUploads + ofResults + ofOtherResults + ofChanges
        + ofOperation
}

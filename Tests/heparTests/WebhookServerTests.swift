import Foundation
import TestSupport
import Testing
import Webhooks

/// Webhooks from the real process to a real receiver.
@Suite(.serialized) struct WebhookServerTests {
    private static let secret = "a secret of at least thirty-two bytes, for tests"

    private static func withServer(
        _ body: (ServerProcess, TestReceiver, SmallPhantom) throws -> Void
    ) throws {
        try withTemporaryFolder { folder in
            let phantom = try SmallPhantom(in: folder)
            let secretFile = folder.appending(path: "secret")
            try Data(secret.utf8).write(to: secretFile)
            try TestReceiver.run { receiver in
                let server = try ServerProcess(
                    data: folder.appending(path: "data"),
                    settings: [
                        "HEPAR_WEBHOOKS_TARGETS": receiver.url("/"),
                        "HEPAR_WEBHOOKS_SECRET_FILE": secretFile.path,
                    ])
                try body(server, receiver, phantom)
            }
        }
    }

    private static func submit(_ server: ServerProcess, _ phantom: SmallPhantom, to url: String) throws
        -> ServerProcess.Answer
    {
        try server.curl("/v1/jobs?webhook=\(url)", "-H", "Cache-Control: no-cache", "-F", "image=@\(phantom.ct.path)")
    }

    @Test func theEndOfAJobIsToldSigned() throws {
        try Self.withServer { server, receiver, phantom in
            let accepted = try Self.submit(server, phantom, to: receiver.url("/status/204"))
            #expect(accepted.status == 202, "\(accepted.text)")
            let id = try #require(try accepted.json()["id"] as? String)
            for _ in 0..<300 where receiver.received.isEmpty { usleep(100_000) }
            let sent = try #require(receiver.received.first)
            let body = try #require(try JSONSerialization.jsonObject(with: sent.body) as? [String: Any])
            #expect(body["event"] as? String == "job.succeeded" && body["job"] as? String == id)
            #expect(body["sequence"] as? Int == 3)
            let signature = try #require(sent.field("Hepar-Signature"))
            let signer = try WebhookSigner(secret: Self.secret)
            #expect(signer.verifies(signature, of: sent.body, at: Date()))
            #expect(!signer.verifies(signature, of: sent.body + Data(" ".utf8), at: Date()))
            #expect(
                try server.curl("/metrics").text.contains(#"hepar_webhook_deliveries_total{outcome="delivered"} 1"#))
        }
    }

    @Test func aReceiverThatFailsIsTriedAgain() throws {
        try Self.withServer { server, receiver, phantom in
            let accepted = try Self.submit(server, phantom, to: receiver.url("/status/500"))
            #expect(accepted.status == 202)
            for _ in 0..<400 where receiver.received.count < 2 { usleep(100_000) }
            let deliveries = receiver.received.prefix(2).map { $0.field("Hepar-Delivery") }
            #expect(deliveries.count == 2 && deliveries[0] == deliveries[1])
            let metrics = try server.curl("/metrics").text
            #expect(metrics.contains("hepar_webhooks{state=\"pending\"} 1"))
        }
    }

    @Test func onlyListedTargetsAreCalled() throws {
        try Self.withServer { server, receiver, phantom in
            for url in ["http://127.0.0.1:1/", "http://169.254.169.254/latest", "file:///etc/passwd"] {
                let refused = try Self.submit(server, phantom, to: url)
                #expect(refused.status == 422, "\(url)")
            }
            #expect(receiver.received.isEmpty)
        }
    }
}

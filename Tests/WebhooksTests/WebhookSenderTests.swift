import Foundation
import TestSupport
import Testing

@testable import Webhooks

@Suite struct WebhookSenderTests {
    static let secret = "0123456789abcdef0123456789abcdef"
    let signer = try! WebhookSigner(secret: secret)
    let message = WebhookMessage(id: "d-1", event: "job.succeeded", body: Data(#"{"job":"1"}"#.utf8))

    /// A sender that waits longer than any machine is slow.
    var sender: WebhookSender {
        var sender = WebhookSender(signer: signer)
        sender.connectTimeout = .seconds(60)
        sender.totalTimeout = .seconds(60)
        return sender
    }

    /// What comes of a message to a path of a receiver.
    func outcome(_ path: String, _ sender: WebhookSender? = nil) throws -> WebhookOutcome {
        try TestReceiver.run { receiver in
            (sender ?? self.sender).send(message, to: try target(receiver.url(path)))
        }
    }

    func target(_ url: String) throws -> WebhookTarget {
        try WebhookTargets([String(url.prefix { $0 != "?" })]).target(url)
    }

    @Test func aMessageArrivesWholeAndSigned() throws {
        let now = Date(timeIntervalSince1970: 1_800_000_000)
        try TestReceiver.run { receiver in
            let outcome = sender.send(message, to: try target(receiver.url("/status/204?a=b")), at: now)
            #expect(outcome == .delivered(status: 204))
            let received = try #require(receiver.received.first)
            #expect(received.head.hasPrefix("POST /status/204?a=b HTTP/1.1\r\n"))
            #expect(received.body == message.body)
            #expect(received.field("Content-Type") == "application/json")
            #expect(received.field("Hepar-Event") == "job.succeeded")
            #expect(received.field("Hepar-Delivery") == "d-1")
            #expect(received.field("User-Agent") == "hepar")
            #expect(received.field("Host") == "127.0.0.1:\(receiver.port)")
            let signature = try #require(received.field("Hepar-Signature"))
            #expect(signer.verifies(signature, of: received.body, at: now))
        }
    }

    @Test func longBodiesAreSentAtOnce() throws {
        let long = WebhookMessage(id: "d", event: "e", body: Data(repeating: 0x61, count: 3 << 20))
        try TestReceiver.run { receiver in
            #expect(sender.send(long, to: try target(receiver.url("/status/200"))) == .delivered(status: 200))
            let received = try #require(receiver.received.first)
            #expect(received.body == long.body)
            #expect(received.field("Expect") == nil)
        }
    }

    @Test(arguments: [200, 201, 202, 204, 299])
    func anySuccessIsDelivery(status: Int) throws {
        #expect(try outcome("/status/\(status)") == .delivered(status: status))
    }

    @Test(arguments: [408, 425, 429, 500, 502, 503, 599])
    func whatMayPassIsTriedAgain(status: Int) throws {
        #expect(try outcome("/status/\(status)") == .retry(.status(status), after: nil))
    }

    @Test(arguments: [400, 401, 403, 404, 410, 422])
    func whatWillNotPassIsGivenUp(status: Int) throws {
        #expect(try outcome("/status/\(status)") == .failed(.status(status)))
    }

    @Test func theReceiverMaySayWhen() throws {
        #expect(try outcome("/busy") == .retry(.status(429), after: 7))
        #expect(try outcome("/busy/for-ever") == .retry(.status(503), after: 86_400))
    }

    @Test func redirectsAreNotFollowed() throws {
        try TestReceiver.run { receiver in
            let outcome = sender.send(message, to: try target(receiver.url("/redirect")))
            #expect(outcome == .failed(.redirect(307)))
            #expect(receiver.received.count == 1)
        }
    }

    @Test func aSilentReceiverIsLeft() throws {
        var hasty = sender
        hasty.totalTimeout = .milliseconds(300)
        #expect(try outcome("/silent", hasty) == .retry(.timeout, after: nil))
    }

    @Test func theStatusCountsThoughTheBodyNeverEnds() throws {
        #expect(try outcome("/endless") == .delivered(status: 200))
        #expect(try outcome("/endless/head") == .retry(.status(500), after: nil))
    }

    @Test func brokenReceiversAreTriedAgain() throws {
        #expect(try outcome("/garbage") == .retry(.noAnswer, after: nil))
        #expect(try outcome("/hang-up") == .retry(.noAnswer, after: nil))
    }

    @Test func nobodyThereIsTriedAgain() throws {
        // Bound, so that nobody else takes the port, and not served: the queue of the listening socket is closed.
        let receiver = TestReceiver()
        receiver.refuse()
        #expect(sender.send(message, to: try target(receiver.url("/"))) == .retry(.noConnection, after: nil))
        // A label of 64 characters is no name: refused without asking anybody.
        let nowhere = try target("http://\(String(repeating: "a", count: 64)).invalid/")
        #expect(sender.send(message, to: nowhere) == .retry(.unknownHost, after: nil))
    }

    @Test(.enabled(if: TLSReceiver.python != nil, "python3, which serves TLS here, is not installed"))
    func certificatesAreVerified() throws {
        let receiver = try TLSReceiver()
        defer { receiver.stop() }
        let target = try target("https://127.0.0.1:\(receiver.port)/hook")
        #expect(sender.send(message, to: target) == .retry(.untrusted, after: nil))
        var trusting = sender
        trusting.caFile = TLSReceiver.certificate.path
        #expect(trusting.send(message, to: target) == .delivered(status: 204))
        trusting.caFile = "/nowhere/ca.pem"
        #expect(trusting.send(message, to: target) == .retry(.caFile, after: nil))
        // The certificate is for 127.0.0.1 and not for this name of the same machine.
        trusting.caFile = TLSReceiver.certificate.path
        let misnamed = try self.target("https://localhost:\(receiver.port)/hook")
        #expect(trusting.send(message, to: misnamed) == .retry(.untrusted, after: nil))
    }

    @Test func failuresHaveCodesAndSentences() {
        let failures: [(WebhookFailure, String)] = [
            (.status(503), "status_503"), (.redirect(302), "redirect"), (.timeout, "timeout"),
            (.unknownHost, "unknown_host"), (.noConnection, "no_connection"), (.untrusted, "untrusted"),
            (.caFile, "ca_file"), (.noAnswer, "no_answer"), (.other(2), "other"),
        ]
        for (failure, code) in failures {
            #expect(failure.code == code)
            #expect(failure.description.hasSuffix("."))
        }
    }
}

/// A Python process that answers over TLS with the certificate of the tests.
private struct TLSReceiver {
    let port: Int
    private let process = Process()
    private let input = Pipe()

    static var certificate: URL { SharedData.fixture("webhooks/localhost.pem") }

    static var python: URL? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return folders.map { URL(filePath: "\($0)/python3") }.first { access($0.path, X_OK) == 0 }
    }

    init() throws {
        let output = Pipe()
        process.executableURL = Self.python
        process.arguments = [SharedData.fixture("webhooks/https_server.py").path, Self.certificate.path]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        port = try #require(Int(line.trimmingCharacters(in: .whitespacesAndNewlines)))
    }

    func stop() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

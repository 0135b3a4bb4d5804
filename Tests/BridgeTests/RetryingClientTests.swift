import Foundation
import HTTPClient
import Logging
import Synchronization
import TestSupport
import Testing

@testable import Bridge

/// What a server's answers lead to, over real sockets.
@Suite struct RetryingClientTests {
    @Test(arguments: [("/status/404", "404"), ("/status/422", "422"), ("/redirect", "307")])
    func aRefusalEndsIt(path: String, code: String) {
        TestReceiver.run { receiver in
            #expect(Self.fault(receiver, path) == "refused \(code)")
            #expect(receiver.received.count == 1)
        }
    }

    @Test func whatIsNotThereIsNil() throws {
        try TestReceiver.run { receiver in
            let found = try Self.server(receiver).find(HTTPRequest(path: "/status/404"))
            #expect(found == nil)
        }
    }

    /// Status 500 may be the request's own fault.
    @Test func failuresAreAskedForFiveTimes() {
        TestReceiver.run { receiver in
            #expect(Self.fault(receiver, "/status/500") == "refused 500")
            #expect(receiver.received.count == 5)
        }
    }

    /// A server that is away or busy, or a token that is no longer good: asked until the bridge is to end.
    @Test(arguments: ["/status/503", "/status/507", "/status/401", "/hang-up", "/garbage"])
    func whatMayPassIsWaitedFor(path: String) {
        TestReceiver.run { receiver in
            let isPatient = path != "/status/401"
            let fault = Self.fault(receiver, path) { receiver.received.count >= (isPatient ? 7 : 1) }
            #expect(fault == "stopped")
        }
    }

    @Test func retryAfterIsKept() {
        TestReceiver.run { receiver in
            let end = ContinuousClock.now + .seconds(1)
            #expect(Self.fault(receiver, "/busy") { ContinuousClock.now > end } == "stopped")
            #expect(receiver.received.count == 1)
        }
    }

    /// The bridge ends though a server never answers.
    @Test func aStopEndsARequestThatRuns() {
        TestReceiver.run { receiver in
            #expect(Self.fault(receiver, "/silent") { !receiver.received.isEmpty } == "stopped")
        }
    }

    @Test func filesAndSecretsArrive() throws {
        try withTemporaryFolder { folder in
            try TestReceiver.run { receiver in
                let file = folder.appending(path: "body")
                let bytes = Data((0..<70_000).map { UInt8(truncatingIfNeeded: $0) })
                try bytes.write(to: file)
                let request = HTTPRequest(
                    method: "POST", path: "/status/200", body: .file(file, type: "application/octet-stream"))
                _ = try Self.server(receiver, .token("hpr_x")).ask(request)
                _ = try Self.server(receiver, .user("me", password: "and:me")).ask(HTTPRequest(path: "/status/200"))
                let received = receiver.received
                #expect(received[0].body == bytes)
                #expect(received[0].head.hasPrefix("POST /status/200 "))
                #expect(received[0].field("Authorization") == "Bearer hpr_x")
                let basic = "Basic " + Data("me:and:me".utf8).base64EncodedString()
                #expect(received[1].field("Authorization") == basic)
            }
        }
    }

    /// An answer that is kept as a file, and a refusal that is not.
    @Test func answersGoToFiles() throws {
        try withTemporaryFolder { folder in
            try TestReceiver.run { receiver in
                let file = folder.appending(path: "answer")
                _ = try Self.server(receiver).ask(HTTPRequest(path: "/status/200", output: file))
                #expect(try Data(contentsOf: file) == Data("secret".utf8))
                _ = try Self.server(receiver).find(HTTPRequest(path: "/status/404", output: file))
                #expect(!FileManager.default.fileExists(atPath: file.path))
            }
        }
    }

    private static func server(
        _ receiver: TestReceiver, _ credentials: HTTPConnection.Credentials = .none,
        isStopped: @escaping () -> Bool = { false }
    ) -> RetryingClient {
        var settings = HTTPConnection.Settings()
        settings.credentials = credentials
        return RetryingClient(
            name: "test", connection: HTTPConnection(receiver.url(""), settings, isStopped: isStopped),
            isStopped: isStopped, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, firstDelay: 0.01)
    }

    private static func fault(
        _ receiver: TestReceiver, _ path: String, isStopped: @escaping () -> Bool = { false }
    ) -> String {
        do throws(BridgeFault) {
            return "answered \(try server(receiver, isStopped: isStopped).ask(HTTPRequest(path: path)).status)"
        } catch {
            switch error {
            case .stopped: return "stopped"
            case .refused(let code): return "refused \(code)"
            }
        }
    }
}

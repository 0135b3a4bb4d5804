public import Foundation
internal import HTTPClient

/// What is told to a receiver.
public struct WebhookMessage: Equatable, Sendable {
    /// The same for each try, so that a receiver can pass over what it has had; a token of RFC 9110.
    public let id: String
    /// What happened, as `job.succeeded`; a token of RFC 9110.
    public let event: String
    /// JSON.
    public let body: Data

    /// A message; `id` and `event` are our own words and go into header fields.
    public init(id: String, event: String, body: Data) {
        precondition(isToken(id) && isToken(event), "a webhook's id and event must be tokens")
        self.id = id
        self.event = event
        self.body = body
    }
}

/// What came of one try.
public enum WebhookOutcome: Equatable, Sendable {
    /// The receiver answered 2xx.
    case delivered(status: Int)
    /// It may go better later; `after` seconds at the earliest if the receiver says so, at most a day.
    case retry(WebhookFailure, after: Int?)
    /// Another try would end the same way.
    case failed(WebhookFailure)
}

/// Why a webhook was not delivered. Nothing that the receiver wrote is kept.
public enum WebhookFailure: Equatable, Sendable {
    /// The receiver answered with another status than 2xx.
    case status(Int)
    /// The receiver sends elsewhere; redirects are not followed, as they lead off the list of targets.
    case redirect(Int)
    case timeout
    /// The name of the host is not known.
    case unknownHost
    /// Nobody listens there, or the network does not lead there.
    case noConnection
    /// The certificate is not trusted, or there is no common way to encrypt.
    case untrusted
    /// The configured file of certificates cannot be read.
    case caFile
    /// The connection broke, or what came is no HTTP.
    case noAnswer
    /// Anything else, by libcurl's own number.
    case other(Int)
}

extension WebhookFailure: CustomStringConvertible {
    /// The kind of failure for programs and metrics: stable between versions.
    public var code: String {
        switch self {
        case .status(let status): "status_\(status)"
        case .redirect: "redirect"
        case .timeout: "timeout"
        case .unknownHost: "unknown_host"
        case .noConnection: "no_connection"
        case .untrusted: "untrusted"
        case .caFile: "ca_file"
        case .noAnswer: "no_answer"
        case .other: "other"
        }
    }

    /// What went wrong, and what to change where that is clear.
    public var description: String {
        switch self {
        case .status(let status): "The receiver answered with status \(status)."
        case .redirect(let status):
            "The receiver answered with a redirect (\(status)), which is not followed. Give the final URL."
        case .timeout: "The receiver did not answer in time."
        case .unknownHost: "The receiver's host name is not known to the server."
        case .noConnection: "No connection to the receiver could be made."
        case .untrusted: "The receiver's certificate is not trusted, or no encryption could be agreed on."
        case .caFile: "The configured file of certificates cannot be read."
        case .noAnswer: "The connection ended without an answer that is HTTP."
        case .other(let number): "The webhook could not be sent (libcurl's error \(number))."
        }
    }
}

/// Sends webhooks, one POST at a time; may be used from many threads.
public struct WebhookSender: Sendable {
    /// Time to reach the receiver, encryption included.
    public var connectTimeout = Duration.seconds(5)
    /// Time for all of it: a thread waits so long at most.
    public var totalTimeout = Duration.seconds(15)
    /// Bytes of the answer, head and body, after which no more is read.
    public var answerLimit = 64 << 10
    /// Certificates in PEM form to trust instead of the system's.
    public var caFile: String?
    /// What the receiver is told who calls.
    public var userAgent = "hepar"

    private let signer: WebhookSigner

    /// A sender that signs all it sends.
    public init(signer: WebhookSigner) { self.signer = signer }

    /// Sends a message and waits for the answer.
    ///
    /// The fields `Hepar-Event`, `Hepar-Delivery` (the message's id) and `Hepar-Signature` (see ``WebhookSigner``; new
    /// for each try) go with it. The status line decides: what comes after it is counted and thrown away.
    public func send(_ message: WebhookMessage, to target: WebhookTarget, at now: Date = Date()) -> WebhookOutcome {
        var settings = HTTPConnection.Settings()
        settings.userAgent = userAgent
        settings.connectTimeout = connectTimeout
        settings.totalTimeout = totalTimeout
        settings.answerLimit = answerLimit
        settings.caFile = caFile
        let result = HTTPConnection(target.url, settings).send(
            HTTPRequest(
                method: "POST", path: "",
                headers: [
                    "Hepar-Event: \(message.event)",
                    "Hepar-Delivery: \(message.id)",
                    "\(WebhookSigner.headerName): \(signer.signature(of: message.body, at: now))",
                    "Expect:",  // libcurl would ask before it sends a long body, and wait
                ], body: .bytes(message.body, type: "application/json")))
        switch result.status {
        case 200..<300: return .delivered(status: result.status)
        case 300..<400: return .failed(.redirect(result.status))
        case 408, 425, 429, 500...:
            let after = min(result.retryAfterSeconds, 86_400)
            return .retry(.status(result.status), after: after > 0 ? after : nil)
        case 400..<500: return .failed(.status(result.status))
        default: return .retry(WebhookFailure(result.fault), after: nil)
        }
    }
}

extension WebhookFailure {
    /// Why no answer came.
    fileprivate init(_ fault: HTTPFault?) {
        self =
            switch fault {
            case .timeout: .timeout
            case .unknownHost: .unknownHost
            case .noConnection: .noConnection
            case .untrusted: .untrusted
            case .caFile: .caFile
            case .noAnswer, .stopped, nil: .noAnswer
            case .other(let number): .other(number)
            }
    }
}

/// Whether `text` is a token of RFC 9110 section 5.6.2.
private func isToken(_ text: String) -> Bool {
    !text.isEmpty
        && text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"):
                true
            default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        }
}

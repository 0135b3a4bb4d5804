public import Foundation

/// A request to a server.
public struct HTTPRequest: Sendable {
    /// What is sent.
    public enum Body: Sendable {
        /// Nothing.
        case none
        /// Bytes in memory, of this media type.
        case bytes(Data, type: String)
        /// A file of this media type, which is read while it is sent.
        case file(URL, type: String)
    }

    /// The method.
    public var method = "GET"
    /// What follows the connection's base, with the query.
    public var path: String
    /// Lines as `Name: value`.
    public var headers: [String] = []
    /// What is sent.
    public var body = Body.none
    /// Where the answer's body goes; nil keeps it in memory.
    public var output: URL?

    /// A request.
    public init(
        method: String = "GET", path: String, headers: [String] = [], body: Body = .none, output: URL? = nil
    ) {
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.output = output
    }
}

/// What came of a request.
public struct HTTPAnswer: Equatable, Sendable {
    /// 0 where none came.
    public var status = 0
    /// The body, where it is kept in memory; the refusal, where that came in place of a file.
    public var body = Data()
    /// Of `Retry-After`; 0 without one.
    public var retryAfterSeconds = 0
    /// Why the answer is not whole; nil where it is.
    public var fault: HTTPFault?
}

/// Why no whole answer came.
public enum HTTPFault: Error, Equatable, Sendable {
    /// It took longer than it may.
    case timeout
    /// The name of the host is not known.
    case unknownHost
    /// Nobody listens there, or the network does not lead there.
    case noConnection
    /// The certificate is not trusted, or there is no common way to encrypt.
    case untrusted
    /// The file of certificates cannot be read.
    case caFile
    /// The connection broke, what came is no HTTP, or more than is read.
    case noAnswer
    /// Whoever asked has stopped.
    case stopped
    /// Anything else, by libcurl's own number.
    case other(Int)
}

extension HTTPFault: CustomStringConvertible {
    /// Half a sentence.
    public var description: String {
        switch self {
        case .timeout: "no answer in time"
        case .unknownHost: "the host is not known"
        case .noConnection: "no connection could be made"
        case .untrusted: "the certificate is not trusted, or no encryption could be agreed on"
        case .caFile: "the file of certificates cannot be read"
        case .noAnswer: "the connection ended without an answer that is HTTP"
        case .stopped: "stopped"
        case .other(let number): "libcurl's error \(number)"
        }
    }
}

public import Foundation

/// The head of a request, checked: what is here can be used without a second look at its form.
public struct RequestHead: Sendable {
    /// The method in the client's spelling: "GET", "POST". HEAD comes as "GET", and the answer's body is left out.
    public var method: String
    /// The path, percent-decoded: it begins with "/", is UTF-8, and has no control character, backslash, encoded slash,
    /// empty segment (but the last), segment "." or "..", or slash that is one character with what stands beside it.
    /// Anything else was answered 400.
    public var path: String
    /// The parameters after "?", decoded; one that comes twice was answered 400.
    public var query: [String: String]
    /// The header fields.
    public var headers: Headers
    /// The client's IP address in numbers, or a proxy's.
    public var peerAddress: String
    /// The client's `X-Request-Id` if it is 1 to 64 of `A-Z a-z 0-9 . _ -`, else one made here. It is in the response.
    public var id: String

    /// A head put together by hand, as tests do.
    public init(
        method: String, path: String, query: [String: String] = [:], headers: Headers = [:],
        peerAddress: String = "127.0.0.1", id: String = "test"
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.peerAddress = peerAddress
        self.id = id
    }
}

/// Header fields, found by name without regard to case.
public struct Headers: Sendable, Equatable, ExpressibleByDictionaryLiteral {
    private var values: [String: String] = [:]

    /// Fields put together by hand.
    public init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { add(name, value) }
    }

    /// The value of a field; several fields of one name are joined by ", " as RFC 9110 section 5.3 has it.
    public subscript(name: String) -> String? { values[name.lowercased()] }

    mutating func add(_ name: String, _ value: String) {
        let key = name.lowercased()
        values[key] = values[key].map { $0 + ", " + value } ?? value
    }
}

/// What to do with a request; decided by its head, before a byte of its body is read.
public enum RequestPlan: Sendable {
    /// Answers without reading the body; the connection is closed if there is one.
    case refuse(Response)
    /// Takes the body, then has `answer` make the response of the whole request: that may block, or promise the response
    /// for later. Files of the request that it does not rename are removed when it returns, or when its promise is kept.
    /// `caller` names who asks: of the threads that answer, one caller has half at most; "" for nobody in particular.
    case accept(BodyPlan, caller: String = "", answer: @Sendable (Request) -> Answer)
}

/// What to do with the body of a request.
///
/// A body whose declared length is above the limit is answered 413 at once; one without a declared length is counted
/// and answered 413 as soon as it passes the limit. Limits are in bytes of the whole body.
public enum BodyPlan: Sendable {
    /// No body is expected; one is answered 413.
    case none
    /// Keeps the body in memory, whatever its type.
    case memory(limit: Int)
    /// Writes the body to files in `folder`: one for a bare body, one for each file of a multipart body.
    case files(folder: URL, limit: Int, meter: BodyMeter? = nil)
}

/// Counts a body while it comes, for limits that several requests share.
public struct BodyMeter: Sendable {
    /// Some bytes have come; an answer where they are too many. Asked on a thread that serves sockets.
    public var take: @Sendable (Int) -> Response?
    /// The request is over, however it ended; called once.
    public var end: @Sendable () -> Void

    /// A meter out of what it does.
    public init(take: @escaping @Sendable (Int) -> Response?, end: @escaping @Sendable () -> Void) {
        self.take = take
        self.end = end
    }
}

/// One part of a multipart body.
public struct Part: Sendable {
    /// The field's name; empty in multipart/related, whose parts have none.
    public let name: String
    /// The file's name as the client gave it, nil for a field without one. It may name a patient: never log it, and
    /// never use it as a path.
    public let fileName: String?
    /// The part's own `Content-Type`.
    public let contentType: String?
    /// The part's bytes.
    public let content: Content

    /// Where the bytes are.
    public enum Content: Sendable {
        /// A field without a file name, of at most 64 KiB.
        case memory(Data)
        /// A file, or a field above 64 KiB. The daemon removes it when the request is answered; rename it to keep it.
        case file(URL, bytes: Int)
    }

    /// A part put together by hand, as tests do.
    public init(name: String, fileName: String? = nil, contentType: String? = nil, content: Content) {
        self.name = name
        self.fileName = fileName
        self.contentType = contentType
        self.content = content
    }
}

/// A whole body.
public enum Body: Sendable {
    /// There was none, or an empty one.
    case none
    /// A body kept in memory, as ``BodyPlan/memory(limit:)`` asks.
    case memory(Data)
    /// A bare body in a file. The daemon removes it when the request is answered; rename it to keep it.
    case file(URL, bytes: Int)
    /// The parts of a multipart/form-data or multipart/related body, in their order; names may repeat.
    case parts([Part])
}

/// A whole request.
public struct Request: Sendable {
    /// Method, path, query and header fields.
    public var head: RequestHead
    /// What came after them.
    public var body: Body

    /// A request put together by hand, as tests do.
    public init(head: RequestHead, body: Body = .none) {
        self.head = head
        self.body = body
    }
}

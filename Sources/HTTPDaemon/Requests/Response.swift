public import Foundation

/// What a client is answered.
///
/// The daemon adds `Content-Length`, `Date`, `X-Request-Id`, `X-Content-Type-Options: nosniff`, `Cache-Control: private,
/// no-store`, `Cross-Origin-Resource-Policy: same-origin` and `Referrer-Policy: no-referrer`; these and the fields that
/// steer the connection are not taken from `headers`. A field with a name that is not a token, or a value with a control
/// character, makes the answer a 500: it never reaches the client.
///
/// A 200 with an `ETag` is cut to what the request asks for by `Range`, `If-Range` or
/// `If-None-Match`: 206, 304 or 416.
public struct Response: Sendable {
    /// The status, 200...599.
    public var status: Int
    /// Header fields, in their order.
    public var headers: [(String, String)]
    /// The bytes.
    public var body: ResponseBody

    /// An answer of any kind.
    public init(status: Int, headers: [(String, String)] = [], body: ResponseBody = .none) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// Bytes in memory.
    public static func data(
        _ status: Int, _ data: Data, type: String, headers: KeyValuePairs<String, String> = [:]
    ) -> Response {
        Response(status: status, headers: [("Content-Type", type)] + headers.map { ($0, $1) }, body: .data(data))
    }

    /// A file, streamed by the kernel; 500 if it cannot be opened.
    public static func file(
        _ status: Int, _ url: URL, type: String, headers: KeyValuePairs<String, String> = [:]
    ) -> Response {
        Response(status: status, headers: [("Content-Type", type)] + headers.map { ($0, $1) }, body: .file(url))
    }

    /// A JSON document with sorted keys and ISO 8601 dates; 500 if the value has no JSON form (a number not finite).
    public static func json(
        _ status: Int, _ value: some Encodable, headers: KeyValuePairs<String, String> = [:]
    ) -> Response {
        encoded(status, value, type: "application/json", headers: headers)
    }

    /// A problem document (RFC 9457, `application/problem+json`).
    ///
    /// - Parameters:
    ///   - status: the status, in the document too.
    ///   - detail: what is wrong this time and what to change, in words for the user.
    ///   - code: the kind of problem for programs: lower case with underscores, stable between versions.
    ///   - headers: more header fields, as `Retry-After`.
    public static func problem(
        _ status: Int, detail: String, code: String, headers: KeyValuePairs<String, String> = [:]
    ) -> Response {
        let document = ProblemDocument(status: status, title: StatusName.of(status), detail: detail, code: code)
        return encoded(status, document, type: "application/problem+json", headers: headers)
    }

    private static func encoded(
        _ status: Int, _ value: some Encodable, type: String, headers: KeyValuePairs<String, String>
    ) -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        if let data = try? encoder.encode(value) { return .data(status, data, type: type, headers: headers) }
        return .internalError
    }

    /// What the client gets when the fault is ours; the log says more.
    static var internalError: Response {
        let text =
            #"{"code":"internal","detail":"The server made a mistake. The request may be tried again.","#
            + #""status":500,"title":"Internal Server Error","type":"about:blank"}"#
        return .data(500, Data(text.utf8), type: "application/problem+json")
    }
}

/// The bytes of an answer.
public enum ResponseBody: Sendable {
    /// No bytes: `Content-Length: 0`, or none with 204 and 304.
    case none
    /// Bytes in memory.
    case data(Data)
    /// A file of fixed length, opened before the request's own files are removed.
    case file(URL)
}

private struct ProblemDocument: Encodable {
    let type = "about:blank"
    let status: Int
    let title: String
    let detail: String
    let code: String
}

/// The names of the statuses (RFC 9110 section 15, RFC 6585, RFC 4918).
enum StatusName {
    private static let names = [
        200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 303: "See Other",
        304: "Not Modified",
        400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
        406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict", 410: "Gone", 411: "Length Required",
        412: "Precondition Failed", 413: "Content Too Large", 415: "Unsupported Media Type",
        416: "Range Not Satisfiable", 417: "Expectation Failed", 422: "Unprocessable Content",
        429: "Too Many Requests", 500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
        507: "Insufficient Storage",
    ]

    static func of(_ status: Int) -> String { names[status] ?? "Status \(status)" }
}

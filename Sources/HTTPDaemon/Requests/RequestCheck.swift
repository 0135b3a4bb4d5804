/// Why a request is answered by the daemon itself.
struct Refusal: Error, Equatable {
    let status: Int
    let detail: String
    let code: String

    static func malformed(_ detail: String) -> Refusal {
        Refusal(status: 400, detail: detail, code: "malformed_request")
    }

    static func tooLarge(limit: Int) -> Refusal {
        limit == 0
            ? Refusal(status: 413, detail: "This request takes no body.", code: "body_not_expected")
            : Refusal(
                status: 413, detail: "The body is larger than \(limit) bytes, the most this server takes here.",
                code: "body_too_large")
    }

    static let badLength = malformed(
        "The Content-Length is not a number of bytes: 1 to 18 digits, and nothing before or behind them.")

    static let coded = Refusal(
        status: 415,
        detail: "The body comes with a Content-Encoding. Send it as it is: a scan may be a .nii.gz file all the same.",
        code: "content_encoding")

    static let stopping = Refusal(
        status: 503, detail: "The server is stopping. Send the request again in a minute.", code: "stopping")

    var response: Response {
        switch status {
        case 503: .problem(status, detail: detail, code: code, headers: ["Retry-After": "60"])
        // RFC 9110 section 15.5.16.
        case 415: .problem(status, detail: detail, code: code, headers: ["Accept-Encoding": "identity"])
        default: .problem(status, detail: detail, code: code)
        }
    }
}

/// A head that passed every check, and how its body is delimited.
struct CheckedHead {
    var head: RequestHead
    var isHead: Bool
    var framing: Framing
    /// The client waits for "100 Continue" before it sends the body.
    var expectsContinue: Bool

    enum Framing: Equatable {
        case none
        case length(Int)
        case chunked
    }

    /// Judges the fields of a head.
    ///
    /// What two servers could read in two ways is refused, or a request could be smuggled past the one in front
    /// (RFC 9112 section 11.2): two lengths, a length beside chunks, any other transfer coding, two hosts.
    ///
    /// - Parameter fields: names and values as they came.
    init(
        method: [UInt8], target: [UInt8], version: String, fields: [(name: [UInt8], value: [UInt8])],
        peerAddress: String
    ) throws(Refusal) {
        guard isToken(method), let method = String(validating: method, as: UTF8.self) else {
            throw .malformed("The method is not a token.")
        }
        var headers = Headers()
        var seen: Set<String> = []
        for (name, value) in fields {
            guard isToken(name), let value = Self.fieldValue(value) else {
                throw .malformed("A header field is not a token, a colon and printable UTF-8 text on one line.")
            }
            let name = String(decoding: name, as: UTF8.self)
            let isFirst = seen.insert(name.lowercased()).inserted
            guard isFirst || !Self.single.contains(name.lowercased()) else {
                throw .malformed("The header field \(name.lowercased()) comes twice.")
            }
            headers.add(name, value)
        }
        guard headers["host"] != nil || version == "HTTP/1.0" else { throw .malformed("The Host field is missing.") }
        framing = try Self.framing(headers, version: version)
        let coding = headers["content-encoding"]?.lowercased() ?? "identity"
        guard coding == "identity" || framing == .none else { throw .coded }

        expectsContinue = false
        if let expectation = headers["expect"] {
            guard expectation.lowercased() == "100-continue" else {
                throw Refusal(status: 417, detail: "The only expectation met is 100-continue.", code: "expectation")
            }
            expectsContinue = framing != .none && version != "HTTP/1.0"
        }

        let target = try RequestTarget(target, method: method)
        isHead = method == "HEAD"
        head = RequestHead(
            method: isHead ? "GET" : method, path: target.path, query: target.query, headers: headers,
            peerAddress: peerAddress, id: RequestID.accept(headers["x-request-id"]))
    }

    private static let single: Set<String> = [
        "authorization", "content-disposition", "content-encoding", "content-length", "content-type", "expect", "host",
        "transfer-encoding",
    ]

    private static func fieldValue(_ bytes: [UInt8]) -> String? {
        let isBlank = { (byte: UInt8) in byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        let end = bytes.lastIndex { !isBlank($0) }.map { $0 + 1 } ?? 0
        return cleanText(bytes[..<end].map { $0 == UInt8(ascii: "\t") ? UInt8(ascii: " ") : $0 })
    }

    private static func framing(_ headers: Headers, version: String) throws(Refusal) -> Framing {
        let length = headers["content-length"]
        if let coding = headers["transfer-encoding"] {
            guard coding.lowercased() == "chunked", length == nil, version != "HTTP/1.0" else {
                throw .malformed("The body must come with one Content-Length, or chunked, and not both.")
            }
            return .chunked
        }
        guard let length else { return .none }
        guard 1...18 ~= length.utf8.count, length.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let bytes = Int(length) else {
            throw .badLength
        }
        return bytes == 0 ? .none : .length(bytes)
    }
}

/// Names of requests in logs and answers.
enum RequestID {
    /// The client's name for its request if it is harmless, else a new one.
    static func accept(_ offered: String?) -> String {
        guard let offered, 1...64 ~= offered.utf8.count,
            offered.utf8.allSatisfy({ isToken(CollectionOfOne($0)) && !"!#$%&'*+^`|~".utf8.contains($0) })
        else { return randomHex(bytes: 8) }
        return offered
    }
}

/// `bytes` random bytes of the system, in hexadecimal.
func randomHex(bytes: Int) -> String {
    var generator = SystemRandomNumberGenerator()
    // The system is asked for eight bytes at a time: each asking is a call of the kernel.
    let words = (0..<(bytes + 7) / 8).map { _ in
        let word = String(generator.next(), radix: 16)
        return String(repeating: "0", count: 16 - word.count) + word
    }
    return String(words.joined().prefix(2 * bytes))
}

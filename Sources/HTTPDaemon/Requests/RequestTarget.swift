/// Path and query of a request, decoded and checked (RFC 9112 section 3.2, RFC 3986).
struct RequestTarget: Equatable {
    let path: String
    let query: [String: String]

    /// Takes the target as it came: "/path?query", or the same after "http://host", as proxies are sent it.
    init(_ raw: some Sequence<UInt8>, method: String) throws(Refusal) {
        var target = Array(raw)[...]
        guard target.allSatisfy({ 0x21...0x7E ~= $0 && $0 != UInt8(ascii: "#") }) else {
            throw .malformed("The request target has a character that must be percent-encoded.")
        }
        for scheme in ["http://", "https://"] where Self.hasPrefix(target, scheme) {
            target = target.dropFirst(scheme.utf8.count).drop { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
            if target.first != UInt8(ascii: "/") { target = [UInt8(ascii: "/")] + target }
            break
        }
        if method == "OPTIONS" && target.elementsEqual("*".utf8) {
            path = "*"
            query = [:]
            return
        }
        let parts = target.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
        path = try Self.path(parts[0])
        query = parts.count == 2 ? try Self.query(parts[1]) : [:]
    }

    private static func path(_ raw: ArraySlice<UInt8>) throws(Refusal) -> String {
        guard raw.first == UInt8(ascii: "/") else {
            throw .malformed("The request target is not a path that begins with a slash.")
        }
        let segments = raw.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        var path = ""
        for (index, segment) in segments.enumerated() {
            // An encoded slash or dot would make segments that a proxy in front has not seen.
            // Looked for among bytes: a slash with a combining mark is another character.
            guard let text = decode(segment, plusIsSpace: false), text != ".", text != "..",
                !text.utf8.contains(UInt8(ascii: "/")), !text.utf8.contains(UInt8(ascii: "\\")),
                !text.isEmpty || index == segments.count - 1
            else {
                throw .malformed(
                    "The path must be percent-encoded UTF-8 without control characters, backslashes, encoded slashes, "
                        + "empty segments and the segments \".\" and \"..\".")
            }
            path += "/" + text
        }
        // Handlers cut the path at the character, and must find the segments that were judged here.
        guard path.count(where: { $0 == "/" }) == segments.count else {
            throw .malformed("The path has a slash that a combining mark before or behind it makes another character.")
        }
        return path
    }

    private static func query(_ raw: ArraySlice<UInt8>) throws(Refusal) -> [String: String] {
        var query: [String: String] = [:]
        for pair in raw.split(separator: UInt8(ascii: "&")) {
            let sides = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decode(sides[0], plusIsSpace: true),
                let value = sides.count == 2 ? decode(sides[1], plusIsSpace: true) : "", !name.isEmpty
            else { throw .malformed("The query must be name=value pairs in percent-encoded UTF-8.") }
            guard query.updateValue(value, forKey: name) == nil else {
                throw .malformed("A query parameter comes twice. Send each at most once.")
            }
        }
        return query
    }

    /// The text that percent-encoded bytes stand for; nil if it is not UTF-8 or has a control character.
    static func decode(_ raw: some Collection<UInt8>, plusIsSpace: Bool) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(raw.count)
        var rest = raw[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        return cleanText(bytes)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func hasPrefix(_ bytes: ArraySlice<UInt8>, _ prefix: String) -> Bool {
        bytes.count >= prefix.utf8.count && zip(bytes, prefix.utf8).allSatisfy { $0 | 0x20 == $1 | 0x20 }
    }
}

/// `bytes` as text; nil if they are not UTF-8 or hold a control character (a tab too).
func cleanText(_ bytes: some Collection<UInt8>) -> String? {
    guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }), let text = String(validating: bytes, as: UTF8.self) else {
        return nil
    }
    // U+0080...U+009F are control characters too.
    return text.unicodeScalars.contains { 0x80...0x9F ~= $0.value } ? nil : text
}

/// Whether `text` is a token of RFC 9110 section 5.6.2: a method or the name of a header field.
func isToken(_ text: some Collection<UInt8>) -> Bool {
    !text.isEmpty
        && text.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"):
                true
            default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
        }
}

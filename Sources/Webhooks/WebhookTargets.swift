import HTTPClient

/// Where webhooks may go: the list of URLs that the operator configured, and what begins with them.
///
/// Without such a list anybody who submits a job could have the server call machines that only it can reach.
public struct WebhookTargets: Sendable {
    private let prefixes: [Place]

    /// No webhooks at all.
    public static let none = WebhookTargets(prefixes: [])

    /// Takes the configured URLs.
    ///
    /// Scheme, host and port of a target must be exactly those of an entry, and its path the entry's or one below it:
    /// `https://pacs.example/hooks` allows `…/hooks` and `…/hooks/ct`, not `…/hooksend`. Encrypted targets need an
    /// `https` entry, others an `http` one.
    ///
    /// - Throws: ``WebhookRefusal/malformed(_:)`` for the first entry that is none, or has a query.
    public init(_ urls: [String]) throws(WebhookRefusal) {
        var prefixes: [Place] = []
        for url in urls {
            let place = try Place(url)
            guard place.url.query == nil else { throw .malformed("An allowed URL has no \"?\".") }
            prefixes.append(place)
        }
        self.init(prefixes: prefixes)
    }

    private init(prefixes: [Place]) { self.prefixes = prefixes }

    /// How many servers are on the list: schemes, hosts and ports, whatever their paths.
    public var servers: Int { Set(prefixes.map { "\($0.url.scheme)://\($0.url.host):\($0.url.port)" }).count }

    /// The target that `url` names.
    ///
    /// To be asked when a job comes, and again before a webhook is sent: the list may have changed meanwhile.
    ///
    /// - Throws: ``WebhookRefusal``.
    public func target(_ url: String) throws(WebhookRefusal) -> WebhookTarget {
        guard !prefixes.isEmpty else { throw .disabled }
        let place = try Place(url)
        guard prefixes.contains(where: { $0.holds(place) }) else {
            throw .notAllowed(server: "\(place.url.scheme)://\(place.url.host):\(place.url.port)")
        }
        return WebhookTarget(url: place.url.text)
    }
}

/// A URL that webhooks may be sent to; only ``WebhookTargets`` makes one.
public struct WebhookTarget: Equatable, Sendable {
    /// The URL, normalised: scheme and host in lower case, the port written out.
    public let url: String
}

/// Why a URL is no target of webhooks: for the uploader or, where it is configured, for the operator.
public enum WebhookRefusal: Error, Equatable, Sendable {
    /// It is no URL of the kind that is taken; the reason is a sentence.
    case malformed(String)
    /// It is not on the list.
    case notAllowed(server: String)
    /// There is no list.
    case disabled
}

extension WebhookRefusal: CustomStringConvertible {
    /// The kind of refusal for programs: stable between versions.
    public var code: String {
        switch self {
        case .malformed: "webhook_malformed"
        case .notAllowed: "webhook_not_allowed"
        case .disabled: "webhooks_disabled"
        }
    }

    /// What is wrong and what to change.
    public var description: String {
        switch self {
        case .malformed(let reason):
            reason + " Give a webhook as https://host/path, in ASCII, at most \(Place.lengthLimit) characters."
        case .notAllowed(let server):
            "Webhooks to this URL on \(server) are not allowed. Ask the server's operator to allow it."
        case .disabled: "This server sends no webhooks. Ask its operator to allow some URLs."
        }
    }
}

/// A URL cut into what is compared.
private struct Place: Sendable {
    let url: CurlURL
    /// The path between its slashes.
    private let segments: [Substring]

    static let lengthLimit = 2_048

    /// Takes only what every server reads in one way: no dots that climb, no escaped slashes, no empty segments.
    init(_ text: String) throws(WebhookRefusal) {
        guard text.utf8.count <= Self.lengthLimit, text.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else {
            throw .malformed("The URL is too long, or has a blank or a character that is not ASCII.")
        }
        let lower = text.lowercased()
        guard let scheme = ["https://", "http://"].first(where: lower.hasPrefix) else {
            throw .malformed("The URL begins neither with https:// nor with http://.")
        }
        guard !text.utf8.contains(where: { #"#\"<>^`{|}"#.utf8.contains($0) }) else {
            throw .malformed("The URL has a fragment, a backslash or another character that does not belong in one.")
        }
        let authority = text.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" }
        guard !authority.isEmpty, !authority.contains(where: { "@%".contains($0) }) else {
            throw .malformed("The URL has no plain host: user names, passwords, zones and escapes are not taken.")
        }
        guard let url = CurlURL(text), url.port != 0 else { throw .malformed("The URL cannot be read.") }
        let segments = url.path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard segments.dropLast().allSatisfy({ !$0.isEmpty }), segments.allSatisfy({ $0 != "." && $0 != ".." }) else {
            throw .malformed("The path has an empty segment, or the segments \".\" or \"..\".")
        }
        guard url.path.utf8.allSatisfy({ $0 != UInt8(ascii: ";") }), Self.escapesArePlain(url.path) else {
            throw .malformed("The path has a semicolon, or escapes a character that needs no escape.")
        }
        self.url = url
        self.segments = segments
    }

    /// Whether `other` is this place or below it.
    func holds(_ other: Place) -> Bool {
        let above = segments.last == "" ? segments.dropLast() : segments[...]
        return url.scheme == other.url.scheme && url.host == other.url.host && url.port == other.url.port
            && other.segments.starts(with: above)
    }

    /// Whether each `%` begins the escape of a byte above 0x7F or of a blank; what ASCII can say is said unescaped.
    private static func escapesArePlain(_ path: String) -> Bool {
        path.split(separator: "%", omittingEmptySubsequences: false).dropFirst().allSatisfy { rest in
            guard rest.utf8.prefix(2).allSatisfy(isHexDigit), let byte = UInt8(rest.prefix(2), radix: 16) else {
                return false
            }
            return rest.utf8.count >= 2 && (byte > 0x7F || byte == UInt8(ascii: " "))
        }
    }
}

private func isHexDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
        UInt8(ascii: "A")...UInt8(ascii: "F"):
        true
    default: false
    }
}

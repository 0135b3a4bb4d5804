/// Where a request comes from, as far as it can be known.
public struct Origin: Equatable, Sendable {
    /// The client's address: the peer's, or what a trusted proxy says it is. For logs, limits and the audit table.
    public let address: String
    /// `http` or `https` as the client sees it; nil where nobody trustworthy says.
    public let scheme: String?
    /// The host, with port if any, that the client asked for; nil where nobody trustworthy says.
    public let host: String?

    init(address: String, scheme: String? = nil, host: String? = nil) {
        self.address = address
        self.scheme = scheme
        self.host = host
    }
}

/// The header field in which proxies tell whose request they forward.
///
/// A proxy sets one of them and hands on the others as the client sent them. So the one to believe must be configured:
/// believing any that comes would let clients choose their address.
public enum ForwardingField: String, CaseIterable, Sendable {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto` and `X-Forwarded-Host`. The proxy must set all three.
    case xForwardedFor = "x-forwarded-for"
    /// `Forwarded` (RFC 7239), with its own `proto` and `host`.
    case forwarded
    /// `X-Real-IP`, one address, with `X-Forwarded-Proto` and `X-Forwarded-Host`.
    case xRealIP = "x-real-ip"
}

/// The proxies whose word about clients is believed.
public struct TrustedProxies: Sendable {
    private let ranges: [AddressRange]
    private let field: ForwardingField

    /// No proxies: header fields about clients mean nothing.
    public static let none = TrustedProxies([])

    /// Proxies at the addresses of `ranges`, all of which use `field`.
    public init(_ ranges: [AddressRange], field: ForwardingField = .xForwardedFor) {
        self.ranges = ranges
        self.field = field
    }

    /// Where a request comes from.
    ///
    /// A peer that is no trusted proxy is the client, whatever it says. Behind a trusted one, the client is the last
    /// address in the list that is not itself a trusted proxy: each proxy adds the address it was called from at the
    /// end, and what stands before that was written by the client. An entry that is no address, or a `Forwarded` that
    /// is malformed anywhere, ends the search: then the nearest known proxy is named.
    ///
    /// - Parameters:
    ///   - peer: the address of the connection's other end, in numbers.
    ///   - value: the value of a header field by its name in any case; several fields joined by ", ".
    public func origin(peer: String, field value: (String) -> String?) -> Origin {
        guard let proxy = IPAddress(peer), isTrusted(proxy) else { return Origin(address: peer) }
        let hops = hops(value)
        var client = proxy
        var hop: Hop?
        for candidate in hops.reversed() {
            guard let address = candidate.address else { break }
            client = address
            hop = candidate
            guard isTrusted(address) else { break }
        }
        return Origin(
            address: client.description, scheme: hop?.scheme.flatMap(checkedScheme),
            host: hop?.host.flatMap { HostAndPort($0)?.text })
    }

    /// Whether a connection's other end is one of them.
    ///
    /// - Parameter peer: its address in numbers.
    public func include(_ peer: String) -> Bool { IPAddress(peer).map(isTrusted) ?? false }

    private func isTrusted(_ address: IPAddress) -> Bool { ranges.contains { $0.contains(address) } }

    /// One request between two machines: where it came from and what it asked for.
    private struct Hop {
        var address: IPAddress?
        var scheme: String?
        var host: String?
    }

    private func hops(_ value: (String) -> String?) -> [Hop] {
        if field == .forwarded {
            return (value("Forwarded").flatMap(forwardedElements) ?? []).map { element in
                Hop(
                    address: element["for"].flatMap(addressWithoutPort), scheme: element["proto"],
                    host: element["host"])
            }
        }
        let addresses = list(value(field.rawValue))
        let schemes = list(value("X-Forwarded-Proto"))
        let hosts = list(value("X-Forwarded-Host"))
        /// One value is for all; a list as long as that of addresses goes with it; any other says nothing.
        func part(_ parts: [Substring], _ index: Int) -> String? {
            switch parts.count {
            case 1: String(parts[0])
            case addresses.count: String(parts[index])
            default: nil
            }
        }
        return addresses.indices.map { index in
            Hop(
                address: addressWithoutPort(addresses[index]), scheme: part(schemes, index),
                host: part(hosts, index))
        }
    }
}

/// The parts of a comma-separated value without the blanks around them.
///
/// Cut at the code point: behind what a client ends with U+0600 the proxy's comma is a part of another character, and the
/// address that the proxy added would go unseen.
private func list(_ value: String?) -> [Substring] {
    (value ?? "").unicodeScalars.split(separator: ",").map { Substring($0).trimmed }.filter { !$0.isEmpty }
}

/// The address of `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:4711`.
private func addressWithoutPort(_ text: some StringProtocol) -> IPAddress? {
    IPAddress(text) ?? HostAndPort(text).flatMap { IPAddress($0.host) }
}

private func checkedScheme(_ text: String) -> String? {
    let scheme = text.lowercased()
    return scheme == "http" || scheme == "https" ? scheme : nil
}

/// The elements of a `Forwarded` value (RFC 7239 section 4), names in lower case; nil if it is malformed anywhere.
private func forwardedElements(_ value: String) -> [[String: String]]? {
    var elements: [[String: String]] = []
    var element: [String: String] = [:]
    var rest = value[...].trimmed
    while !rest.isEmpty {
        guard let equals = rest.firstIndex(of: "=") else { return nil }
        let name = rest[..<equals].lowercased()
        rest = rest[rest.index(after: equals)...]
        guard let text = takeValue(&rest), element.updateValue(text, forKey: name) == nil else { return nil }
        rest = rest.trimmed
        guard let separator = rest.popFirst() else { break }
        guard separator == ";" || separator == "," else { return nil }
        if separator == "," {
            elements.append(element)
            element = [:]
        }
        rest = rest.trimmed
    }
    return elements + [element]
}

/// Takes a token or a quoted string off the front.
private func takeValue(_ rest: inout Substring) -> String? {
    guard rest.first == "\"" else {
        let token = rest.prefix { !";, \t\"".contains($0) }
        rest = rest[token.endIndex...]
        return token.isEmpty ? nil : String(token)
    }
    rest = rest.dropFirst()
    var text = ""
    while let character = rest.popFirst() {
        if character == "\"" { return text }
        guard character != "\\" else {
            guard let next = rest.popFirst() else { return nil }
            text.append(next)
            continue
        }
        text.append(character)
    }
    return nil
}

extension Substring {
    /// Without blanks at both ends.
    fileprivate var trimmed: Substring {
        let start = drop { $0 == " " || $0 == "\t" }
        guard let end = start.lastIndex(where: { $0 != " " && $0 != "\t" }) else { return start }
        return start[...end]
    }
}

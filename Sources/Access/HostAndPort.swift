/// The value of a `Host` field, or of a URL between `//` and the path: a host, and a port if one is given.
struct HostAndPort {
    /// In lower case; IPv6 without brackets.
    let host: String
    /// As it was written.
    let text: String

    /// Takes names of letters, digits, dots, hyphens and underscores, IPv4, and IPv6 in brackets; nil for others.
    init?(_ text: some StringProtocol) {
        let text = String(text)
        let host: Substring
        let tail: Substring
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[..<end].dropFirst()
            tail = text[end...].dropFirst()
            guard host.contains(":"), !host.contains("%"), IPAddress(host) != nil else { return nil }
        } else {
            host = text.prefix { $0 != ":" }
            tail = text[host.endIndex...]
            guard 1...253 ~= host.utf8.count, host.utf8.allSatisfy(isHostCharacter) else { return nil }
        }
        guard tail.isEmpty || isPort(tail) else { return nil }
        self.host = host.lowercased()
        self.text = text
    }
}

/// The value of a `Host` field as it was sent; nil where it is none.
public func checkedHost(_ value: String?) -> String? { value.flatMap { HostAndPort($0)?.text } }

/// Whether this is a colon and one to five digits.
private func isPort(_ text: Substring) -> Bool {
    text.first == ":" && 2...6 ~= text.utf8.count && text.utf8.dropFirst().allSatisfy { 0x30...0x39 ~= $0 }
}

private func isHostCharacter(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
    default: false
    }
}

import Crypto
import Foundation

/// The text of a token: `hpr_` and 32 random bytes in base64url. Shown once, to the one who makes it.
public struct TokenSecret: Sendable {
    /// The 47 characters that a client sends.
    public let text: String

    /// A new token, from the system's random numbers.
    public init() {
        var generator = SystemRandomNumberGenerator()
        self.init(bytes: (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }

    init(bytes: [UInt8]) {
        let base64 = Data(bytes).base64EncodedString()
        text =
            Self.prefix
            + base64.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    /// The token that `text` spells, or nil unless it has the form of one.
    init?(_ text: some StringProtocol) {
        guard text.utf8.count == Self.length, text.hasPrefix(Self.prefix),
            text.utf8.dropFirst(Self.prefix.utf8.count).allSatisfy(isBase64URL)
        else { return nil }
        self.text = String(text)
    }

    /// What all tokens begin with, so that scanners of repositories and logs can find one that got lost.
    static let prefix = "hpr_"
    private static let length = 47

    /// What is stored of it: `printf %s "$TOKEN" | sha256sum` gives the same.
    var hash: TokenHash { TokenHash(SHA256.hash(data: Data(text.utf8))) }
}

extension TokenSecret: CustomStringConvertible, CustomReflectable {
    /// Not the text: a token must not get into a log by mistake.
    public var description: String { "hpr_(secret)" }

    /// Not the text either, for the same reason.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

private func isBase64URL(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
    default: false
    }
}

/// The SHA-256 of a token's text. The text has 256 random bits, so neither salt nor a slow hash would add anything.
struct TokenHash: Equatable, Sendable {
    private let bytes: [UInt8]

    fileprivate init(_ digest: SHA256Digest) { bytes = Array(digest) }

    /// Reads 64 lower-case hexadecimal digits.
    init?(hexadecimal text: String) {
        let digits = Array(text.utf8)
        guard digits.count == 64, digits.allSatisfy({ Self.digits.contains($0) }) else { return nil }
        bytes = stride(from: 0, to: 64, by: 2).map { start in
            UInt8(String(decoding: digits[start..<start + 2], as: UTF8.self), radix: 16)!
        }
    }

    /// 64 lower-case digits.
    var hexadecimal: String {
        String(decoding: bytes.flatMap { [Self.digits[Int($0 >> 4)], Self.digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static let digits = Array("0123456789abcdef".utf8)

    /// Whether both are the same, in a time that does not depend on where they differ.
    func isEqual(to other: TokenHash) -> Bool {
        // Without the inner parentheses Swift reads (a | b) ^ c, by which one in 256 pairs of hashes is the same.
        zip(bytes, other.bytes).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

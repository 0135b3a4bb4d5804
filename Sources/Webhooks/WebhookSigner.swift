import Crypto
public import Foundation

/// Signs webhooks, so that a receiver knows that they come from this server and are not old ones sent again.
///
/// The header field `Hepar-Signature: t=1800000000,v1=5d61…` holds the time in Unix seconds and, in hexadecimal, the
/// HMAC-SHA256 of that time, a dot and the body's bytes, under the secret that both sides know. A receiver computes the
/// same, compares in constant time, and refuses times more than some minutes away:
///
/// ```python
/// hmac.new(secret.encode(), t.encode() + b"." + body, "sha256").hexdigest()
/// ```
public struct WebhookSigner: Sendable {
    /// The field that holds the signature.
    public static let headerName = "Hepar-Signature"

    private let key: SymmetricKey

    /// Takes the shared secret, as its UTF-8 bytes.
    ///
    /// - Throws: ``WebhookSecretError`` if it is too short to be safe.
    public init(secret: String) throws(WebhookSecretError) {
        guard secret.utf8.count >= WebhookSecretError.shortest else {
            throw WebhookSecretError(found: secret.utf8.count)
        }
        key = SymmetricKey(data: Data(secret.utf8))
    }

    /// The header field's value for a body that is sent now.
    public func signature(of body: Data, at now: Date) -> String {
        let time = "\(Int(now.timeIntervalSince1970.rounded(.down)))"
        let code = HMAC<SHA256>.authenticationCode(for: signed(time, body), using: key)
        return "t=\(time),v1=" + code.map { String(format: "%02x", $0) }.joined()
    }

    /// Whether `signature` is that of `body` and its time is near; what a receiver does.
    ///
    /// - Parameters:
    ///   - signature: the header field's value. Unknown parts are passed over, and one `v1` of several is enough, so
    ///     that later versions can add to it.
    ///   - tolerance: how many seconds the time may lie in the past or future.
    public func verifies(_ signature: String, of body: Data, at now: Date, tolerance: TimeInterval = 300) -> Bool {
        var time: String?
        var codes: [[UInt8]] = []
        for part in signature.split(separator: ",") {
            let sides = part.split(separator: "=", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            guard sides.count == 2 else { return false }
            switch sides[0] {
            case "t":
                guard time == nil else { return false }
                time = sides[1]
            case "v1": codes.append(bytes(hexadecimal: sides[1]) ?? [])
            default: break
            }
        }
        guard let time, let seconds = TimeInterval(time), abs(now.timeIntervalSince1970 - seconds) <= tolerance else {
            return false
        }
        let message = signed(time, body)
        return codes.contains { HMAC<SHA256>.isValidAuthenticationCode($0, authenticating: message, using: key) }
    }

    private func signed(_ time: String, _ body: Data) -> Data { Data("\(time).".utf8) + body }
}

/// A secret that somebody could guess.
public struct WebhookSecretError: Error, Equatable, CustomStringConvertible {
    /// The fewest bytes of a secret.
    public static let shortest = 32

    let found: Int

    /// What is wrong and what to change.
    public var description: String {
        "The secret of the webhooks has \(found) bytes. Give at least \(Self.shortest) random ones: "
            + "openssl rand -hex 32"
    }
}

private func bytes(hexadecimal text: String) -> [UInt8]? {
    let digits = text.compactMap { $0.isASCII ? $0.hexDigitValue : nil }
    guard digits.count == text.count, digits.count.isMultiple(of: 2) else { return nil }
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

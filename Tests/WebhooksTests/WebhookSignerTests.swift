import Foundation
import Testing

@testable import Webhooks

@Suite struct WebhookSignerTests {
    let signer = try! WebhookSigner(secret: "0123456789abcdef0123456789abcdef")
    let body = Data(#"{"id":"1","name":"Übung"}"#.utf8)
    let now = Date(timeIntervalSince1970: 1_800_000_000.9)

    /// python3 -c 'import hmac; print(hmac.new(b"0123456789abcdef0123456789abcdef",
    /// b"1800000000." + "{\"id\":\"1\",\"name\":\"Übung\"}".encode(), "sha256").hexdigest())'
    static let golden = "7c091b467a29aaacb021553705506b951a25e5393de78740be8fddd6439ec32c"

    @Test func theSignatureIsThatOfOthers() {
        #expect(signer.signature(of: body, at: now) == "t=1800000000,v1=" + Self.golden)
    }

    @Test func onlyTheSameBodyTimeAndSecretVerify() throws {
        let signature = signer.signature(of: body, at: now)
        #expect(signer.verifies(signature, of: body, at: now))
        #expect(!signer.verifies(signature, of: body + Data([0]), at: now))
        #expect(!signer.verifies(signature, of: Data(), at: now))
        #expect(!signer.verifies(signature.replacing("1800000000", with: "1800000001"), of: body, at: now))
        let other = try WebhookSigner(secret: "0123456789abcdef0123456789abcdeg")
        #expect(!other.verifies(signature, of: body, at: now))
    }

    @Test func oldSignaturesAreRefused() {
        let signature = signer.signature(of: body, at: now)
        for seconds in [-299.0, 299] { #expect(signer.verifies(signature, of: body, at: now + seconds)) }
        for seconds in [-302.0, 302, 1e9] { #expect(!signer.verifies(signature, of: body, at: now + seconds)) }
        #expect(signer.verifies(signature, of: body, at: now + 9, tolerance: 10))
        #expect(!signer.verifies(signature, of: body, at: now + 12, tolerance: 10))
    }

    @Test func otherPartsArePassedOver() {
        let code = Self.golden
        for good in [
            "t=1800000000,v1=\(code),v2=abc", "v1=\(code), t=1800000000", "t=1800000000,v1=00,v1=\(code)",
            "t=1800000000,v1=\(code.uppercased())",
        ] { #expect(signer.verifies(good, of: body, at: now), "\(good)") }
        for bad in [
            "", "t=1800000000", "v1=\(code)", "t=1800000000,v1=", "t=1800000000,v1", "t=x,v1=\(code)",
            "t=1800000000,v0=\(code)", "t=1800000000,t=1800000000,v1=\(code)", "t=1800000000,v1=\(code.dropLast())",
            "t=1800000000,v1=\(code.dropLast(2))", "t=nan,v1=\(code)", "t=1800000000,v1=\(code)00",
        ] { #expect(!signer.verifies(bad, of: body, at: now), "\(bad)") }
    }

    @Test func shortSecretsAreRefused() throws {
        #expect(throws: WebhookSecretError(found: 31)) { try WebhookSigner(secret: String(repeating: "x", count: 31)) }
        _ = try WebhookSigner(secret: String(repeating: "x", count: 32))
    }
}

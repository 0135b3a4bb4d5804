import Foundation
import Testing

@testable import Access

@Suite struct TokenBookTests {
    let now = Date(timeIntervalSince1970: 1_800_000_000)

    /// python3 -c 'import base64, hashlib; t = "hpr_" + base64.urlsafe_b64encode(bytes(range(224, 256))).decode()
    /// .rstrip("="); print(t, hashlib.sha256(t.encode()).hexdigest())'
    @Test func textAndHashAreThoseOfOthers() {
        let secret = TokenSecret(bytes: Array(224...255))
        #expect(secret.text == "hpr_4OHi4-Tl5ufo6err7O3u7_Dx8vP09fb3-Pn6-_z9_v8")
        #expect(secret.hash.hexadecimal == "4de3013d5d6ba5ac8c25ab914c115ab3302c60c5e0a12a09474a33e877e5795d")
        #expect(TokenHash(hexadecimal: secret.hash.hexadecimal) == secret.hash)
    }

    @Test func newTokensDifferAndDoNotShowThemselves() {
        let tokens = (0..<100).map { _ in TokenSecret() }
        #expect(Set(tokens.map(\.text)).count == 100)
        #expect(tokens.allSatisfy { TokenSecret($0.text) != nil })
        var dumped = ""
        dump(tokens[0], to: &dumped)
        #expect(!("\(tokens[0]) \(String(reflecting: tokens[0])) " + dumped).contains(tokens[0].text))
    }

    @Test(arguments: [
        "", "hpr_", "hpr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "hpr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "HPR_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "hpr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "hpr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+",
    ])
    func whatHasNotTheFormIsNoToken(text: String) {
        #expect(TokenSecret(text) == nil)
    }

    @Test func hashesDifferByAnyBit() {
        let zeros = TokenHash(hexadecimal: String(repeating: "0", count: 64))!
        #expect(zeros.isEqual(to: zeros))
        for position in 0..<64 {
            var digits = Array(repeating: Character("0"), count: 64)
            digits[position] = "8"
            #expect(!zeros.isEqual(to: TokenHash(hexadecimal: String(digits))!))
        }
        #expect(TokenHash(hexadecimal: String(repeating: "A", count: 64)) == nil)
        #expect(TokenHash(hexadecimal: String(repeating: "0", count: 63)) == nil)
    }

    /// Tokens that were made alike are told apart: none of a thousand stands for another, or for one of the book.
    @Test func noOtherTokenIsTaken() throws {
        let hashes = (0..<1_000).map { _ in TokenSecret().hash }
        for (index, one) in hashes.enumerated() {
            #expect(one.isEqual(to: one))
            for other in hashes[(index + 1)...] where one.isEqual(to: other) {
                Issue.record("\(one.hexadecimal) passes for \(other.hexadecimal)")
            }
        }
        var book = TokenBook()
        for number in 0..<20 { _ = try book.add(name: "token-\(number)", roles: [.admin]) }
        for _ in 0..<2_000 {
            #expect(throws: AccessRefusal.unknownToken) {
                try book.caller(presenting: TokenSecret().text, at: Date())
            }
        }
    }

    @Test func aTokenIsKnownUntilItIsRevoked() throws {
        var book = TokenBook()
        let quota = Quota(queuedJobs: 2)
        let bridge = try book.add(name: "bridge", roles: [.submit, .readOwn], quota: quota, at: now)
        let reader = try book.add(name: "reader", roles: [.readAll], at: now)
        #expect(
            try book.caller(presenting: bridge.text, at: now)
                == Caller(name: "bridge", roles: [.submit, .readOwn], quota: quota))
        #expect(try book.caller(presenting: reader.text, at: now).name == "reader")
        #expect(throws: AccessRefusal.unknownToken) { try book.caller(presenting: TokenSecret().text, at: now) }
        #expect(throws: AccessRefusal.unknownToken) { try book.caller(presenting: bridge.hash.hexadecimal, at: now) }
        try book.revoke("bridge")
        #expect(throws: AccessRefusal.unknownToken) { try book.caller(presenting: bridge.text, at: now) }
        #expect(throws: TokenBookError.noSuchToken("bridge")) { try book.revoke("bridge") }
        #expect(book.entries.map(\.name) == ["reader"])
    }

    @Test func aTokenExpires() throws {
        var book = TokenBook()
        let secret = try book.add(name: "guest", roles: [.submit], expires: now + 60, at: now)
        #expect(try book.caller(presenting: secret.text, at: now + 59).name == "guest")
        #expect(throws: AccessRefusal.expiredToken) { try book.caller(presenting: secret.text, at: now + 60) }
        #expect(throws: TokenBookError.expiryInThePast) {
            try book.add(name: "late", roles: [.submit], expires: now, at: now)
        }
    }

    @Test func badEntriesAreRefused() throws {
        var book = TokenBook()
        _ = try book.add(name: "bridge", roles: [.submit], at: now)
        for name in ["", "Bridge", "a b", ".hidden", "-v", "ä", String(repeating: "a", count: 65), "a\n"] {
            #expect(throws: TokenBookError.badName(name)) { try book.add(name: name, roles: [.submit], at: now) }
        }
        #expect(throws: TokenBookError.nameTaken("bridge")) { try book.add(name: "bridge", roles: [.submit], at: now) }
        #expect(throws: TokenBookError.reservedName("anonymous")) {
            try book.add(name: "anonymous", roles: [.submit], at: now)
        }
        #expect(throws: TokenBookError.noRole("x")) { try book.add(name: "x", roles: [], at: now) }
        #expect(throws: TokenBookError.badQuota("x")) {
            try book.add(name: "x", roles: [.submit], quota: Quota(queuedBytes: 0), at: now)
        }
        #expect(book.entries.count == 1)
    }

    @Test func yamlHoldsEverything() throws {
        var book = TokenBook()
        #expect(try TokenBook(yaml: book.yaml) == book)
        _ = try book.add(
            name: "pacs-bridge", roles: [.submit, .readOwn], quota: Quota(queuedJobs: 20, queuedBytes: 10 << 30),
            expires: now + 86_400.7, at: now + 0.3)
        _ = try book.add(name: "0x1e", roles: [.admin], quota: Quota(queuedBytes: 5), at: now)
        _ = try book.add(name: "null", roles: Set(Role.allCases), at: now)
        #expect(try TokenBook(yaml: book.yaml) == book)
        #expect(book.entries[0].expires == now + 86_400)
    }

    @Test func aPersonMayWriteTheFile() throws {
        let hash = String(repeating: "0123456789abcdef", count: 4)
        let book = try TokenBook(
            yaml: """
                tokens:
                - {name: 7, sha256: \(hash), roles: [submit], created: 2027-01-15T08:00:00Z}
                """)
        #expect(book.entries[0].name == "7")
        #expect(book.entries[0].created == now)
        #expect(book.entries[0].hash.hexadecimal == hash)
    }

    /// Each fault, with the line it is told for.
    @Test(arguments: [
        ("", 1), ("tokens: 3", 1), ("token: []", 1), ("- a", 1), ("tokens:\n  - 7", 2),
        ("tokens:\n  - {NAME, HASH, CREATED}", 2),
        ("tokens:\n  - {NAME, HASH, CREATED, roles: submit}", 2),
        ("tokens:\n  - {NAME, HASH, CREATED, roles: [sumbit]}", 2),
        ("tokens:\n  - {NAME, HASH, CREATED, roles: []}", 1),
        ("tokens:\n  - {NAME, HASH, roles: [submit], created: yesterday}", 2),
        ("tokens:\n  - {NAME, sha256: 00, CREATED, roles: [submit]}", 2),
        ("tokens:\n  - NAME\n    HASH\n    CREATED\n    roles: [submit]\n    expire: 2028-01-31T12:00:00Z", 6),
        ("tokens:\n  - NAME\n    HASH\n    CREATED\n    roles: [submit]\n    expires: 2028-01-31", 6),
        ("tokens:\n  - NAME\n    HASH\n    CREATED\n    roles: [submit]\n    quota: {queued_jobs: 1.5}", 6),
        ("tokens:\n  - NAME\n    HASH\n    CREATED\n    roles: [submit]\n    quota: {jobs: 1}", 6),
        ("tokens:\n  - {NAME, HASH, CREATED, roles: [submit], quota: {queued_jobs: 0}}", 1),
        ("tokens:\n  - {NAME, HASH, CREATED, roles: [submit]}\n  - {name: b, HASH, CREATED, roles: [submit]}", 1),
    ])
    func faultsOfTheFileAreNamed(text: String, line: Int) {
        let yaml = text.replacing("NAME", with: "name: a").replacing("CREATED", with: "created: 2027-01-15T08:00:00Z")
            .replacing("HASH", with: "sha256: \(String(repeating: "ab", count: 32))")
        let error = #expect(throws: TokenFileError.self) { _ = try TokenBook(yaml: yaml) }
        guard case .content(let found, _)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(found == line, "\(error!)")
    }

    @Test(arguments: ["tokens: [", "tokens: []\ntokens: []", "\ttokens: []"])
    func whatIsNoYAMLIsTold(yaml: String) {
        let error = #expect(throws: TokenFileError.self) { _ = try TokenBook(yaml: yaml) }
        guard case .syntax? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}

import Testing

@testable import Webhooks

@Suite struct WebhookTargetsTests {
    func target(_ url: String, allowed: [String]) throws -> String { try WebhookTargets(allowed).target(url).url }

    @Test(arguments: [
        ("https://pacs.example/hooks", "https://pacs.example/hooks", "https://pacs.example:443/hooks"),
        ("https://pacs.example/hooks", "https://pacs.example/hooks/", "https://pacs.example:443/hooks/"),
        ("https://pacs.example/hooks", "https://pacs.example/hooks/ct?a=b", "https://pacs.example:443/hooks/ct?a=b"),
        ("https://pacs.example/hooks/", "https://pacs.example/hooks", "https://pacs.example:443/hooks"),
        ("https://pacs.example", "https://pacs.example/anything", "https://pacs.example:443/anything"),
        ("https://pacs.example/", "https://pacs.example", "https://pacs.example:443/"),
        ("https://PACS.example:443/", "HTTPS://pacs.EXAMPLE/x", "https://pacs.example:443/x"),
        ("http://127.0.0.1:9000/", "http://127.1:9000/x", "http://127.0.0.1:9000/x"),
        ("http://[::1]:9000/", "http://[0:0::1]:9000/x", "http://[::1]:9000/x"),
        ("https://pacs.example/", "https://pacs.example/f%C3%BCr%20alle", "https://pacs.example:443/f%C3%BCr%20alle"),
        ("https://pacs.example/", "https://pacs.example/a@b:c", "https://pacs.example:443/a@b:c"),
    ])
    func whatBeginsWithAnEntryIsAllowed(entry: String, url: String, normalised: String) throws {
        #expect(try target(url, allowed: ["https://other.example/", entry]) == normalised)
    }

    @Test(arguments: [
        "https://pacs.example/hooksend", "https://pacs.example/hook", "https://pacs.example/", "https://pacs.example",
        "https://pacs.example/Hooks", "https://pacs.example/a/hooks", "http://pacs.example/hooks",
        "https://pacs.example:8443/hooks", "https://pacs.example.evil/hooks", "https://evil.example/hooks",
        "https://xpacs.example/hooks", "https://pacs.example./hooks", "https://pacs.example?/hooks",
        "https://evil.example/?https://pacs.example/hooks", "http://169.254.169.254/hooks",
    ])
    func whatDoesNotIsRefused(url: String) {
        let error = #expect(throws: WebhookRefusal.self) {
            try target(url, allowed: ["https://pacs.example/hooks"])
        }
        #expect(error?.code == "webhook_not_allowed", "\(String(describing: error))")
    }

    @Test(arguments: [
        "", "pacs.example/hooks", "//pacs.example/hooks", "ftp://pacs.example/hooks", "file:///hooks",
        "https:pacs.example/hooks", "https:///hooks", "https://", "javascript:alert(1)",
        "https://user@pacs.example/hooks", "https://user:pw@pacs.example/hooks", "https://@pacs.example/hooks",
        "https://evil.example\\@pacs.example/hooks", "https://pacs.example\\hooks", "https://pacs.example/hooks#x",
        "https://pacs.example#@evil.example/hooks", "https://pacs.example/hooks/../admin",
        "https://pacs.example/hooks/..", "https://pacs.example/hooks/./x", "https://pacs.example/hooks//x",
        "https://pacs.example//hooks", "https://pacs.example/hooks/%2e%2e/admin", "https://pacs.example/hooks/%2E./x",
        "https://pacs.example/hooks%2Fx", "https://pacs.example/hooks/..%2fx", "https://pacs.example/hooks/%5c",
        "https://pacs.example/hooks/..;/admin", "https://pacs.example/hooks/%00", "https://pacs.example/hooks/%0d%0a",
        "https://pacs.example/hooks/%", "https://pacs.example/hooks/%4", "https://pacs.example/hooks/%zz",
        "https://pacs.example/hooks/%252e", "https://pacs.ex%61mple/hooks", "https://pacs.example:0/hooks",
        "https://pacs.example:99999/hooks", "https://pacs.example:x/hooks", "https://[fe80::1%25eth0]/hooks",
        "https://[::1/hooks", "https://päcs.example/hooks", "https://pacs.example/hooks x",
        "https://pacs.example/hooks\r\nX: y", " https://pacs.example/hooks", "https://pacs.example/hooks/{x}",
    ])
    func whatIsReadInTwoWaysIsMalformed(url: String) {
        let error = #expect(throws: WebhookRefusal.self) {
            try target(url, allowed: ["https://pacs.example/hooks", "https://pacs.example/"])
        }
        #expect(error?.code == "webhook_malformed", "\(String(describing: error))")
    }

    @Test func longURLsAreRefused() throws {
        let base = "https://pacs.example/"
        let longest = base + String(repeating: "a", count: 2_048 - base.count)
        #expect(try target(longest, allowed: [base]).hasSuffix("aaa"))
        #expect(throws: WebhookRefusal.self) { try target(longest + "a", allowed: [base]) }
    }

    @Test func withoutAListThereAreNoWebhooks() {
        #expect(throws: WebhookRefusal.disabled) { try WebhookTargets.none.target("https://pacs.example/") }
        #expect(throws: WebhookRefusal.disabled) { try target("nonsense", allowed: []) }
    }

    @Test func entriesAreChecked() {
        for entry in ["pacs.example", "https://pacs.example/?a", "https://pacs.example/#a", "https://u@pacs.example/"] {
            #expect(throws: WebhookRefusal.self) { try WebhookTargets(["https://good.example/", entry]) }
        }
    }

    @Test func portsAreWrittenOut() throws {
        let targets = try WebhookTargets(["https://a.example/", "http://b.example/x"])
        #expect(try targets.target("http://b.example/x/y").url == "http://b.example:80/x/y")
    }
}

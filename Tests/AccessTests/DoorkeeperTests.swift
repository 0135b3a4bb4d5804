import Foundation
import Logging
import TestSupport
import Testing

@testable import Access

@Suite struct OpenServerTests {
    @Test func aServerWithoutTokensListensToItselfOnly() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "::1"] {
            #expect(OpenServer.mayListen(on: host), "\(host)")
        }
        for host in ["0.0.0.0", "::", "192.0.2.1", "", "example.com", "localhost.example.com", "127.1"] {
            #expect(!OpenServer.mayListen(on: host), "\(host)")
        }
    }

    @Test func itsOwnMachineIsServed() throws {
        for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LocalHost", "hepar.localhost"] {
            try OpenServer.check(peer: "127.0.0.1", field: lookUp(["Host": host]))
        }
        try OpenServer.check(peer: "::1", field: lookUp([:]))
        try OpenServer.check(
            peer: "127.0.0.1", field: lookUp(["Host": "localhost:8080", "Origin": "http://localhost:8080"]))
    }

    @Test(arguments: [
        "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-IP", "Via",
        "x-forwarded-port", "CF-Connecting-IP",
    ])
    func whatAProxyForwardsIsRefused(field: String) {
        // Also where the value is empty or names this very machine.
        for value in ["", "127.0.0.1", "for=127.0.0.1"] {
            let error = #expect(throws: AccessRefusal.self) {
                try OpenServer.check(peer: "127.0.0.1", field: lookUp([field: value, "Host": "localhost"]))
            }
            guard case .forwarded(let name)? = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(name.lowercased() == field.lowercased())
        }
    }

    @Test func whatIsMeantForOtherNamesIsRefused() {
        for peer in ["192.0.2.1", "unknown", "2001:db8::1"] {
            #expect(throws: AccessRefusal.notLocal) { try OpenServer.check(peer: peer, field: lookUp([:])) }
        }
        for host in ["pacs.example.com", "192.0.2.1", "localhost.example.com", "localhost, evil", "xlocalhost", ""] {
            #expect(throws: AccessRefusal.notLocal) {
                try OpenServer.check(peer: "127.0.0.1", field: lookUp(["Host": host]))
            }
        }
        for origin in ["null", "https://example.com", "http://localhost.example.com", "file://", "http://"] {
            #expect(throws: AccessRefusal.notLocal) {
                try OpenServer.check(peer: "127.0.0.1", field: lookUp(["Host": "localhost", "Origin": origin]))
            }
        }
    }

    /// A picture or a link in a foreign page brings no Origin.
    @Test func whatAnotherSitesPageAsksForIsRefused() throws {
        for site in ["cross-site", "Cross-Site", "none, cross-site", ""] {
            #expect(throws: AccessRefusal.notLocal) {
                try OpenServer.check(peer: "127.0.0.1", field: lookUp(["Host": "localhost", "Sec-Fetch-Site": site]))
            }
        }
        for site in ["same-origin", "same-site", "none"] {
            try OpenServer.check(peer: "127.0.0.1", field: lookUp(["Host": "localhost", "Sec-Fetch-Site": site]))
        }
    }
}

@Suite struct FailureLimiterTests {
    @Test func failuresAreFreeUpToTheBurstAndThenPaidByTime() {
        let limiter = FailureLimiter(burst: 3, interval: .seconds(10), addresses: 10)
        let start = ContinuousClock.now
        for _ in 0..<3 { #expect(limiter.fail("192.0.2.1", at: start) == nil) }
        #expect(limiter.fail("192.0.2.1", at: start) == .seconds(10))
        #expect(limiter.fail("192.0.2.1", at: start + .seconds(4)) == .seconds(6))
        #expect(limiter.fail("192.0.2.2", at: start) == nil)
        #expect(limiter.fail("192.0.2.1", at: start + .seconds(10)) == nil)
        #expect(limiter.fail("192.0.2.1", at: start + .seconds(10)) == .seconds(10))
        for _ in 0..<3 { #expect(limiter.fail("192.0.2.1", at: start + .seconds(100)) == nil) }
        #expect(limiter.fail("192.0.2.1", at: start + .seconds(100)) != nil)
    }

    @Test func anIPv6NetworkCountsAsOne() {
        let limiter = FailureLimiter(burst: 1)
        let start = ContinuousClock.now
        #expect(limiter.fail("2001:db8::1", at: start) == nil)
        #expect(limiter.fail("2001:db8::ffff:1", at: start) != nil)
        #expect(limiter.fail("2001:db8:0:1::1", at: start) == nil)
        #expect(limiter.fail("unknown", at: start) == nil)
        #expect(limiter.fail("nowhere", at: start) != nil)
    }

    @Test func memoryIsBounded() {
        let limiter = FailureLimiter(burst: 2, interval: .seconds(1), addresses: 100)
        let start = ContinuousClock.now
        for _ in 0..<2 { #expect(limiter.fail("192.0.2.1", at: start) == nil) }
        for index in 0..<10_000 {
            #expect(limiter.fail("10.0.\(index / 250).\(index % 250)", at: start) == nil)
        }
        #expect(limiter.count == 100)
        #expect(limiter.fail("192.0.2.1", at: start) != nil, "who failed most is kept")
        #expect(limiter.fail("192.0.2.2", at: start + .seconds(60)) == nil)
        #expect(limiter.count == 1, "what is paid back goes at once")
    }
}

@Suite struct DoorkeeperTests {
    @Test func tokensAreAskedFor() throws {
        try withKeeper { keeper, secret in
            func caller(_ value: String?) throws -> String {
                try keeper.caller(peer: "192.0.2.1", field: lookUp(value.map { ["Authorization": $0] } ?? [:])).name
            }
            for value in ["Bearer \(secret)", "bearer \(secret)", "BEARER  \(secret)"] {
                let name = try caller(value)
                #expect(name == "bridge")
            }
            #expect(throws: AccessRefusal.noCredentials) { try caller(nil) }
            #expect(throws: AccessRefusal.unknownToken) { try caller("Bearer hpr_x") }
            for value in [
                "", "Bearer", "Bearer ", secret, "Basic YTpi", "Basic \(secret)", "Bearer \(secret) x",
                "Bearer \(secret), Bearer \(secret)", "Bearer \(secret),",
            ] {
                #expect(throws: AccessRefusal.notBearer) { try caller(value) }
            }
        }
    }

    @Test func aClientInALoopIsSlowedDownAndLocksNobodyOut() throws {
        try withKeeper(burst: 2) { keeper, secret in
            let wrong = lookUp(["Authorization": "Bearer hpr_x"])
            for _ in 0..<2 {
                #expect(throws: AccessRefusal.unknownToken) { try keeper.caller(peer: "192.0.2.1", field: wrong) }
            }
            let error = #expect(throws: AccessRefusal.self) { try keeper.caller(peer: "192.0.2.1", field: wrong) }
            guard case .tooManyFailures(let seconds)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(3_598...3_600 ~= seconds)
            let right = lookUp(["Authorization": "Bearer \(secret)"])
            let caller = try keeper.caller(peer: "192.0.2.1", field: right)
            #expect(caller.name == "bridge")
            #expect(throws: AccessRefusal.unknownToken) { try keeper.caller(peer: "192.0.2.2", field: wrong) }
        }
    }

    @Test func failuresAreCountedByTheClientBehindAProxy() throws {
        try withKeeper(burst: 1) { keeper, _ in
            func fail(_ client: String) -> AccessRefusal? {
                #expect(throws: AccessRefusal.self) {
                    try keeper.caller(
                        peer: "10.0.0.1", field: lookUp(["Authorization": "Bearer x", "X-Forwarded-For": client]))
                }
            }
            #expect(fail("192.0.2.1") == .unknownToken)
            #expect(fail("192.0.2.1")?.status == 429)
            #expect(fail("6.6.6.6, 192.0.2.1")?.status == 429)
            #expect(fail("192.0.2.2") == .unknownToken)
        }
    }

    @Test func withTokensTheOpenServersRulesDoNotApply() throws {
        try withKeeper { keeper, secret in
            let fields = ["Authorization": "Bearer \(secret)", "Via": "1.1 x", "Host": "pacs.example.com"]
            let caller = try keeper.caller(peer: "192.0.2.1", field: lookUp(fields))
            #expect(caller.name == "bridge")
        }
    }

    @Test func withoutTokensTheMachineItselfMayEverything() throws {
        let keeper = Doorkeeper(tokens: nil)
        #expect(try keeper.caller(peer: "127.0.0.1", field: lookUp(["Host": "localhost"])) == .anonymous)
        #expect(throws: AccessRefusal.forwarded(field: "Via")) {
            try keeper.caller(peer: "127.0.0.1", field: lookUp(["Via": "1.1 x"]))
        }
    }

    private func withKeeper(burst: Int = 10, _ body: (Doorkeeper, String) throws -> Void) throws {
        try withTemporaryFolder { folder in
            let file = TokenFile(folder.appending(path: "tokens.yaml"))
            let secret = try file.add(name: "bridge", roles: [.submit])
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let keeper = Doorkeeper(
                tokens: try TokenWatch(file, logger: logger),
                proxies: TrustedProxies([try AddressRange("10.0.0.0/8")]),
                limiter: FailureLimiter(burst: burst, interval: .seconds(3_600)))
            try body(keeper, secret.text)
        }
    }
}

import Testing

@testable import Access

@Suite struct AddressTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("::FFFF:C000:0201", "192.0.2.1"),
        ("::1", "::1"), ("2001:DB8:0::1", "2001:db8::1"), ("fe80::1%eth0", "fe80::1"), ("0.0.0.0", "0.0.0.0"),
        ("::", "::"), ("255.255.255.255", "255.255.255.255"),
    ])
    func addressesAreRead(text: String, canonical: String) {
        #expect(IPAddress(text)?.description == canonical)
    }

    @Test(arguments: [
        "", "localhost", "127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433", "1.2.3.4.5", "256.0.0.1", "1.2.3.4 ",
        "[::1]", "::1:", "1:2:3:4:5:6:7:8:9", "1.2.3.4:80", "10.0.0.1\0.example", "10.0.0.1%eth0",
    ])
    func nothingElseIsAnAddress(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(arguments: ["127.0.0.1", "127.255.1.2", "::1", "::ffff:127.0.0.1"])
    func loopback(text: String) { #expect(IPAddress(text)!.isLoopback) }

    @Test(arguments: ["128.0.0.1", "::2", "::", "0.0.0.1", "::7f00:1", "126.255.255.255"])
    func notLoopback(text: String) { #expect(!IPAddress(text)!.isLoopback) }

    /// Each block with its first and last address, and the neighbours outside.
    @Test(arguments: [
        ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], ["9.255.255.255", "11.0.0.0", "::a00:1"]),
        ("192.0.2.7", ["192.0.2.7"], ["192.0.2.6", "192.0.2.8"]),
        ("192.0.2.128/25", ["192.0.2.128", "192.0.2.255"], ["192.0.2.127", "192.0.3.0"]),
        ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::", "2001:db8::1"]),
        ("2001:db8::/32", ["2001:db8::", "2001:db8:ffff::1"], ["2001:db9::", "2001:db7:ffff::"]),
        ("::1", ["::1"], ["::2", "127.0.0.1"]),
        ("::/0", ["::", "ffff::"], ["192.0.2.1", "::ffff:192.0.2.1"]),
        ("::ffff:10.0.0.0/104", ["10.0.0.0", "10.255.255.255"], ["11.0.0.0"]),
        ("fd00::/127", ["fd00::", "fd00::1"], ["fd00::2"]),
    ])
    func blocksHoldWhatTheySay(block: String, inside: [String], outside: [String]) throws {
        let range = try AddressRange(block)
        for text in inside { #expect(range.contains(IPAddress(text)!), "\(text) in \(block)") }
        for text in outside { #expect(!range.contains(IPAddress(text)!), "\(text) in \(block)") }
    }

    @Test(arguments: [
        "", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "10.0.0.0/8/8", "10.0.0/8", "example.com",
        "fe80::%eth0/64", "10.0.0.0/0008",
    ])
    func nothingElseIsABlock(text: String) {
        #expect(throws: AddressRangeError.notARange(text)) { try AddressRange(text) }
    }

    @Test func aBlockThatIsNotWhatWasMeantIsRefused() {
        #expect(throws: AddressRangeError.bitsBelowTheMask("10.1.2.3/8", meant: "10.0.0.0/8")) {
            try AddressRange("10.1.2.3/8")
        }
        #expect(throws: AddressRangeError.bitsBelowTheMask("2001:db8::1/32", meant: "2001:db8::/32")) {
            try AddressRange("2001:db8::1/32")
        }
    }

    @Test(arguments: [
        ("Example.COM", "example.com"), ("localhost:8080", "localhost"), ("[::1]:8080", "::1"), ("[::1]", "::1"),
        ("127.0.0.1:1", "127.0.0.1"), ("a_b-c.d", "a_b-c.d"),
    ])
    func hostsAreRead(text: String, host: String) {
        #expect(HostAndPort(text)?.host == host)
        #expect(HostAndPort(text)?.text == text)
    }

    @Test(arguments: [
        "", ":80", "a:", "a:b", "a:123456", "a/b", "a b", "a@b", "[::1", "[127.0.0.1]", "[::1]x", "[::1%lo]", "a,b",
        "::1", "ä", "a:1:2",
    ])
    func nothingElseIsAHost(text: String) {
        #expect(HostAndPort(text) == nil)
    }
}

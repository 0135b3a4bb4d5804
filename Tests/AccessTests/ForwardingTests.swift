import Testing

@testable import Access

@Suite struct ForwardingTests {
    /// Proxies at 10.0.0.0/8 and 2001:db8:f::/48.
    func origin(
        _ fields: [String: String], peer: String = "10.0.0.1", by field: ForwardingField = .xForwardedFor
    ) throws -> Origin {
        let ranges = [try AddressRange("10.0.0.0/8"), try AddressRange("2001:db8:f::/48")]
        let proxies = TrustedProxies(ranges, field: field)
        return proxies.origin(peer: peer, field: lookUp(fields))
    }

    @Test func withoutTrustNothingIsBelieved() throws {
        let fields = [
            "X-Forwarded-For": "198.51.100.7", "Forwarded": "for=198.51.100.7;proto=https", "X-Real-IP": "198.51.100.7",
            "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example",
        ]
        for field in ForwardingField.allCases {
            #expect(try origin(fields, peer: "192.0.2.9", by: field) == Origin(address: "192.0.2.9"))
        }
        #expect(
            TrustedProxies.none.origin(peer: "127.0.0.1", field: lookUp(fields)) == Origin(address: "127.0.0.1"))
        #expect(try origin(fields, peer: "unknown") == Origin(address: "unknown"))
    }

    /// The list, then the client's address behind the trusted peer 10.0.0.1.
    @Test(arguments: [
        ("198.51.100.7", "198.51.100.7"),
        ("6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("6.6.6.6\u{600}, 198.51.100.7", "198.51.100.7"),
        ("6.6.6.6,\u{301}, 198.51.100.7", "198.51.100.7"),
        ("6.6.6.6, 198.51.100.7, 10.2.3.4", "198.51.100.7"),
        ("6.6.6.6,198.51.100.7,10.2.3.4,2001:db8:f::2", "198.51.100.7"),
        ("6.6.6.6, 198.51.100.7:5555, ::ffff:10.2.3.4", "198.51.100.7"),
        ("10.9.9.9, 198.51.100.7", "198.51.100.7"),
        ("10.5.5.5, 10.6.6.6", "10.5.5.5"),
        ("198.51.100.7, unknown", "10.0.0.1"),
        ("198.51.100.7, unknown, 10.2.2.2", "10.2.2.2"),
        ("198.51.100.7, , 10.2.2.2,", "198.51.100.7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("", "10.0.0.1"),
        ("127.0.0.1\t", "127.0.0.1"),
        ("<script>", "10.0.0.1"),
    ])
    func theClientIsTheLastWhoIsNoProxy(list: String, client: String) throws {
        #expect(try origin(["x-forwarded-for": list]).address == client)
    }

    @Test func onlyTheConfiguredFieldCounts() throws {
        let fields = ["X-Forwarded-For": "1.1.1.1", "Forwarded": "for=2.2.2.2", "X-Real-IP": "3.3.3.3"]
        #expect(try origin(fields, by: .xForwardedFor).address == "1.1.1.1")
        #expect(try origin(fields, by: .forwarded).address == "2.2.2.2")
        #expect(try origin(fields, by: .xRealIP).address == "3.3.3.3")
        #expect(try origin(["Forwarded": "for=2.2.2.2"], by: .xForwardedFor).address == "10.0.0.1")
    }

    @Test func schemeAndHostComeFromTheClientsOwnHop() throws {
        let one = [
            "X-Forwarded-For": "6.6.6.6, 1.1.1.1", "X-Forwarded-Proto": "HTTPS", "X-Forwarded-Host": "pacs:8443",
        ]
        #expect(try origin(one) == Origin(address: "1.1.1.1", scheme: "https", host: "pacs:8443"))
        let each = [
            "X-Forwarded-For": "6.6.6.6, 1.1.1.1, 10.1.1.1", "X-Forwarded-Proto": "gopher, https, http",
            "X-Forwarded-Host": "evil, pacs.example, inner",
        ]
        #expect(try origin(each) == Origin(address: "1.1.1.1", scheme: "https", host: "pacs.example"))
        let odd = ["X-Forwarded-For": "1.1.1.1", "X-Forwarded-Proto": "http, https", "X-Forwarded-Host": "a/b"]
        #expect(try origin(odd) == Origin(address: "1.1.1.1"))
        #expect(try origin(["X-Forwarded-Proto": "https"]) == Origin(address: "10.0.0.1"))
    }

    /// Values of `Forwarded`, the first three from RFC 7239 section 4; the client, the scheme and the host.
    static let examples: [(String, String, String?, String?)] = [
        ("for=\"_gazonk\"", "10.0.0.1", nil, nil),
        ("For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17", nil, nil),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60", "http", nil),
        ("for=192.0.2.43, for=198.51.100.17", "198.51.100.17", nil, nil),
        ("for=192.0.2.43;proto=https;host=a, for=10.1.1.1;proto=http;host=b", "192.0.2.43", "https", "a"),
        ("for=192.0.2.43 ; host=\"[::1]:80\" , for=\"10.1.1.1:99\"", "192.0.2.43", nil, "[::1]:80"),
        ("for=\"192.0.\\2.43\"", "192.0.2.43", nil, nil),
        ("for=192.0.2.43, proto=https", "10.0.0.1", nil, nil),
        ("for=192.0.2.43;for=6.6.6.6", "10.0.0.1", nil, nil),
        ("for=\"192.0.2.43", "10.0.0.1", nil, nil),
        ("for=192.0.2.43 6.6.6.6", "10.0.0.1", nil, nil),
        ("nonsense", "10.0.0.1", nil, nil),
        ("", "10.0.0.1", nil, nil),
    ]

    @Test(arguments: examples)
    func forwardedIsRead(value: String, client: String, scheme: String?, host: String?) throws {
        let expected = Origin(address: client, scheme: scheme, host: host)
        #expect(try origin(["Forwarded": value], by: .forwarded) == expected)
    }
}

/// Fields found by their names in any case.
func lookUp(_ fields: [String: String]) -> (String) -> String? {
    let lower = Dictionary(uniqueKeysWithValues: fields.map { ($0.key.lowercased(), $0.value) })
    return { lower[$0.lowercased()] }
}

import Foundation

/// The rules of a server without tokens (`auth: none`): only its own machine may use it, and no proxy may open it to
/// others by accident.
public enum OpenServer {
    /// Whether a server without tokens may listen at this address: `localhost`, `127.…` or `::1`.
    public static func mayListen(on host: String) -> Bool {
        host.lowercased() == "localhost" || IPAddress(host)?.isLoopback ?? false
    }

    /// Says no to a request that does not come straight from a program on this machine.
    ///
    /// Four marks betray others: a peer elsewhere; a header field that proxies add; a `Host` or `Origin` that is not
    /// this machine, as a proxy hands on and as browsers send when a foreign page tries to use the server; and
    /// `Sec-Fetch-Site`, in which browsers say so even where they send no `Origin`, as for a picture or a link.
    ///
    /// - Parameters:
    ///   - peer: the address of the connection's other end, in numbers.
    ///   - value: the value of a header field by its name in any case.
    /// - Throws: ``AccessRefusal/forwarded(field:)``; ``AccessRefusal/notLocal``.
    public static func check(peer: String, field value: (String) -> String?) throws(AccessRefusal) {
        guard IPAddress(peer)?.isLoopback ?? false else { throw .notLocal }
        for name in proxyFields where value(name) != nil { throw .forwarded(field: name) }
        if let host = value("Host"), !isLocal(host) { throw .notLocal }
        if let origin = value("Origin") {
            let schemes = ["http://", "https://"]
            guard let scheme = schemes.first(where: origin.hasPrefix), isLocal(origin.dropFirst(scheme.count)) else {
                throw .notLocal
            }
        }
        if let site = value("Sec-Fetch-Site"), !["same-origin", "same-site", "none"].contains(site) { throw .notLocal }
    }

    private static func isLocal(_ text: some StringProtocol) -> Bool {
        guard let host = HostAndPort(text)?.host else { return false }
        return mayListen(on: host) || host.hasSuffix(".localhost")
    }

    /// What proxies, caches and content networks add to the requests they forward.
    private static let proxyFields = [
        "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Server",
        "X-Forwarded-Prefix", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "X-Forwarded", "Forwarded", "Forwarded-For",
        "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "X-Original-For", "X-Original-Forwarded-For",
        "X-Envoy-External-Address", "True-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP", "X-ProxyUser-Ip", "Via",
    ]
}

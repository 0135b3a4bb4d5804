import Foundation

/// A listening TCP socket. Ours, not libmicrohttpd's, so that stopping can refuse new clients at once.
struct ListenSocket: ~Copyable {
    let descriptor: Int32
    /// The port it listens on.
    let port: Int

    init(host: String, port: Int) throws(DaemonError) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &found)
        guard status == 0, let address = found?.pointee else {
            throw .unknownHost(host, reason: String(cString: gai_strerror(status)))
        }
        defer { freeaddrinfo(found) }

        let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(address.ai_family, flags, 0)
        let failed = { () -> DaemonError in
            let reason = Self.reason(errno)
            if descriptor >= 0 { close(descriptor) }
            return .cannotListen(host: host, port: port, reason: reason)
        }
        guard descriptor >= 0 else { throw failed() }
        var on: Int32 = 1
        var off: Int32 = 0
        let size = socklen_t(MemoryLayout<Int32>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, size)
        if address.ai_family == AF_INET6 {
            setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &off, size)
        }
        guard bind(descriptor, address.ai_addr, address.ai_addrlen) == 0, listen(descriptor, SOMAXCONN) == 0 else {
            throw failed()
        }
        self.descriptor = descriptor
        self.port = Self.port(of: descriptor)
    }

    /// The system's words, and what to change.
    static func reason(_ code: Int32) -> String {
        let advice =
            switch code {
            case EADDRINUSE: " Another program listens there: stop it, or choose another port."
            case EACCES:
                " Ports below 1024 may want a right of their own: choose one above, or give CAP_NET_BIND_SERVICE."
            case EADDRNOTAVAIL: " This machine has no such address: choose one of its own."
            default: ""
            }
        return String(cString: strerror(code)) + "." + advice
    }

    /// Refuses clients from now on; those accepted stay.
    borrowing func refuse() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    deinit { close(descriptor) }

    private static func port(of descriptor: Int32) -> Int {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let service = withUnsafeMutablePointer(to: &address) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                getsockname(descriptor, address, &length)
                return NumericAddress(address, length: length).port
            }
        }
        return service
    }
}

/// An IP address and port in numbers.
struct NumericAddress: Equatable {
    /// "192.0.2.1" or "2001:db8::1"; an IPv4 client of an IPv6 socket is told as IPv4. "unknown" if it has none.
    let host: String
    let port: Int

    init(_ address: UnsafePointer<sockaddr>, length: socklen_t) {
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
        let status = getnameinfo(
            address, length, &host, socklen_t(host.count), &service, socklen_t(service.count),
            NI_NUMERICHOST | NI_NUMERICSERV)
        let text = status == 0 ? host.withUnsafeBufferPointer { String(cString: $0.baseAddress!) } : "unknown"
        self.host = text.hasPrefix("::ffff:") && text.contains(".") ? String(text.dropFirst(7)) : text
        port = status == 0 ? service.withUnsafeBufferPointer { Int(String(cString: $0.baseAddress!)) ?? 0 } : 0
    }
}

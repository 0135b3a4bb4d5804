import Foundation

/// A connection to a server on this machine, over which it is asked, for as long as both keep it open.
final class LocalConnection {
    private let descriptor: Int32
    private let name: String

    /// Connects.
    ///
    /// - Parameters:
    ///   - host: the address that the server listens on; where that is every address, loopback is asked.
    ///   - seconds: the longest wait for the connection, and for each part of an answer.
    /// - Throws: ``LocalConnectionError``.
    init(host: String, port: Int, seconds: Int) throws(LocalConnectionError) {
        let host = ["0.0.0.0": "127.0.0.1", "::": "::1"][host] ?? host
        name = "\(host.contains(":") ? "[\(host)]" : host):\(port)"
        descriptor = try connect(host, port, seconds: seconds)
    }

    deinit { close(descriptor) }

    /// One GET. After an error the connection is of no use any more.
    func get(_ path: String) throws(LocalConnectionError) -> (status: Int, body: String) {
        let request = Array("GET \(path) HTTP/1.1\r\nHost: \(name)\r\n\r\n".utf8)
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else { throw .noAnswer }
        var answer = ""
        while answer.utf8.count < 1 << 16 {
            guard let head = answer.firstRange(of: "\r\n\r\n") else {
                answer += try receive()
                continue
            }
            let body = answer[head.upperBound...]
            guard let status = answer.prefixMatch(of: /HTTP\/1\.1 ([1-5][0-9][0-9])\s/).flatMap({ Int($0.1) }),
                let length = answer[..<head.upperBound].firstMatch(of: /\r\n[Cc]ontent-[Ll]ength: *([0-9]{1,5})\r\n/)
                    .flatMap({ Int($0.1) })
            else { throw .noAnswer }
            if body.utf8.count >= length { return (status, String(body)) }
            answer += try receive()
        }
        throw .noAnswer
    }

    private func receive() throws(LocalConnectionError) -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { throw .noAnswer }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}

/// Why a server on this machine could not be asked.
enum LocalConnectionError: Error, CustomStringConvertible {
    case unknownHost(String)
    case noConnection(Int32)
    case noAnswer

    var description: String {
        switch self {
        case .unknownHost(let host): "the host \(host) is not known"
        case .noConnection(let code): String(cString: strerror(code)).lowercased()
        case .noAnswer: "no answer in time"
        }
    }
}

private func connect(_ host: String, _ port: Int, seconds: Int) throws(LocalConnectionError) -> Int32 {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, "\(port)", &hints, &list) == 0, let list else { throw .unknownHost(host) }
    defer { freeaddrinfo(list) }
    var code: Int32 = 0
    for address in sequence(first: list, next: { $0.pointee.ai_next }) {
        let found = address.pointee
        let descriptor = socket(found.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .noConnection(errno) }
        var wait = timeval(tv_sec: seconds, tv_usec: 0)
        for option in [SO_SNDTIMEO, SO_RCVTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &wait, socklen_t(MemoryLayout<timeval>.size))
        }
        if connect(descriptor, found.ai_addr, found.ai_addrlen) == 0 { return descriptor }
        code = errno
        close(descriptor)
    }
    throw .noConnection(code)
}

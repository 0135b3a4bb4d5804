import Foundation

/// A client that sends exactly the bytes it is told to, over one TCP connection, and waits at most ten seconds.
final class TestClient {
    struct Answer {
        var status: Int
        var headers: [String: String]
        var body: [UInt8]

        var text: String { String(decoding: body, as: UTF8.self) }

        /// A member of a JSON body.
        func member(_ name: String) -> String {
            let object = try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]
            return object?[name].map { "\($0)" } ?? "none"
        }
    }

    private let descriptor: Int32
    private var buffer: [UInt8] = []

    /// - Parameter source: the client's own address, of 127.0.0.0/8; nil for any.
    init(port: Int, from source: String? = nil, timeoutSeconds: Int = 10) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.descriptor = descriptor
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        if let source {
            inet_pton(AF_INET, source, &address.sin_addr)
            _ = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var timeout = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        isConnected = result == 0
    }

    /// Whether the server took the connection.
    let isConnected: Bool

    deinit { close(descriptor) }

    /// Sends bytes; false once the server takes no more.
    @discardableResult func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }

    /// Sends text; each line feed becomes CR LF.
    @discardableResult func send(lines text: String) -> Bool {
        send(Array(text.utf8).flatMap { $0 == UInt8(ascii: "\n") ? Array("\r\n".utf8) : [$0] })
    }

    /// Says that nothing more is sent, and goes on reading.
    func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Breaks the connection off: the server sees a reset.
    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// The next answer; nil if the connection ends or nothing comes first. `hasBody` false is for HEAD.
    func answer(hasBody: Bool = true) -> Answer? {
        guard let head = read(until: Array("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n")
        let first = lines[0].split(separator: " ")
        guard first.count >= 2, first[0] == "HTTP/1.1", let status = Int(first[1]) else { return nil }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() where !line.isEmpty {
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            headers[line[..<colon].lowercased()] = line[colon...].dropFirst().trimmingCharacters(in: .whitespaces)
        }
        var answer = Answer(status: status, headers: headers, body: [])
        if hasBody, status != 100, let length = headers["content-length"].flatMap({ Int($0) }) {
            while buffer.count < length { guard receive() else { return nil } }
            answer.body = Array(buffer[..<length])
            buffer.removeFirst(length)
        }
        return answer
    }

    /// Whether the server closes the connection, after whatever it still sends.
    func isClosed() -> Bool {
        while receive() {}
        return lastCount == 0 || lastError == ECONNRESET
    }

    /// What was read and is part of no answer.
    var leftOver: String { String(decoding: buffer, as: UTF8.self) }

    private var lastCount = 0
    private var lastError: Int32 = 0

    private func read(until mark: [UInt8]) -> [UInt8]? {
        while true {
            if let end = buffer.indices.first(where: { buffer[$0...].starts(with: mark) }) {
                let head = Array(buffer[..<end])
                buffer.removeFirst(end + mark.count)
                return head
            }
            guard receive() else { return nil }
        }
    }

    private func receive() -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        lastCount = recv(descriptor, &chunk, chunk.count, 0)
        lastError = errno
        guard lastCount > 0 else { return false }
        buffer += chunk[..<lastCount]
        return true
    }
}

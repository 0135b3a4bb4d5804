public import Foundation
import Synchronization

/// A receiver of webhooks that answers as the path says, one connection at a time, and remembers what it was sent.
public final class TestReceiver: Sendable {
    /// One request.
    public struct Received: Sendable {
        /// Its request line and header fields.
        public var head: String
        /// Its body.
        public var body: Data

        /// The value of a header field.
        public func field(_ name: String) -> String? {
            head.components(separatedBy: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ": ") }
                .map { String($0.dropFirst(name.count + 2)) }
        }
    }

    /// Where it listens, on 127.0.0.1.
    public let port: Int
    private let listener: Int32
    private let kept = Mutex<[Received]>([])
    private let isEnding = Atomic<Bool>(false)
    private let hasEnded = DispatchSemaphore(value: 0)

    /// A receiver that listens on a free port and does not yet answer.
    public init() {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 16) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        precondition(isListening, "no free port")
        self.listener = listener
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    /// Runs `body` beside a receiver.
    public static func run<Result>(_ body: (TestReceiver) throws -> Result) rethrows -> Result {
        let receiver = TestReceiver()
        let thread = Thread {
            receiver.serve()
            receiver.hasEnded.signal()
        }
        thread.start()
        defer {
            receiver.isEnding.store(true, ordering: .releasing)
            shutdown(receiver.listener, Int32(SHUT_RDWR))
            receiver.hasEnded.wait()
            close(receiver.listener)
        }
        return try body(receiver)
    }

    /// Takes no connections any more, and keeps the port. For a receiver that does not run.
    public func refuse() { shutdown(listener, Int32(SHUT_RDWR)) }

    /// The URL of a path here.
    public func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }

    /// What was sent so far.
    public var received: [Received] { kept.withLock { $0 } }

    private func serve() {
        while !isEnding.load(ordering: .acquiring) {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { continue }
            var timeout = timeval(tv_sec: 10, tv_usec: 0)
            setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
            if let request = read(client) {
                kept.withLock { $0.append(request) }
                answer(request.head.split(separator: " ").dropFirst().first.map(String.init) ?? "", to: client)
            }
            close(client)
        }
    }

    private func read(_ client: Int32) -> Received? {
        var data = Data()
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            if let end = data.range(of: Data("\r\n\r\n".utf8)) {
                let request = Received(
                    head: String(decoding: data[..<end.lowerBound], as: UTF8.self), body: data[end.upperBound...])
                if request.body.count >= Int(request.field("Content-Length") ?? "") ?? 0 {
                    return Received(head: request.head, body: Data(request.body))
                }
            }
            let count = recv(client, &chunk, chunk.count, 0)
            guard count > 0 else { return nil }
            data += chunk[..<count]
        }
    }

    private func answer(_ path: String, to client: Int32) {
        switch path {
        case "/silent":
            var byte: UInt8 = 0
            recv(client, &byte, 1, 0)  // until the client gives up
        case "/redirect":
            send("HTTP/1.1 307 Else\r\nLocation: \(url("/status/204"))\r\nContent-Length: 0\r\n\r\n", to: client)
        case "/busy": send("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", to: client)
        case "/busy/for-ever":
            send("HTTP/1.1 503 Slow\r\nRetry-After: 99999999\r\nContent-Length: 0\r\n\r\n", to: client)
        case "/endless":
            send("HTTP/1.1 200 OK\r\n\r\n", to: client)
            while send(String(repeating: "x", count: 65_536), to: client) {}
        case "/endless/head":
            send("HTTP/1.1 500 No\r\n", to: client)
            while send("X: \(String(repeating: "x", count: 1_000))\r\n", to: client) {}
        case "/garbage": send("I am not HTTP\r\n\r\n", to: client)
        case "/hang-up": break
        default:
            let status = path.split(separator: "/").last ?? "500"
            send("HTTP/1.1 \(status) Text\r\nContent-Length: 6\r\n\r\nsecret", to: client)
        }
    }

    @discardableResult
    private func send(_ text: String, to client: Int32) -> Bool {
        Array(text.utf8).withUnsafeBytes { Glibc.send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) > 0 }
    }
}

import Foundation
import Logging
import Synchronization

@testable import HTTPDaemon

/// Raw bytes sent to a real daemon over TCP, libmicrohttpd included: every answer has the form of one and is no fault of
/// the server's; no handler sees a head that ``checkHead(_:)`` would not let pass; nothing is left of uploads; and the
/// next client is answered.
///
/// The first byte says in how many pieces the rest is sent.
func fuzzConnection(_ input: UnsafeRawBufferPointer) throws(BrokenPromise) {
    guard let pieces = input.first.map({ Int($0 & 3) + 1 }) else { return }
    let bytes = Array(input.dropFirst())
    let server = Server.shared
    let sent = (0..<pieces).map { piece in
        Array(bytes[bytes.count * piece / pieces..<bytes.count * (piece + 1) / pieces])
    }
    let answers = server.exchange(pieces: sent, givesUp: true)
    try checkAnswers(answers)
    let request = Array("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".utf8)
    let next = server.exchange(pieces: [request], givesUp: false)
    try promise(
        next.starts(with: "HTTP/1.1 200 ".utf8) && next.suffix(5).elementsEqual("hello".utf8),
        "the next client is answered \(String(decoding: next.prefix(200), as: UTF8.self).debugDescription)")
    if let broken = server.broken { throw broken }
    try promise(server.isEmpty, "an upload is left")
}

/// What can be said of answers without knowing where bodies end: the first begins as one, and none tells of a fault.
private func checkAnswers(_ bytes: [UInt8]) throws(BrokenPromise) {
    guard !bytes.isEmpty else { return }
    let text = String(decoding: bytes, as: UTF8.self)
    try promise(text.hasPrefix("HTTP/1.1 ") || text.hasPrefix("HTTP/1.0 "), "an answer of \(text.prefix(100))")
    let status = text.dropFirst(9).prefix(3)
    try promise(Int(status).map { (100...505).contains($0) } == true, "a status of \(status)")
    try promise(!text.contains("HTTP/1.1 500 "), "a fault of the server's: \(text.prefix(300))")
}

/// A daemon with a few addresses: one for each kind of body.
private final class Server: Sendable {
    static let shared = Server()

    private let daemon: HTTPDaemon
    private let uploads: URL
    private let fault = Fault()

    var broken: BrokenPromise? { fault.first.withLock { $0 } }

    /// Looks again for a while: what a client has left is removed when its connection ends.
    var isEmpty: Bool {
        for _ in 0..<2_000 {
            if Scratch.names(in: uploads).isEmpty { return true }
            usleep(1_000)
        }
        return false
    }

    private init() {
        let name = "hepar-fuzz-uploads-\(getpid())"
        let uploads = FileManager.default.temporaryDirectory.appending(path: name, directoryHint: .isDirectory)
        try? FileManager.default.createDirectory(at: uploads, withIntermediateDirectories: true)
        self.uploads = uploads
        let fault = fault
        var settings = DaemonSettings()
        (settings.handlerThreads, settings.socketThreads, settings.partLimit) = (1, 1, 8)
        @Sendable func note(_ head: RequestHead) {
            do throws(BrokenPromise) {
                try checkHead(head)
            } catch {
                fault.first.withLock { $0 = $0 ?? error }
            }
        }
        do {
            daemon = try HTTPDaemon(
                settings: settings, logger: Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() },
                plan: { head in
                    note(head)
                    if head.path == "/refused" { return .refuse(.problem(403, detail: "Not here.", code: "refused")) }
                    let body: BodyPlan =
                        switch head.path {
                        case "/memory": .memory(limit: 1_000)
                        case "/files": .files(folder: uploads, limit: 4_000)
                        default: .none
                        }
                    return .accept(body) { request in
                        note(request.head)
                        return switch request.head.path {
                        case "/hello": .now(.data(200, Data("hello".utf8), type: "text/plain"))
                        case "/tagged":
                            .now(.data(200, Data(UInt8(0)..<100), type: "text/plain", headers: ["ETag": "\"tag\""]))
                        case "/memory", "/files": .now(Response(status: 204))
                        default: .now(.problem(404, detail: "No such thing.", code: "not_found"))
                        }
                    }
                })
        } catch {
            fatalError("no daemon: \(error)")
        }
    }

    /// Sends bytes over a connection of its own and returns all that is answered until the server closes it.
    ///
    /// - Parameter givesUp: closes the sending side when nothing has come for a moment: then the request was not whole,
    ///   or the connection is kept open for another. A client that does so before its answer is taken for gone.
    func exchange(pieces: [[UInt8]], givesUp: Bool) -> [UInt8] {
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        precondition(client >= 0, "no socket: \(String(cString: strerror(errno)))")
        defer { close(client) }
        var one: Int32 = 1
        setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        var timeout = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        // Without lingering in TIME_WAIT: a campaign opens more connections than there are ports.
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout.size(ofValue: linger)))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(daemon.port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        precondition(connected == 0, "not connected: \(String(cString: strerror(errno)))")
        for piece in pieces where !piece.isEmpty {
            var count: Int
            repeat { count = send(client, piece, piece.count, Int32(MSG_NOSIGNAL)) } while count < 0 && errno == EINTR
            guard count == piece.count else { break }
        }
        return answer(client, givesUp: givesUp)
    }

    private func answer(_ client: Int32, givesUp: Bool) -> [UInt8] {
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        var mayClose = givesUp
        while true {
            var event = pollfd(fd: client, events: Int16(POLLIN), revents: 0)
            if mayClose, poll(&event, 1, 2) == 0 {
                shutdown(client, Int32(SHUT_WR))
                mayClose = false
            }
            let count = recv(client, &chunk, chunk.count, 0)
            // libFuzzer's clock is a signal.
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                precondition(count == 0 || errno != EAGAIN, "the server neither answers nor closes")
                return answer
            }
            answer += chunk[..<count]
        }
    }
}

/// The first promise that was broken on a thread of the daemon's.
private final class Fault: Sendable {
    let first = Mutex<BrokenPromise?>(nil)
}

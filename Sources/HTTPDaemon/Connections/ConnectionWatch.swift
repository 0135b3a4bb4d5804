import Foundation
import Logging
import Synchronization

/// One client's connection, as far as its speed is concerned.
final class Connection: Sendable {
    let peerAddress: String

    private enum Phase {
        /// Waits for a whole head, until then.
        case head(until: ContinuousClock.Instant)
        /// Receives a body: what came in the window that began then.
        case body(since: ContinuousClock.Instant, bytes: Int)
        /// The turn is ours, or the client reads; libmicrohttpd's idle timeout covers that, but not a suspended one.
        case answering(Exchange?)
        /// The answer is out before the body was in; what still comes is thrown away until then.
        case draining(until: ContinuousClock.Instant)
        /// The descriptor may be another connection's by now.
        case closed
    }

    let socket: Int32
    /// Only the thread that serves the socket looks at it.
    let chunks = Mutex(ChunkFraming())

    private let phase: Mutex<Phase>

    init(socket: Int32, peerAddress: String, headTimeout: Duration) {
        self.socket = socket
        self.peerAddress = peerAddress
        phase = Mutex(.head(until: .now + headTimeout))
    }

    func waitsForHead(for duration: Duration) { phase.withLock { $0 = .head(until: .now + duration) } }

    func receivesBody() { phase.withLock { $0 = .body(since: .now, bytes: 0) } }

    func received(_ count: Int) {
        phase.withLock { phase in
            if case .body(let since, let bytes) = phase { phase = .body(since: since, bytes: bytes + count) }
        }
    }

    /// - Parameter exchange: the request that is suspended until there is an answer; nil once there is.
    func isAnswered(_ exchange: Exchange? = nil) { phase.withLock { $0 = .answering(exchange) } }

    func drains(for duration: Duration) { phase.withLock { $0 = .draining(until: .now + duration) } }

    /// To be called before the socket is closed, so that ``check`` never shuts down another connection.
    func isClosing() { phase.withLock { $0 = .closed } }

    /// Shuts the socket down if the client is too slow or has left; libmicrohttpd then ends the connection. A request
    /// that waits for its answer ends if its client has left.
    func check(now: ContinuousClock.Instant, uploadMinimum: Int?, uploadWindow: Duration) {
        let waiting: Exchange? = phase.withLock { phase in
            var mustEnd = false
            switch phase {
            case .head(let until), .draining(let until): mustEnd = now > until || hasLeft
            case .body(let since, let bytes):
                mustEnd = hasLeft
                guard now - since >= uploadWindow else { break }
                let least = Double(uploadMinimum ?? 0) * (uploadWindow / .seconds(1))
                mustEnd = mustEnd || Double(bytes) < least
                phase = .body(since: now, bytes: 0)
            case .answering(let exchange): return exchange
            case .closed: break
            }
            if mustEnd {
                shutdown(socket, Int32(SHUT_RDWR))
                phase = .answering(nil)
            }
            return nil
        }
        // While it waits the connection is suspended and the socket open; if it does not, this does nothing.
        if let waiting, hasLeft { waiting.clientLeft() }
    }

    /// Whether the client has closed its side and every byte before that was read, or has reset the connection.
    private var hasLeft: Bool {
        var byte: UInt8 = 0
        let count = recv(socket, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return count == 0 || (count < 0 && errno == ECONNRESET)
    }
}

/// Counts connections, and looks after slow and vanished clients twice a second.
///
/// libmicrohttpd's idle timeout starts anew with every byte, so a client that sends one now and then could hold a
/// connection for ever. And it misses a client that closes the connection right after a part of a request: both come
/// with one event, and it reads only once.
final class ConnectionWatch: Sendable {
    private struct State {
        var open = 0
        /// By the names that ``client(of:)`` gives.
        var openByAddress: [String: Int] = [:]
        var refused = 0
        var nextWarning = ContinuousClock.now
        var watched: [ObjectIdentifier: Connection] = [:]
    }

    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)
    private let limit: Int
    private let limitByAddress: Int?
    private let isExempt: @Sendable (String) -> Bool
    private let logger: Logger

    /// - Parameter isExempt: whether an address may have more connections than `limitByAddress`.
    init(
        limit: Int, limitByAddress: Int?, isExempt: @escaping @Sendable (String) -> Bool, logger: Logger,
        uploadMinimum: Int?, uploadWindow: Duration
    ) {
        self.limit = limit
        self.limitByAddress = limitByAddress
        self.isExempt = isExempt
        self.logger = logger
        let thread = Thread { [self] in
            while ended.wait(timeout: .now() + 0.5) == .timedOut {
                let all = state.withLock { Array($0.watched.values) }
                let now = ContinuousClock.now
                for connection in all {
                    connection.check(now: now, uploadMinimum: uploadMinimum, uploadWindow: uploadWindow)
                }
            }
        }
        thread.name = "http-watch"
        thread.start()
    }

    /// Whether as many connections are open as may be.
    var isFull: Bool { state.withLock { $0.open >= limit } }

    /// Counts a new connection; false, and not counted, if its address has too many. The log tells of those now and then.
    func admit(_ peerAddress: String) -> Bool {
        let client = Self.client(of: peerAddress)
        let limit = isExempt(peerAddress) ? nil : limitByAddress
        let refused: Int? = state.withLock { state in
            let open = state.openByAddress[client] ?? 0
            guard open >= limit ?? .max else {
                state.openByAddress[client] = open + 1
                state.open += 1
                return nil
            }
            state.refused += 1
            guard state.nextWarning <= .now else { return 0 }
            state.nextWarning = .now + .seconds(10)
            defer { state.refused = 0 }
            return state.refused
        }
        if let refused, refused > 0 {
            logger.warning(
                "connections refused: their address has as many as it may",
                metadata: [
                    "client": "\(client)", "limit": .stringConvertible(limit ?? 0),
                    "refused": .stringConvertible(refused),
                ])
        }
        return refused == nil
    }

    /// Takes back what ``admit(_:)`` counted.
    func forget(_ peerAddress: String) {
        let client = Self.client(of: peerAddress)
        state.withLock { state in
            let open = state.openByAddress[client] ?? 1
            state.openByAddress[client] = open > 1 ? open - 1 : nil
            state.open -= 1
        }
    }

    /// Who is counted: an IPv4 address, or the network of 64 bits that one IPv6 client owns.
    static func client(of peerAddress: String) -> String {
        var bytes = in6_addr()
        let address = peerAddress.prefix { $0 != "%" }
        guard peerAddress.contains(":"), inet_pton(AF_INET6, String(address), &bytes) == 1 else { return peerAddress }
        return withUnsafeBytes(of: bytes) { bytes in
            stride(from: 0, to: 8, by: 2).map { String(UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1]), radix: 16) }
                .joined(separator: ":") + "::/64"
        }
    }

    func add(_ connection: Connection) { state.withLock { $0.watched[ObjectIdentifier(connection)] = connection } }

    func remove(_ connection: Connection) {
        connection.isClosing()
        _ = state.withLock { $0.watched.removeValue(forKey: ObjectIdentifier(connection)) }
        forget(connection.peerAddress)
    }

    func end() { ended.signal() }
}

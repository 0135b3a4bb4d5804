import Foundation
import Synchronization

/// One client's connection, as far as its speed is concerned.
final class Connection: Sendable {
    let peerAddress: String

    private enum Phase {
        /// Waits for a whole head, until then.
        case head(until: ContinuousClock.Instant)
        /// Receives a body: what came in the window that began then.
        case body(since: ContinuousClock.Instant, bytes: Int)
        /// The turn is ours, or the client reads; libmicrohttpd's idle timeout covers that.
        case answering
        /// The answer is out before the body was in; what still comes is thrown away until then.
        case draining(until: ContinuousClock.Instant)
        /// The descriptor may be another connection's by now.
        case closed
    }

    private let socket: Int32
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

    func isAnswered() { phase.withLock { $0 = .answering } }

    func drains(for duration: Duration) { phase.withLock { $0 = .draining(until: .now + duration) } }

    /// To be called before the socket is closed, so that ``check`` never shuts down another connection.
    func isClosing() { phase.withLock { $0 = .closed } }

    /// Shuts the socket down if the client is too slow; libmicrohttpd then ends the connection.
    func check(now: ContinuousClock.Instant, uploadMinimum: Int?, uploadWindow: Duration) {
        phase.withLock { phase in
            var isTooSlow = false
            switch phase {
            case .head(let until), .draining(let until): isTooSlow = now > until
            case .body(let since, let bytes) where now - since >= uploadWindow:
                let least = Double(uploadMinimum ?? 0) * (uploadWindow / .seconds(1))
                isTooSlow = Double(bytes) < least
                phase = .body(since: now, bytes: 0)
            case .body, .answering, .closed: break
            }
            if isTooSlow {
                shutdown(socket, Int32(SHUT_RDWR))
                phase = .answering
            }
        }
    }
}

/// Looks after slow clients once a second: libmicrohttpd's idle timeout starts anew with every byte, so a client that
/// sends one now and then could hold a connection for ever.
final class ConnectionWatch: Sendable {
    private let connections = Mutex<[ObjectIdentifier: Connection]>([:])
    private let ended = DispatchSemaphore(value: 0)
    private let uploadMinimum: Int?
    private let uploadWindow: Duration

    init(uploadMinimum: Int?, uploadWindow: Duration) {
        self.uploadMinimum = uploadMinimum
        self.uploadWindow = uploadWindow
        let thread = Thread { [self] in
            while ended.wait(timeout: .now() + 1) == .timedOut { check() }
        }
        thread.name = "http-watch"
        thread.start()
    }

    func add(_ connection: Connection) { connections.withLock { $0[ObjectIdentifier(connection)] = connection } }

    func remove(_ connection: Connection) {
        connection.isClosing()
        _ = connections.withLock { $0.removeValue(forKey: ObjectIdentifier(connection)) }
    }

    func end() { ended.signal() }

    private func check() {
        let all = connections.withLock { Array($0.values) }
        let now = ContinuousClock.now
        for connection in all {
            connection.check(now: now, uploadMinimum: uploadMinimum, uploadWindow: uploadWindow)
        }
    }
}

internal import CSandbox
import Foundation
import Synchronization

/// Whose turn it is at what children share by turns: the cores.
///
/// The parent lends the turn. A child asks for it by a byte on a socket of its own, ``descriptor``, is lent it by a byte,
/// and gives it back by another. So no child can take a turn from another, and one that keeps it stops nobody: after
/// ``lease`` the turn passes to who waits, and the child's own goes on beside it.
public final class Turns: Sendable {
    /// Where a child finds its socket.
    public static let descriptor = Int32(cs_turns)

    /// The running process's socket; nil where its parent lends no turns. Before it opens a file of its own.
    public static var offered: Int32? {
        var facts = stat()
        return fstat(descriptor, &facts) == 0 && facts.st_mode & S_IFMT == S_IFSOCK ? descriptor : nil
    }

    /// How long a turn is a child's alone while another waits. A slice takes a tenth of it; what takes longer runs side
    /// by side with the next, which is slower and does no harm.
    public let lease: Duration

    /// One child's part.
    final class Seat: Sendable {
        /// The parent's end.
        let socket: Int32
        init(socket: Int32) { self.socket = socket }
    }

    private struct State {
        var holder: (seat: Seat, since: ContinuousClock.Instant)?
        var waiting: [Seat] = []
    }

    private let state = Mutex(State())

    /// Turns that nobody has.
    public init(lease: Duration = .seconds(2)) { self.lease = lease }

    /// Reads what the child says; whoever it says what to, it is never lent more than one turn at a time.
    ///
    /// - Returns: false where it has closed its socket.
    func hear(_ seat: Seat) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = recv(seat.socket, &bytes, bytes.count, Int32(MSG_DONTWAIT))
        guard count > 0 else { return count < 0 && (errno == EAGAIN || errno == EINTR) }
        state.withLock { state in
            for byte in bytes[..<count] {
                if byte == UInt8(ascii: "?") { ask(seat, &state) } else { giveBack(seat, &state) }
            }
            pass(&state)
        }
        return true
    }

    /// Passes the turn on where its lease has run out and another waits.
    func look() { state.withLock { pass(&$0) } }

    /// Forgets a child that is gone; its turn passes on.
    func leave(_ seat: Seat) {
        state.withLock { state in
            giveBack(seat, &state)
            state.waiting.removeAll { $0 === seat }
            pass(&state)
        }
    }

    private func ask(_ seat: Seat, _ state: inout State) {
        guard state.holder?.seat !== seat, !state.waiting.contains(where: { $0 === seat }) else { return }
        state.waiting.append(seat)
    }

    private func giveBack(_ seat: Seat, _ state: inout State) {
        if state.holder?.seat === seat { state.holder = nil }
    }

    private func pass(_ state: inout State) {
        guard let next = state.waiting.first else { return }
        if let holder = state.holder, holder.since + lease > .now { return }
        state.waiting.removeFirst()
        state.holder = (next, .now)
        // A child that does not read what it asked for has only itself to blame.
        _ = send(next.socket, "!", 1, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
    }
}

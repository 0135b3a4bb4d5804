import Synchronization

/// Counts wrong tokens by address, so that a client in a loop is told to slow down and the log is not flooded.
///
/// Each address may fail `burst` times at once, and then once every `interval`. IPv6 clients own whole networks, so
/// theirs are counted by /64. Memory is bounded: of too many addresses, the one nearest to a clean slate is forgotten.
public final class FailureLimiter: Sendable {
    /// Failures are a debt that time pays back: when each address will have none left.
    private struct Debts {
        var clearAt: [Key: ContinuousClock.Instant] = [:]

        /// Makes room: forgets all that is paid back; where nothing is, what will be soonest.
        mutating func forget(at now: ContinuousClock.Instant) {
            let open = clearAt.filter { $0.value > now }
            if open.count < clearAt.count {
                clearAt = open
            } else if let soonest = clearAt.min(by: { $0.value < $1.value }) {
                clearAt[soonest.key] = nil
            }
        }
    }

    private enum Key: Hashable {
        case network(UInt128)
        /// Peers without an address, if there are any, count together.
        case unknown
    }

    private let debts = Mutex(Debts())
    private let interval: Duration
    private let tolerance: Duration
    private let limit: Int

    /// - Parameters:
    ///   - burst: failures that are free; at least 1.
    ///   - interval: the time that pays for one more.
    ///   - addresses: the most addresses kept in mind, about 50 bytes each; at least 1.
    public init(burst: Int = 10, interval: Duration = .seconds(6), addresses: Int = 4_096) {
        precondition(burst >= 1 && interval > .zero && addresses >= 1, "a limiter without a limit")
        self.interval = interval
        tolerance = interval * burst
        limit = addresses
    }

    /// Counts a failure.
    ///
    /// - Returns: nil if the address may fail now; else how long until it may again, and the failure is not counted.
    public func fail(_ address: String) -> Duration? { fail(address, at: .now) }

    func fail(_ address: String, at now: ContinuousClock.Instant) -> Duration? {
        let key = Self.key(address)
        return debts.withLock { debts in
            let clearAt = max(debts.clearAt[key] ?? now, now) + interval
            guard clearAt <= now + tolerance else { return clearAt - (now + tolerance) }
            if debts.clearAt[key] == nil && debts.clearAt.count >= limit { debts.forget(at: now) }
            debts.clearAt[key] = clearAt
            return nil
        }
    }

    /// How many addresses are kept in mind.
    var count: Int { debts.withLock { $0.clearAt.count } }

    private static func key(_ text: String) -> Key {
        guard let address = IPAddress(text) else { return .unknown }
        return .network(address.isIPv4 ? address.bits : (address.bits >> 64) << 64)
    }
}

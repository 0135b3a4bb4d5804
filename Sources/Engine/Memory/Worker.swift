public import Compute
import Synchronization

/// One thread's view of the work that a team shares out.
///
/// A phase is a number of items that may be done in any order. Every thread takes items until there are none left, then
/// waits for the others; so each phase uses up as many numbers of the common counter as it has items, and one more for
/// each thread. That is why the counter never needs to be reset.
public struct Worker {
    /// Which thread of the team this is.
    public let thread: Int
    /// How many threads there are.
    public let threads: Int
    private let team: ThreadTeam
    private let tickets: Tickets
    private var base = 0

    /// The counter that the workers of one task share.
    public final class Tickets: Sendable {
        /// A counter at 0.
        public init() {}

        fileprivate let next = Atomic<Int>(0)
    }

    /// The view of one thread of `team`, inside `ThreadTeam.run`.
    public init(thread: Int, team: ThreadTeam, tickets: Tickets) {
        self.thread = thread
        self.team = team
        self.tickets = tickets
        threads = team.threads
    }

    /// The next item of `0 ..< count` that nobody has taken. Must be called until it gives nil, and not again after.
    public func claim(below count: Int) -> Int? {
        let item = tickets.next.wrappingAdd(1, ordering: .relaxed).oldValue - base
        return item < count ? item : nil
    }

    /// Ends a phase of `count` items: waits until every thread has done its own.
    public mutating func endPhase(of count: Int) {
        team.barrier()
        base += count + threads
    }

    /// A whole phase: `body` for each item this thread gets.
    public mutating func share(_ count: Int, _ body: (Int) -> Void) {
        while let item = claim(below: count) { body(item) }
        endPhase(of: count)
    }
}

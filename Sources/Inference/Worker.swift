package import Compute
import Synchronization

/// One thread's view of the work that a team shares out.
///
/// A phase is a number of items that may be done in any order. Every thread takes items until there are none left, then
/// waits for the others; so each phase uses up as many numbers of the common counter as it has items, and one more for
/// each thread. That is why the counter never needs to be reset.
package struct Worker {
    /// Which thread of the team this is.
    package let thread: Int
    /// How many threads there are.
    package let threads: Int
    private let team: ThreadTeam
    private let tickets: Tickets
    private var base = 0

    /// The counter that the workers of one task share.
    package final class Tickets: Sendable {
        package init() {}

        fileprivate let next = Atomic<Int>(0)
    }

    package init(thread: Int, team: ThreadTeam, tickets: Tickets) {
        self.thread = thread
        self.team = team
        self.tickets = tickets
        threads = team.threads
    }

    /// The next item of `0 ..< count` that nobody has taken. Must be called until it gives nil, and not again after.
    package func claim(below count: Int) -> Int? {
        let item = tickets.next.wrappingAdd(1, ordering: .relaxed).oldValue - base
        return item < count ? item : nil
    }

    /// Ends a phase of `count` items: waits until every thread has done its own.
    package mutating func endPhase(of count: Int) {
        team.barrier()
        base += count + threads
    }

    /// A whole phase: `body` for each item this thread gets.
    package mutating func share(_ count: Int, _ body: (Int) -> Void) {
        while let item = claim(below: count) { body(item) }
        endPhase(of: count)
    }
}

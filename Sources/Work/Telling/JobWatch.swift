import Foundation
import Jobs
import Synchronization

/// Clients that wait for a job, or for any job, to change. They cost a closure each; one thread serves them all.
package final class JobWatch: Sendable {
    private struct Waiter {
        /// Nil for any job.
        let job: JobID?
        let until: ContinuousClock.Instant
        let isAwaited: @Sendable () -> Bool
        let mayWait: @Sendable () -> Bool
        let answer: @Sendable () -> Void
    }

    private struct State {
        var waiters: [Waiter] = []
        var due: [Waiter] = []
        /// So many waiters, and those whose clients have left are looked for.
        var crowd = 1_024
        var isEnding = false
    }

    private let state = Mutex(State())
    private let bell = DispatchSemaphore(value: 0)

    package init() {
        let thread = Thread { [self] in work() }
        thread.name = "job-watch"
        thread.start()
    }

    /// Calls `answer`, on the watch's thread, when the job has changed, or `timeout` is over, or the client may no longer
    /// wait, or the service stops; at once if it has stopped already.
    ///
    /// - Parameters:
    ///   - job: the job waited for; nil for any.
    ///   - isAwaited: whether the client is still there; if not, `answer` need not be called.
    ///   - mayWait: asked about once a second, as tokens are revoked and expire.
    package func wait(
        for job: JobID?, timeout: Duration, isAwaited: @escaping @Sendable () -> Bool,
        mayWait: @escaping @Sendable () -> Bool, answer: @escaping @Sendable () -> Void
    ) {
        let waiter = Waiter(
            job: job, until: .now + timeout, isAwaited: isAwaited, mayWait: mayWait, answer: answer)
        let isKept = state.withLock { state in
            if !state.isEnding { state.waiters.append(waiter) }
            if state.waiters.count > state.crowd {
                state.waiters.removeAll { !$0.isAwaited() }
                state.crowd = max(1_024, 2 * state.waiters.count)
            }
            return !state.isEnding
        }
        if isKept { bell.signal() } else { answer() }
    }

    /// Whether everyone who waits is answered at once.
    package var hasEnded: Bool { state.withLock { $0.isEnding } }

    /// A job is in another state than before.
    package func changed(_ job: JobID) {
        let isAwaited = state.withLock { state in
            let waiting = state.waiters
            state.waiters = waiting.filter { $0.job != nil && $0.job != job }
            state.due += waiting.filter { $0.job == nil || $0.job == job }
            return !state.due.isEmpty
        }
        if isAwaited { bell.signal() }
    }

    /// Answers all who wait, and from now on everyone at once; the thread ends.
    package func end() {
        state.withLock { state in
            state.isEnding = true
            state.due += state.waiters
            state.waiters = []
        }
        bell.signal()
    }

    private func work() {
        var nextCheck = ContinuousClock.now
        while true {
            let isCheck = nextCheck <= .now
            if isCheck { nextCheck = .now + .seconds(1) }
            let (due, next, hasEnded) = state.withLock { state in
                let now = ContinuousClock.now
                let isDue = { (waiter: Waiter) in waiter.until <= now || isCheck && !waiter.mayWait() }
                var due = state.due
                state.due = []
                state.waiters.removeAll { waiter in
                    guard isDue(waiter) else { return false }
                    due.append(waiter)
                    return true
                }
                return (due, state.waiters.map(\.until).min(), state.isEnding)
            }
            for waiter in due where waiter.isAwaited() { waiter.answer() }
            if hasEnded && due.isEmpty { return }
            guard let next else {
                bell.wait()
                continue
            }
            let left = max(.zero, min(next, nextCheck) - .now) / .milliseconds(1)
            _ = bell.wait(timeout: .now() + .milliseconds(Int(left) + 1))
        }
    }
}

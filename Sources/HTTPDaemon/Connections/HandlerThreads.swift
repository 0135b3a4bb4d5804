import Foundation
import Synchronization

/// A fixed set of threads that run blocking work, first come first served.
final class HandlerThreads: Sendable {
    private struct State {
        var jobs: [@Sendable () -> Void] = []
        var next = 0  // jobs before it have been taken; the array is cut now and then
        var hasEnded = false
    }

    private let state = Mutex(State())
    private let available = DispatchSemaphore(value: 0)
    private let count: Int

    init(count: Int) {
        self.count = count
        for _ in 0..<count {
            let thread = Thread { [self] in work() }
            thread.name = "http-handler"
            thread.start()
        }
    }

    /// Queues a job; after ``end()`` it is dropped.
    func run(_ job: @escaping @Sendable () -> Void) {
        let isTaken = state.withLock { state in
            if !state.hasEnded { state.jobs.append(job) }
            return !state.hasEnded
        }
        if isTaken { available.signal() }
    }

    /// Lets the threads end when they have finished the jobs queued so far.
    func end() {
        let isFirst = state.withLock { state in
            defer { state.hasEnded = true }
            return !state.hasEnded
        }
        if isFirst { for _ in 0..<count { available.signal() } }
    }

    /// How many jobs no thread has taken yet.
    var waiting: Int { state.withLock { $0.jobs.count - $0.next } }

    private func work() {
        while true {
            available.wait()
            let job: (@Sendable () -> Void)? = state.withLock { state in
                guard state.next < state.jobs.count else { return nil }
                let job = state.jobs[state.next]
                state.jobs[state.next] = {}
                state.next += 1
                if state.next == state.jobs.count || state.next >= 1_024 {
                    state.jobs.removeFirst(state.next)
                    state.next = 0
                }
                return job
            }
            guard let job else { return }
            job()
        }
    }
}

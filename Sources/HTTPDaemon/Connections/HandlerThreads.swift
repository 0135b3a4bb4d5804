import Foundation
import Synchronization

/// A fixed set of threads that run blocking work.
///
/// A caller has at most half of them, and who has fewest goes first, then who came first: however long one caller's requests
/// take and however many there are, another's need not wait for their end.
final class HandlerThreads: Sendable {
    private struct Job {
        let caller: String
        let work: @Sendable () -> Void
    }

    private struct State {
        /// In the order they came.
        var waiting: [Job] = []
        /// Jobs that run, by caller.
        var running: [String: Int] = [:]
        var hasEnded = false

        /// The next that may run, if there is one; it counts as running.
        mutating func take(share: Int) -> Job? {
            var best: (index: Int, running: Int)?
            for (index, job) in waiting.enumerated() {
                let count = job.caller.isEmpty ? 0 : running[job.caller] ?? 0
                if count < min(best?.running ?? share, share) { best = (index, count) }
                if best?.running == 0 { break }
            }
            guard let best else { return nil }
            let job = waiting.remove(at: best.index)
            running[job.caller, default: 0] += 1
            return job
        }
    }

    private let state = Mutex(State())
    private let bell = DispatchSemaphore(value: 0)
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
    ///
    /// - Parameter caller: whose it is; "" for nobody's, of which as many may run as there are threads.
    func run(for caller: String = "", _ work: @escaping @Sendable () -> Void) {
        let isTaken = state.withLock { state in
            if !state.hasEnded { state.waiting.append(Job(caller: caller, work: work)) }
            return !state.hasEnded
        }
        if isTaken { bell.signal() }
    }

    /// Lets the threads end when they have finished the jobs queued so far.
    func end() {
        state.withLock { $0.hasEnded = true }
        for _ in 0..<count { bell.signal() }
    }

    /// How many jobs no thread has taken yet.
    var waiting: Int { state.withLock { $0.waiting.count } }

    private func work() {
        while true {
            bell.wait()
            while let job = state.withLock({ $0.take(share: max(1, count / 2)) }) {
                job.work()
                leave(job)
            }
            if state.withLock({ $0.hasEnded && $0.waiting.isEmpty }) { return }
        }
    }

    private func leave(_ job: Job) {
        let hasEnded = state.withLock { state in
            let left = (state.running[job.caller] ?? 0) - 1
            state.running[job.caller] = left > 0 ? left : nil
            return state.hasEnded
        }
        // Its end may let another of its caller run, beside the next that this thread takes.
        for _ in 0..<(hasEnded ? count : 1) { bell.signal() }
    }
}

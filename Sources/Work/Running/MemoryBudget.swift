import Foundation
import Synchronization

/// The memory that jobs may take together. Workers wait their turn: jobs that do not fit beside one another never run
/// together, and none is passed over for a smaller one.
package final class MemoryBudget: Sendable {
    private let measure: @Sendable () -> Int
    private let measured = Mutex<Int?>(nil)

    /// Bytes for all jobs together.
    package var limit: Int {
        measured.withLock { measured in
            let limit = measured ?? measure()
            measured = limit
            return limit
        }
    }

    private let state = NSCondition()
    private nonisolated(unsafe) var used = 0
    private nonisolated(unsafe) var nextTicket = 0
    private nonisolated(unsafe) var served = 0

    /// - Parameter limit: asked for once, when the first scan is judged: by then the server's threads have taken what they
    ///   take, which counts where the address space is limited.
    package init(limit: @autoclosure @escaping @Sendable () -> Int) { measure = limit }

    /// Runs `body` once `bytes` are free, and frees them afterwards. A job that needs more than all runs alone.
    ///
    /// - Parameter checkStop: called about five times a second while the job waits; what it throws ends the wait.
    package func reserving<Result>(_ bytes: Int, checkStop: () throws -> Void, _ body: () throws -> Result) throws
        -> Result
    {
        let bytes = min(bytes, limit)
        state.lock()
        let ticket = nextTicket
        nextTicket += 1
        do {
            defer {
                served += 1
                state.broadcast()
                state.unlock()
            }
            while served != ticket || used + bytes > limit {
                _ = state.wait(until: Date().addingTimeInterval(0.2))
                // Those who come later wait for this ticket: it is given up when its turn has come.
                guard served == ticket else { continue }
                try checkStop()
            }
            used += bytes
        }
        defer {
            state.withLock {
                used -= bytes
                state.broadcast()
            }
        }
        return try body()
    }

    /// Four fifths of what the machine, the process's control groups and its address space allow.
    package static var fourFifthsOfMemory: Int { MemoryLimit.ofThisProcess / 5 * 4 }
}

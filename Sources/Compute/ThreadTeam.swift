internal import CKernels
import Foundation
import Synchronization

/// A fixed set of compute threads that works on one task at a time.
///
/// `run` calls its body once on every thread, the caller's included, and returns when all have returned.
/// Callers on different threads (several jobs) take turns: each task has all threads to itself, so that
/// jobs never fight for cores. A thread that waits, between tasks or for the others, spins for at most a few tenths of
/// a millisecond and then sleeps, so that whoever has work gets the core; where there are more threads than cores it
/// sleeps at once. A body must not call `run` of its own team.
public final class ThreadTeam: Sendable {
    /// How many threads work on a task, the caller's included.
    public let threads: Int

    private let shared: Shared
    private let turn = Mutex(())
    private let turns: Int32?

    /// Starts `threads - 1` threads; the caller of `run` is the last one.
    ///
    /// - Parameter turns: a socket to whoever lends the cores by turns to several processes, so that those do not fight
    ///   for them either: `?` asks, a byte that comes lends, and `.` gives back. One that is closed is done without.
    public init(threads: Int, turns: Int32? = nil) {
        precondition(threads >= 1, "a team needs at least one thread")
        self.threads = threads
        self.turns = turns
        shared = Shared(threads: threads)
        for index in 1..<max(1, threads) { startThread(ThreadStart(shared: shared, index: index)) }
    }

    deinit { shared.publish(nil) }

    /// Calls `body(index)` once on each thread, with `index` in `0 ..< threads`, and waits for all.
    public func run(_ body: (Int) -> Void) {
        turn.withLock { _ in
            turns.map(waitForTurn)
            defer { turns.map { _ = write($0, ".", 1) } }
            guard threads > 1 else { return body(0) }
            withoutActuallyEscaping(body) { shared.perform($0) }
        }
    }

    /// Waits, inside a body given to `run`, until every thread of the team has come here.
    public func barrier() {
        guard threads > 1 else { return }
        shared.barrier()
    }

    /// Calls `body` for each index in `0 ..< count`, shared out as threads become free.
    public func forEach(_ count: Int, _ body: (Int) -> Void) {
        let next = Atomic<Int>(0)
        run { _ in
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < count else { return }
                body(index)
            }
        }
    }

    /// Cuts `0 ..< count` into chunks of at most `chunk` and calls `body` for each, shared out as threads become free.
    public func forEachChunk(of count: Int, chunk: Int, _ body: (Range<Int>) -> Void) {
        precondition(chunk > 0)
        forEach((count + chunk - 1) / chunk) { index in
            body(index * chunk..<min(count, (index + 1) * chunk))
        }
    }
}

/// Waits until a turn is lent, or nobody is there to lend it.
private func waitForTurn(_ socket: Int32) {
    var byte: UInt8 = 0
    guard write(socket, "?", 1) == 1 else { return }
    while read(socket, &byte, 1) < 0, errno == EINTR {}
}

/// What the threads share. `task` is written only between tasks, by the thread that has the turn; the change of
/// `generation` publishes it.
private final class Shared: @unchecked Sendable {
    let threads: Int
    var task: ((Int) -> Void)?
    /// Grows with each task.
    let generation: SleepingCounter
    /// Grows when the last of the other threads is done with its task.
    let finished: SleepingCounter
    /// Grows when all threads have come to a barrier.
    let passed: SleepingCounter
    let busy = Atomic<Int>(0)
    let arrived = Atomic<Int>(0)

    init(threads: Int) {
        self.threads = threads
        // A core for each thread: what is waited for is at work and comes soon. Otherwise it may well wait for this core.
        let haveCores = threads <= AvailableCores.count
        generation = SleepingCounter(spins: haveCores ? 4_000 : 0)
        finished = SleepingCounter(spins: haveCores ? 4_000 : 0)
        passed = SleepingCounter(spins: haveCores ? 4_000 : 0)
    }

    /// Hands `task` to the waiting threads; nil tells them to end.
    func publish(_ task: ((Int) -> Void)?) {
        self.task = task
        busy.store(threads - 1, ordering: .relaxed)
        generation.advance()
    }

    /// Runs `task` on every thread, the caller's included, and waits for all.
    func perform(_ task: @escaping (Int) -> Void) {
        let seen = finished.value
        publish(task)
        task(0)
        finished.wait(past: seen)
        self.task = nil
    }

    func barrier() {
        let seen = passed.value
        if arrived.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue == threads {
            arrived.store(0, ordering: .relaxed)
            passed.advance()
        } else {
            passed.wait(past: seen)
        }
    }

    /// What threads `1 ..< threads` do for the team's life.
    func work(as index: Int) {
        var seen = 0
        while true {
            seen = generation.wait(past: seen)
            guard perform(as: index) else { return }
            if busy.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 { finished.advance() }
        }
    }

    /// A function of its own, never inlined, so that no reference to the task is held once it returns: the task is a
    /// closure that may not outlive `run`.
    @inline(never) private func perform(as index: Int) -> Bool {
        guard let task else { return false }
        task(index)
        return true
    }
}

/// A number that only grows, and that threads wait for. `lock` keeps a thread from falling asleep just as it grows.
private final class SleepingCounter: @unchecked Sendable {
    private let counter = Atomic<Int>(0)
    private let spins: Int
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// - Parameter spins: how often a waiting thread looks, a pause of some 40 to 140 cycles between, before it sleeps.
    init(spins: Int) {
        self.spins = spins
        pthread_mutex_init(lock, nil)
        pthread_cond_init(wake, nil)
    }

    deinit {
        pthread_cond_destroy(wake)
        pthread_mutex_destroy(lock)
        wake.deallocate()
        lock.deallocate()
    }

    var value: Int { counter.load(ordering: .acquiring) }

    /// What was written before is seen by all whose wait this ends. No system call is made where nobody sleeps.
    func advance() {
        pthread_mutex_lock(lock)
        counter.wrappingAdd(1, ordering: .releasing)
        pthread_cond_broadcast(wake)
        pthread_mutex_unlock(lock)
    }

    /// Returns the number once it is no longer `seen`.
    @discardableResult func wait(past seen: Int) -> Int {
        for _ in 0..<spins {
            let now = value
            if now != seen { return now }
            ck_pause()
        }
        pthread_mutex_lock(lock)
        while value == seen { pthread_cond_wait(wake, lock) }
        pthread_mutex_unlock(lock)
        return value
    }
}

private final class ThreadStart {
    let shared: Shared
    let index: Int

    init(shared: Shared, index: Int) {
        self.shared = shared
        self.index = index
    }
}

private func startThread(_ start: ThreadStart) {
    var thread = pthread_t()
    let status = pthread_create(&thread, nil, threadMain, Unmanaged.passRetained(start).toOpaque())
    precondition(status == 0, "the system refused a compute thread: error \(status)")
    pthread_detach(thread)
}

private func threadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
    start.shared.work(as: start.index)
    return nil
}

internal import CKernels
import Foundation
import Synchronization

/// A fixed set of compute threads that works on one task at a time.
///
/// `run` calls its body once on every thread, the caller's included, and returns when all have returned.
/// Callers on different threads (several jobs) take turns: each task has all threads to itself, so that
/// jobs never fight for cores. Between tasks the threads spin for about a tenth of a millisecond and then
/// sleep. A body must not call `run` of its own team.
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
            withoutActuallyEscaping(body) { body in
                shared.publish(body)
                body(0)
                shared.waitForOthers()
            }
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

/// What the threads share. `task` is written only between tasks, under `sleepLock`, by the thread that has the turn;
/// the store to `generation` publishes it.
private final class Shared: @unchecked Sendable {
    let threads: Int
    var task: ((Int) -> Void)?
    let generation = Atomic<Int>(0)
    let busy = Atomic<Int>(0)
    let arrived = Atomic<Int>(0)
    let barrierGeneration = Atomic<Int>(0)
    let sleepLock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init(threads: Int) {
        self.threads = threads
        pthread_mutex_init(sleepLock, nil)
        pthread_cond_init(wake, nil)
    }

    deinit {
        pthread_cond_destroy(wake)
        pthread_mutex_destroy(sleepLock)
        wake.deallocate()
        sleepLock.deallocate()
    }

    /// Hands `task` to the waiting threads; nil tells them to end.
    func publish(_ task: ((Int) -> Void)?) {
        self.task = task
        busy.store(threads - 1, ordering: .relaxed)
        pthread_mutex_lock(sleepLock)
        generation.wrappingAdd(1, ordering: .releasing)
        pthread_cond_broadcast(wake)
        pthread_mutex_unlock(sleepLock)
    }

    func waitForOthers() {
        var spins = 0
        while busy.load(ordering: .acquiring) > 0 { pause(&spins) }
        task = nil
    }

    func barrier() {
        let generation = barrierGeneration.load(ordering: .acquiring)
        if arrived.wrappingAdd(1, ordering: .acquiringAndReleasing).newValue == threads {
            arrived.store(0, ordering: .relaxed)
            barrierGeneration.wrappingAdd(1, ordering: .releasing)
        } else {
            var spins = 0
            while barrierGeneration.load(ordering: .acquiring) == generation { pause(&spins) }
        }
    }

    /// What threads `1 ..< threads` do for the team's life.
    func work(as index: Int) {
        var seen = 0
        while true {
            seen = nextGeneration(after: seen)
            guard perform(as: index) else { return }
            busy.wrappingSubtract(1, ordering: .releasing)
        }
    }

    /// A function of its own, never inlined, so that no reference to the task is held once it returns: the task is a
    /// closure that may not outlive `run`.
    @inline(never) private func perform(as index: Int) -> Bool {
        guard let task else { return false }
        task(index)
        return true
    }

    private func nextGeneration(after seen: Int) -> Int {
        for _ in 0..<20_000 {
            let now = generation.load(ordering: .acquiring)
            if now != seen { return now }
            ck_pause()
        }
        pthread_mutex_lock(sleepLock)
        while generation.load(ordering: .acquiring) == seen { pthread_cond_wait(wake, sleepLock) }
        pthread_mutex_unlock(sleepLock)
        return generation.load(ordering: .acquiring)
    }

    /// Spins at first, then lets others have the core: a thread of the team may have been descheduled.
    private func pause(_ spins: inout Int) {
        spins += 1
        if spins < 4_000 { ck_pause() } else { sched_yield() }
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

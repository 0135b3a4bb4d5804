import Foundation
import HTTPDaemon
import Synchronization

/// Threads for answers that need a child process, and the order in which callers get them.
///
/// A caller has at most half of the threads and one import of DICOM at a time, and a kind of work leaves one thread to
/// the others: nobody's work, however long it takes, keeps all of another's out. Who has least work under way goes first,
/// then who has waited longest. Waiting costs no thread.
package final class Places: Sendable {
    /// What a child is to do.
    enum Kind: CaseIterable, Sendable {
        case judging, importing, scoring, drawing, cutting, converting
    }

    /// Why work is not done now.
    enum Refusal: Error, Equatable {
        /// The caller has as much under way, or has waited for it, as it may.
        case ownShare
        /// Others' work takes all places.
        case busy
        /// The service ends.
        case stopping
    }

    private struct Entry {
        let kind: Kind
        let caller: String
        let until: ContinuousClock.Instant
        let reply: Reply
        let answer: @Sendable (Refusal?) -> Response
    }

    private struct State {
        /// In the order they came.
        var waiting: [Entry] = []
        var running: [(kind: Kind, caller: String)] = []
        var isEnding = false

        func running(for caller: String) -> Int { running.count { $0.caller == caller } }
    }

    /// The most requests of one caller that wait, and of all.
    static let waitingLimits = (caller: 64, all: 512)

    private let state = Mutex(State())
    private let bell = DispatchSemaphore(value: 0)
    private let clock = DispatchSemaphore(value: 0)
    private let threads: Int
    private let patience: Duration

    /// - Parameters:
    ///   - threads: how many, at least 3.
    ///   - patience: how long work waits for a place before it is refused.
    package init(threads: Int, patience: Duration = .seconds(60)) {
        precondition(threads >= 3, "\(threads) threads cannot be shared out")
        self.threads = threads
        self.patience = patience
        for _ in 0..<threads { start("http-work") { $0.work() } }
        start("http-patience") { $0.refuseTheLate() }
    }

    /// The most places of one caller.
    var share: Int { threads / 2 }

    /// Whether one more request of the caller could wait.
    func hasRoom(for caller: String) -> Bool { state.withLock { Self.hasRoom(for: caller, in: $0) } }

    /// Has `answer` made on a thread of these when it is the caller's turn.
    ///
    /// - Parameters:
    ///   - reply: gets the answer; work whose client has left is dropped.
    ///   - answer: makes it; given a refusal, it only says so, and must not take long.
    func run(
        _ kind: Kind, for caller: String, reply: Reply, answer: @escaping @Sendable (Refusal?) -> Response
    ) {
        let entry = Entry(kind: kind, caller: caller, until: .now + patience, reply: reply, answer: answer)
        let refusal: Refusal? = state.withLock { state in
            guard !state.isEnding else { return .stopping }
            guard Self.hasRoom(for: caller, in: state) else {
                return state.waiting.count < Self.waitingLimits.all ? .ownShare : .busy
            }
            state.waiting.append(entry)
            return nil
        }
        if let refusal { return reply.send(answer(refusal)) }
        bell.signal()
        clock.signal()
    }

    /// Refuses what waits, and everything from now on; the threads end with what they do.
    package func end() {
        let waiting = state.withLock { state in
            defer { (state.waiting, state.isEnding) = ([], true) }
            return state.waiting
        }
        for entry in waiting { entry.reply.send(entry.answer(.stopping)) }
        for _ in 0..<threads { bell.signal() }
        clock.signal()
    }

    private static func hasRoom(for caller: String, in state: State) -> Bool {
        state.waiting.count < waitingLimits.all
            && state.waiting.count { $0.caller == caller } < waitingLimits.caller
    }

    private func start(_ name: String, _ body: @escaping @Sendable (Places) -> Void) {
        let thread = Thread { [self] in body(self) }
        thread.name = name
        thread.start()
    }

    private func work() {
        while true {
            bell.wait()
            while let entry = take() {
                if entry.reply.begin() { entry.reply.send(entry.answer(nil)) }
                leave(entry)
            }
            if state.withLock({ $0.isEnding }) { return }
        }
    }

    /// The next that may run, if there is one; it counts as running.
    private func take() -> Entry? {
        state.withLock { state in
            let next = state.waiting.indices.filter { mayRun(state.waiting[$0], in: state) }
                .min { state.running(for: state.waiting[$0].caller) < state.running(for: state.waiting[$1].caller) }
            guard let next else { return nil }
            let entry = state.waiting.remove(at: next)
            state.running.append((entry.kind, entry.caller))
            return entry
        }
    }

    private func mayRun(_ entry: Entry, in state: State) -> Bool {
        let own = state.running.filter { $0.caller == entry.caller }
        let isSecondImport = entry.kind == .importing && own.contains { $0.kind == .importing }
        let ofKind = state.running.count { $0.kind == entry.kind }
        return own.count < share && !isSecondImport && ofKind < threads - 1
    }

    private func leave(_ entry: Entry) {
        state.withLock { state in
            let index = state.running.firstIndex { $0 == (entry.kind, entry.caller) }
            if let index { state.running.remove(at: index) }
        }
        // Its end may make room for two: in its kind, and in its caller's share.
        bell.signal()
    }

    /// Twice a second, while someone waits: refuses what has waited too long, and drops what nobody waits for any more.
    private func refuseTheLate() {
        while true {
            let (late, mustWatch, isEnding) = state.withLock { state in
                let now = ContinuousClock.now
                var late: [(entry: Entry, refusal: Refusal)] = []
                state.waiting.removeAll { entry in
                    guard entry.until <= now || !entry.reply.isAwaited else { return false }
                    let hasOwn = state.running.contains { $0.caller == entry.caller }
                    late.append((entry, hasOwn ? .ownShare : .busy))
                    return true
                }
                return (late, !state.waiting.isEmpty, state.isEnding)
            }
            for (entry, refusal) in late where entry.reply.isAwaited { entry.reply.send(entry.answer(refusal)) }
            if isEnding { return }
            if mustWatch { _ = clock.wait(timeout: .now() + 0.5) } else { clock.wait() }
        }
    }
}

extension Places.Refusal {
    /// What the client is answered.
    ///
    /// - Parameter share: the most places of one caller.
    func problem(share: Int) -> Problem {
        switch self {
        case .ownShare:
            Problem(
                429, "share_used",
                """
                The server works on at most \(share) uploads, scores and pictures of one token at once, on one of DICOM, and \
                yours are under way or waiting. Send it again when one of them has been answered.
                """, headers: [("Retry-After", "5")])
        case .busy:
            Problem(
                503, "busy", "The server is busy with the requests of others. Send it again.",
                headers: [("Retry-After", "10")])
        case .stopping:
            Problem(
                503, "stopping", "The server is stopping. Send the request again in a minute.",
                headers: [("Retry-After", "60")])
        }
    }
}

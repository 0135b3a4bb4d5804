import Foundation
import Logging
import Synchronization

/// One request and its answer. Knows the rules of their life and nothing of libmicrohttpd, which is told by the
/// returned ``Action`` what to do next.
///
/// libmicrohttpd's thread calls all but ``deliver(_:)`` and ``isPromised(_:)``, which a handler thread calls,
/// ``abandon(_:)`` and ``clientLeft()``.
final class Exchange: Sendable {
    /// What the caller has to do.
    enum Action {
        /// Nothing: more of the request is to come, or the answer is being made.
        case goOn
        /// Queue this response.
        case send(PreparedResponse)
        /// Write these bytes to the socket, send no more, and throw away what the client still sends: an answer
        /// before the body is over. libmicrohttpd takes none in the middle of a body, and after one at the beginning
        /// it closes the socket with bytes unread, at which the kernel resets the connection and the client loses it.
        case sendAndDrain([UInt8])
        /// End the connection.
        case close
    }

    /// The target as it came, percent-encoded.
    let target: [UInt8]

    private let started = ContinuousClock.now
    private let state = Mutex(State())

    private struct State {
        var phase = Phase.head
        var head: CheckedHead?
        var receiver: BodyReceiver?
        var meter: BodyMeter?
        /// Makes the answer of the whole request.
        /// Who asks, and what answers.
        var caller = ""
        var handler: (@Sendable (Request) -> Answer)?
        var status = 0
        var sentBytes = 0
    }

    private enum Phase {
        case head
        case body
        case answering(resume: @Sendable () -> Void, isPromised: Bool)
        /// The client went while its answer was waited for.
        case left
        case answered(PreparedResponse)
        case sent
        case draining
    }

    init(target: [UInt8]) { self.target = target }

    var isAwaitingHead: Bool {
        state.withLock { state in
            if case .head = state.phase { return true }
            return false
        }
    }

    var awaitsAnswer: Bool {
        state.withLock { state in
            if case .answering = state.phase { return true }
            return false
        }
    }

    /// The head is complete.
    func headArrived(_ result: Result<CheckedHead, Refusal>, core: DaemonCore) -> Action {
        let checked: CheckedHead
        switch result {
        case .success(let head): checked = head
        case .failure(let refusal):
            let response = PreparedResponse(refusal.response, id: RequestID.accept(nil), logger: core.logger)
            return state.withLock { state in Self.answerEarly(response, &state, core) }
        }
        let plan = core.isStopping ? .refuse(Refusal.stopping.response) : core.plan(checked.head)
        return state.withLock { state in
            state.head = checked
            let body: BodyPlan
            switch plan {
            case .refuse(let response):
                let prepared = PreparedResponse(response, id: checked.head.id, logger: core.logger)
                guard checked.framing == .none else { return Self.answerEarly(prepared, &state, core) }
                state.phase = .answered(prepared)
                return .goOn
            case .accept(let plan, let caller, let answer): (body, state.caller, state.handler) = (plan, caller, answer)
            }
            if case .files(_, _, let meter) = body { state.meter = meter }
            var declared: Int?
            if case .length(let bytes) = checked.framing { declared = bytes }
            do throws(BodyError) {
                if checked.framing != .none {
                    state.receiver = try BodyReceiver(
                        plan: body, head: checked.head, declared: declared,
                        limits: PartLimits(parts: core.settings.partLimit, fields: core.settings.fieldLimit),
                        write: core.write)
                }
                state.phase = .body
                return .goOn
            } catch {
                return Self.answerEarly(core.prepare(error, id: checked.head.id), &state, core)
            }
        }
    }

    /// Some bytes of the body are here.
    func bodyArrived(_ bytes: UnsafeRawBufferPointer, core: DaemonCore) -> Action {
        state.withLock { state in
            guard case .body = state.phase, let id = state.head?.head.id else { return .goOn }
            if let refusal = state.meter?.take(bytes.count) {
                return Self.answerEarly(PreparedResponse(refusal, id: id, logger: core.logger), &state, core)
            }
            do throws(BodyError) {
                try state.receiver?.feed(bytes)
                return .goOn
            } catch {
                return Self.answerEarly(core.prepare(error, id: id), &state, core)
            }
        }
    }

    /// Nothing more of the body can be read.
    func refuseBody(_ refusal: Refusal, core: DaemonCore) -> Action {
        state.withLock { state in
            guard case .body = state.phase, let id = state.head?.head.id else { return .goOn }
            return Self.answerEarly(PreparedResponse(refusal.response, id: id, logger: core.logger), &state, core)
        }
    }

    /// The request is complete, or its answer is there. `suspend` is called before a handler can call `resume`.
    func isComplete(core: DaemonCore, suspend: () -> Void, resume: @escaping @Sendable () -> Void) -> Action {
        state.withLock { state in
            switch state.phase {
            case .body:
                guard let head = state.head?.head, let handler = state.handler, !core.isClosing else { return .close }
                do throws(BodyError) {
                    let body = try state.receiver?.finish() ?? .none
                    let files = state.receiver?.abandon() ?? []
                    suspend()
                    state.phase = .answering(resume: resume, isPromised: false)
                    core.answer(
                        Request(head: head, body: body), of: state.caller, by: handler, files: files, in: self)
                    return .goOn
                } catch {
                    return Self.send(core.prepare(error, id: head.id), &state)
                }
            case .answered(let response): return Self.send(response, &state)
            case .head, .answering, .left, .sent, .draining: return .close
            }
        }
    }

    /// Gives the handler's answer.
    func deliver(_ response: PreparedResponse) {
        state.withLock { state in
            guard case .answering(let resume, _) = state.phase else { return response.discard() }
            state.phase = .answered(response)
            resume()
        }
    }

    /// No thread works on the answer, as it comes when something has happened; or one does now. False where nobody waits
    /// for it any more.
    @discardableResult func isPromised(_ isPromised: Bool) -> Bool {
        state.withLock { state in
            guard case .answering(let resume, _) = state.phase else { return false }
            state.phase = .answering(resume: resume, isPromised: isPromised)
            return true
        }
    }

    /// The client has closed its side. If its answer is only promised, the request ends; an answer that a thread works
    /// on is finished, as what it does should have its end.
    func clientLeft() {
        state.withLock { state in
            guard case .answering(let resume, isPromised: true) = state.phase else { return }
            state.phase = .left
            resume()
        }
    }

    /// Answers in the place of a handler that takes too long; a request that is not with a handler is left alone.
    func abandon(core: DaemonCore) {
        let id = state.withLock { $0.head?.head.id }
        deliver(PreparedResponse(Refusal.stopping.response, id: id ?? "-", logger: core.logger))
    }

    /// Request and answer are over, well or not: frees what is left and writes the access log.
    ///
    /// - Parameters:
    ///   - ending: why it ended early; nil if it did not.
    ///   - daemonStatus: the status of an answer that libmicrohttpd gave by itself, or 0.
    func end(ending: String?, daemonStatus: Int, core: DaemonCore) {
        let (files, summary) = state.withLock { state in
            if case .answered(let response) = state.phase { response.discard() }
            var ending = ending
            if case .draining = state.phase { ending = nil }
            if case .left = state.phase { ending = "client gone" }
            let files = state.receiver?.abandon() ?? []
            state.meter?.end()
            state.meter = nil
            let head = state.head
            let method = head.map { $0.isHead ? "HEAD" : $0.head.method } ?? "-"
            let path = (head.map { core.loggedPath($0.head) } ?? "-").prefix(200)
            let status = state.status == 0 ? daemonStatus : state.status
            let milliseconds = Int((ContinuousClock.now - started) / .milliseconds(1))
            var summary: Logger.Metadata = [
                "method": "\(method)", "path": "\(path)", "status": .stringConvertible(status),
                "ms": .stringConvertible(milliseconds),
                "received_bytes": .stringConvertible(state.receiver?.received ?? 0),
                "sent_bytes": .stringConvertible(state.sentBytes),
                "request": "\(head?.head.id ?? "-")", "peer": "\(head?.head.peerAddress ?? "-")",
            ]
            if let ending { summary["ended"] = "\(ending)" }
            return (files, summary)
        }
        core.remove(files)
        core.logger.info("request", metadata: summary)
    }

    private static func send(_ response: PreparedResponse, _ state: inout State) -> Action {
        state.phase = .sent
        state.status = response.status
        state.sentBytes = state.head?.isHead == true ? 0 : response.bytes
        return .send(response)
    }

    private static func answerEarly(
        _ response: PreparedResponse, _ state: inout State, _ core: DaemonCore
    ) -> Action {
        var isFirst = false
        if case .head = state.phase { isFirst = true }
        core.remove(state.receiver?.abandon() ?? [])
        let action = send(response, &state)
        // A client that waits for "100 Continue" sends no body after another answer: there is nothing to drain.
        let clientWaits = isFirst && state.head?.expectsContinue == true
        guard !clientWaits, let bytes = response.wireBytes(withBody: state.head?.isHead != true) else { return action }
        state.phase = .draining
        return .sendAndDrain(bytes)
    }
}

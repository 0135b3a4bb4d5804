import Foundation
import Logging
import Synchronization

/// What a daemon serves: the closures that ``HTTPDaemon/init(settings:logger:isVital:isExempt:loggedPath:plan:)`` describes.
struct Application: Sendable {
    var isVital: @Sendable (RequestHead) -> Bool = { _ in false }
    var isExempt: @Sendable (String) -> Bool = { _ in false }
    var loggedPath: @Sendable (RequestHead) -> String = { $0.path }
    let plan: @Sendable (RequestHead) -> RequestPlan
}

/// What every request of a daemon shares.
final class DaemonCore: Sendable {
    let settings: DaemonSettings
    let logger: Logger
    let plan: @Sendable (RequestHead) -> RequestPlan
    let loggedPath: @Sendable (RequestHead) -> String
    let write: UploadFile.Write
    let watch: ConnectionWatch
    let handlers: HandlerThreads
    /// For requests that are answered whatever else goes on.
    let vitalHandlers: HandlerThreads
    /// Removes many files.
    let sweepers: HandlerThreads

    /// How long a client may go on sending a body that was answered already.
    let drainTime = Duration.seconds(5)

    private let isVital: @Sendable (RequestHead) -> Bool
    private let state = Mutex(State())

    private struct State {
        var isStopping = false
        var isClosing = false
        var running: [ObjectIdentifier: Exchange] = [:]
    }

    init(
        settings: DaemonSettings, connectionLimit: Int, logger: Logger, write: @escaping UploadFile.Write,
        application: Application
    ) {
        self.settings = settings
        self.logger = logger
        self.write = write
        plan = application.plan
        loggedPath = application.loggedPath
        isVital = application.isVital
        watch = ConnectionWatch(
            limit: connectionLimit, limitByAddress: settings.connectionsPerAddressLimit,
            isExempt: application.isExempt, logger: logger,
            uploadMinimum: settings.uploadMinimumBytesPerSecond, uploadWindow: .seconds(settings.uploadWindowSeconds))
        handlers = HandlerThreads(count: settings.handlerThreads)
        vitalHandlers = HandlerThreads(count: 2)
        sweepers = HandlerThreads(count: 1)
    }

    var isStopping: Bool { state.withLock { $0.isStopping } }

    /// Requests whose last byte has not been answered.
    var running: [Exchange] { state.withLock { Array($0.running.values) } }

    func began(_ exchange: Exchange) { state.withLock { $0.running[ObjectIdentifier(exchange)] = exchange } }

    func ended(_ exchange: Exchange) {
        _ = state.withLock { $0.running.removeValue(forKey: ObjectIdentifier(exchange)) }
    }

    /// From now on new requests are answered 503.
    func beginStopping() { state.withLock { $0.isStopping = true } }

    /// From now on no request comes to a handler.
    func beginClosing() { state.withLock { $0.isClosing = true } }

    var isClosing: Bool { state.withLock { $0.isClosing } }

    /// Ends the threads; handlers that still run end when they return.
    func endThreads() {
        watch.end()
        handlers.end()
        vitalHandlers.end()
        sweepers.end()
    }

    /// Runs the handler on a thread of its own; what the answer has left of the request's files is removed.
    ///
    /// - Parameter caller: who asks, for ``HandlerThreads/run(for:_:)``.
    func answer(
        _ request: Request, of caller: String, by handler: @escaping @Sendable (Request) -> Answer, files: [URL],
        in exchange: Exchange
    ) {
        (isVital(request.head) ? vitalHandlers : handlers).run(for: caller) { [self] in
            // A stop may have answered it while it waited for a thread: then nothing must be done for it any more.
            switch exchange.awaitsAnswer ? handler(request) : .now(Refusal.stopping.response) {
            case .now(let answer):
                var response = PreparedResponse(answer, id: request.head.id, logger: logger)
                response.select(by: request.head.headers)
                for file in files { UploadFile.remove(file) }
                exchange.deliver(response)
            case .later(let begin):
                exchange.isPromised(true)
                let leftovers = Leftovers(files)
                begin(
                    Reply(isAwaited: { exchange.awaitsAnswer }, isTaken: { exchange.isPromised(false) }) {
                        [logger] answer in
                        var response = PreparedResponse(answer, id: request.head.id, logger: logger)
                        response.select(by: request.head.headers)
                        leftovers.remove()
                        exchange.deliver(response)
                    })
            }
        }
    }

    /// Removes what a body has left. Thousands of files take seconds, in which a thread that serves sockets would serve nobody.
    func remove(_ files: [URL]) {
        let sweep: @Sendable () -> Void = { for file in files { UploadFile.remove(file) } }
        if files.count > Self.filesAtOnce, !isClosing { sweepers.run(sweep) } else { sweep() }
    }

    private static let filesAtOnce = 16

    /// The answer to a body that cannot be taken; where that is our fault, the log says why.
    func prepare(_ error: BodyError, id: String) -> PreparedResponse {
        switch error {
        case .diskFull: logger.error("no room for a body", metadata: ["request": "\(id)"])
        case .disk(let code):
            let reason = String(cString: strerror(code))
            logger.error("body not kept", metadata: ["reason": "\(reason)", "request": "\(id)"])
        case .tooLarge, .tooManyParts, .tooManyFields, .multipart: break
        }
        return PreparedResponse(error.refusal.response, id: id, logger: logger)
    }
}

/// The files of a request whose answer is promised: they go with the answer, or with the promise.
private final class Leftovers: Sendable {
    private let files: Mutex<[URL]>

    init(_ files: [URL]) { self.files = Mutex(files) }

    deinit { remove() }

    func remove() {
        let files = files.withLock { files in
            defer { files = [] }
            return files
        }
        for file in files { UploadFile.remove(file) }
    }
}

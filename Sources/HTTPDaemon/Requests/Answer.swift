import Synchronization

/// What the application makes of a request: a response, or the promise of one.
public enum Answer: Sendable {
    /// The response.
    case now(Response)
    /// Called at once with what the response is given to later, from any thread: no thread waits meanwhile. The request's
    /// files stay until then.
    case later(@Sendable (Reply) -> Void)
}

/// Takes the response of one request, once. A reply that is let go without one answers 500, if a client still waits.
public final class Reply: Sendable {
    private let deliver: Mutex<(@Sendable (Response) -> Void)?>
    private let awaited: @Sendable () -> Bool
    private let taken: @Sendable () -> Bool

    /// A reply that hands its response to `deliver`.
    ///
    /// - Parameters:
    ///   - isAwaited: whether a client still waits for it.
    ///   - isTaken: called by ``begin()``, whose result it gives.
    public init(
        isAwaited: @escaping @Sendable () -> Bool, isTaken: @escaping @Sendable () -> Bool = { true },
        _ deliver: @escaping @Sendable (Response) -> Void
    ) {
        awaited = isAwaited
        taken = isTaken
        self.deliver = Mutex(deliver)
    }

    /// Whether the client is still there; what it waited for need not be kept in mind otherwise.
    public var isAwaited: Bool { awaited() }

    /// Says that a thread works on the response from now on: a client that only stops sending is then answered all the
    /// same. False where no client waits any more, and the work need not be done.
    public func begin() -> Bool { taken() }

    /// A reply whose response goes through `change` before it is this one's.
    public func changed(by change: @escaping @Sendable (Response) -> Response) -> Reply {
        Reply(isAwaited: { self.isAwaited }, isTaken: { self.begin() }, { self.send(change($0)) })
    }

    deinit { if isAwaited { send(.internalError) } }

    /// Answers the request; a second response is dropped.
    public func send(_ response: Response) {
        let deliver = deliver.withLock { deliver in
            defer { deliver = nil }
            return deliver
        }
        deliver?(response)
    }
}

import Synchronization

/// What the application makes of a request: a response, or the promise of one.
public enum Answer: Sendable {
    /// The response.
    case now(Response)
    /// Called at once with what the response is given to later, from any thread: no thread waits meanwhile.
    case later(@Sendable (Reply) -> Void)
}

/// Takes the response of one request, once. A reply that is let go without one answers 500, if a client still waits.
public final class Reply: Sendable {
    private let deliver: Mutex<(@Sendable (Response) -> Void)?>
    private let awaited: @Sendable () -> Bool

    /// A reply that hands its response to `deliver`.
    ///
    /// - Parameter isAwaited: whether a client still waits for it.
    public init(isAwaited: @escaping @Sendable () -> Bool, _ deliver: @escaping @Sendable (Response) -> Void) {
        awaited = isAwaited
        self.deliver = Mutex(deliver)
    }

    /// Whether the client is still there; what it waited for need not be kept in mind otherwise.
    public var isAwaited: Bool { awaited() }

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

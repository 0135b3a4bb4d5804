import Synchronization

/// What the application makes of a request: a response, or the promise of one.
public enum Answer: Sendable {
    /// The response.
    case now(Response)
    /// Called at once with what the response is given to later, from any thread: no thread waits meanwhile.
    case later(@Sendable (Reply) -> Void)
}

/// Takes the response of one request, once. A reply that is let go without one answers 500.
public final class Reply: Sendable {
    private let deliver: Mutex<(@Sendable (Response) -> Void)?>

    /// A reply that hands its response to `deliver`.
    public init(_ deliver: @escaping @Sendable (Response) -> Void) {
        self.deliver = Mutex(deliver)
    }

    deinit { send(.internalError) }

    /// Answers the request; a second response is dropped.
    public func send(_ response: Response) {
        let deliver = deliver.withLock { deliver in
            defer { deliver = nil }
            return deliver
        }
        deliver?(response)
    }
}

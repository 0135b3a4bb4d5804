public import Logging
import Synchronization

/// The tokens in force: what the file holds, read again when it has changed.
///
/// The file is looked at when a token is asked for, at most once a second. A file that became unreadable or broken
/// changes nothing: the tokens read last stay in force, the log says why, and ``problem`` does until it is mended.
public final class TokenWatch: Sendable {
    private struct State {
        var book: TokenBook
        var stamp: TokenFile.Stamp?
        var nextLook: ContinuousClock.Instant
        var problem: TokenFileError?
    }

    private let file: TokenFile
    private let logger: Logger
    private let state: Mutex<State>

    /// Reads the file.
    ///
    /// - Parameter logger: told when tokens were read again, or could not be.
    /// - Throws: ``TokenFileError``: there is nothing to fall back to.
    public convenience init(_ file: TokenFile, logger: Logger) throws(TokenFileError) {
        try self.init(file, logger: logger, at: .now)
    }

    init(_ file: TokenFile, logger: Logger, at now: ContinuousClock.Instant) throws(TokenFileError) {
        let (book, stamp) = try file.read()
        self.file = file
        self.logger = logger
        state = Mutex(State(book: book, stamp: stamp, nextLook: now + Self.interval, problem: nil))
    }

    /// The tokens in force. Quick: once a second it asks the file system, and reads a file that has changed.
    public func book() -> TokenBook { book(at: .now) }

    /// Why the file cannot be read now, for `/readyz`; nil while all is well.
    public var problem: TokenFileError? { state.withLock { $0.problem } }

    private static let interval = Duration.seconds(1)

    func book(at now: ContinuousClock.Instant) -> TokenBook {
        state.withLock { state in
            guard now >= state.nextLook else { return state.book }
            state.nextLook = now + Self.interval
            let stamp = file.stamp()
            guard stamp != state.stamp else { return state.book }
            do throws(TokenFileError) {
                (state.book, state.stamp) = try file.read()
                state.problem = nil
                logger.notice("tokens read again", metadata: ["tokens": .stringConvertible(state.book.entries.count)])
            } catch {
                // The stamp of what failed: the same broken file is told of once.
                state.stamp = stamp
                state.problem = error
                logger.error("tokens cannot be read; the last ones stay", metadata: ["reason": "\(error)"])
            }
            return state.book
        }
    }
}

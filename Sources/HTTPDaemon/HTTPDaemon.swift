import Foundation
public import Logging
import Synchronization

/// A small HTTP/1.1 server for one application.
///
/// For each request the application is asked once, when the head is there: its plan says what to do with the body, and what
/// makes the response when the body is there too. So what was found out from the head need not be found again. Heads, lengths, bodies on disk, slow and vanished clients
/// are the daemon's care, so that the answer's maker sees whole and well-formed requests only. There is no TLS: a proxy in front
/// does that.
///
/// Sockets are served by few threads with epoll. Clients that wait, send or read cost none; answers are made on
/// ``DaemonSettings/handlerThreads`` threads and may block.
///
/// What libmicrohttpd cannot read at all (a request line or a length that is none, a head too long, another major
/// version) it answers itself, with a short HTML page and status 400, 413, 414, 431 or 505, or by closing. A client
/// that closes its sending side before it has its answer is taken for gone.
public final class HTTPDaemon: Sendable {
    /// The TCP port in use.
    public let port: Int
    /// Open connections that are served at once: the setting, or less where the process may not open so many files.
    public let connectionLimit: Int

    let core: DaemonCore

    private let server: Microhttpd
    private let acceptor: Acceptor
    private let isStopped = Mutex(false)

    /// Listens and serves from now on.
    ///
    /// - Parameters:
    ///   - settings: see ``DaemonSettings``.
    ///   - logger: gets one line for each request at level info: method, path, status, bytes, milliseconds, request
    ///     id; never a query, a header or the name of a file.
    ///   - isVital: whether a request is one that must be answered whatever else goes on, as of the server's health: two
    ///     threads answer nothing else. It must cost little.
    ///   - isExempt: whether ``DaemonSettings/connectionsPerAddressLimit`` does not count for an address, as of a proxy.
    ///   - loggedPath: what the log tells of a request's path.
    ///   - plan: asked when a head has come, before any of the body; runs on a thread that serves sockets, so it must
    ///     not block.
    /// - Throws: ``DaemonError``: a setting out of range, an unknown host, a port in use.
    public convenience init(
        settings: DaemonSettings, logger: Logger, isVital: @escaping @Sendable (RequestHead) -> Bool = { _ in false },
        isExempt: @escaping @Sendable (String) -> Bool = { _ in false },
        loggedPath: @escaping @Sendable (RequestHead) -> String = { $0.path },
        plan: @escaping @Sendable (RequestHead) -> RequestPlan
    ) throws(DaemonError) {
        try self.init(
            settings: settings, logger: logger, write: { Glibc.write($0, $1.baseAddress, $1.count) },
            application: Application(isVital: isVital, isExempt: isExempt, loggedPath: loggedPath, plan: plan))
    }

    init(
        settings: DaemonSettings, logger: Logger, write: @escaping UploadFile.Write, application: Application
    ) throws(DaemonError) {
        try settings.check()
        connectionLimit = Self.connectionLimit(settings)
        if connectionLimit < settings.connectionLimit {
            logger.notice(
                "fewer connections than set: the process may not open more files",
                metadata: [
                    "connections": .stringConvertible(connectionLimit),
                    "set": .stringConvertible(settings.connectionLimit),
                ])
        }
        let socket = try ListenSocket(host: settings.host, port: settings.port)
        port = socket.port
        let core = DaemonCore(
            settings: settings, connectionLimit: connectionLimit, logger: logger, write: write,
            application: application)
        let server: Microhttpd
        do throws(DaemonError) {
            server = try Microhttpd(connectionLimit: connectionLimit, core: core)
        } catch {
            core.endThreads()
            throw error
        }
        (self.core, self.server) = (core, server)
        acceptor = Acceptor(socket: socket, watch: core.watch, logger: logger) { socket, address, length in
            server.serve(socket: socket, address: address, length: length)
        }
        logger.info("listening", metadata: ["host": "\(settings.host)", "port": .stringConvertible(port)])
    }

    deinit { stop() }

    /// Stops for good: refuses new clients at once, lets requests that are under way finish for at most
    /// ``DaemonSettings/stopSeconds``, answers the rest 503, and closes all connections. A handler that still runs then
    /// is left to itself, its answer is dropped. A second call waits for the first. Not to be called by a handler.
    public func stop() {
        isStopped.withLock { isStopped in
            guard !isStopped else { return }
            isStopped = true
            core.beginStopping()
            acceptor.end()
            waitUntilIdle(for: .seconds(core.settings.stopSeconds))
            for exchange in core.running { exchange.abandon(core: core) }
            waitUntilIdle(for: .seconds(1))
            // libmicrohttpd aborts the process if it is stopped while a request is suspended.
            core.beginClosing()
            for exchange in core.running { exchange.abandon(core: core) }
            server.stop()
            core.endThreads()
            core.logger.info("stopped listening", metadata: ["port": .stringConvertible(port)])
        }
    }

    /// Looks every few milliseconds: a stop is rare, and nothing else then waits.
    private func waitUntilIdle(for duration: Duration) {
        let end = ContinuousClock.now + duration
        while !core.running.isEmpty && ContinuousClock.now < end { usleep(5_000) }
    }

    /// A connection needs a descriptor, and another while it receives or sends a file; 64 are left to everything else.
    private static func connectionLimit(_ settings: DaemonSettings) -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return settings.connectionLimit
        }
        let files = Int(min(limit.rlim_cur, rlim_t(Int32.max)))
        return max(1, min(settings.connectionLimit, (files - 64) / 2))
    }
}

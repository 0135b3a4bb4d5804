import Foundation
import Logging
import Synchronization

/// Accepts clients on a thread of its own and hands their sockets on.
///
/// libmicrohttpd could do this itself, but its way to stop accepting while requests run races with its own threads and
/// then aborts the process (`MHD_quiesce_daemon` of 0.9.75 with a pool of epoll threads).
final class Acceptor: Sendable {
    /// The TCP port in use.
    let port: Int

    private let socket: Mutex<ListenSocket?>
    private let isEnding = Atomic<Bool>(false)
    private let hasEnded = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - watch: counts connections; at its limit clients wait in the kernel's queue.
    ///   - hand: gets a socket and its peer's address; false if it could not take it and has closed it.
    init(
        socket: consuming ListenSocket, watch: ConnectionWatch, logger: Logger,
        hand: @escaping @Sendable (Int32, UnsafePointer<sockaddr>, socklen_t) -> Bool
    ) {
        let descriptor = socket.descriptor
        port = socket.port
        self.socket = Mutex(consume socket)
        let thread = Thread { [self] in
            while !isEnding.load(ordering: .acquiring) {
                if watch.isFull {
                    usleep(20_000)
                    continue
                }
                var event = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
                guard poll(&event, 1, -1) > 0 else { continue }
                takeOne(from: descriptor, watch: watch, logger: logger, hand: hand)
            }
            hasEnded.signal()
        }
        thread.name = "http-accept"
        thread.start()
    }

    /// Refuses clients from now on; returns when no more socket will be handed on. To be called once.
    func end() {
        isEnding.store(true, ordering: .releasing)
        socket.withLock { socket in
            socket?.refuse()  // wakes the thread
            hasEnded.wait()
            socket = nil
        }
    }

    private func takeOne(
        from listener: Int32, watch: ConnectionWatch, logger: Logger,
        hand: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Bool
    ) {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        withUnsafeMutablePointer(to: &address) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                let client = accept(listener, address, &length)
                guard client >= 0 else {
                    if [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno) {
                        logger.error("no client accepted", metadata: ["reason": "\(String(cString: strerror(errno)))"])
                        usleep(100_000)
                    }
                    return
                }
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                let peer = NumericAddress(address, length: length).host
                guard watch.admit(peer) else {
                    close(client)
                    return
                }
                if !hand(client, address, length) { watch.forget(peer) }
            }
        }
    }
}

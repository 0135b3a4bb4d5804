import Foundation
import HTTPClient
import Logging
import Synchronization

/// Tells the service manager that started the process how it is: systemd, by sd_notify(3)'s datagrams.
final class ServiceManager: Sendable {
    private let address: String
    /// The time within which systemd has to hear that the process lives; nil if it does not listen for that.
    private let watchdog: Duration?

    private let isEnding = Atomic<Bool>(false)

    /// Seconds between two requests, well below those that the server gives a client to ask.
    private static let longestPause = 10.0

    /// Nil unless a service manager wants to be told.
    init?(environment: [String: String] = ProcessInfo.processInfo.environment) {
        guard let address = environment["NOTIFY_SOCKET"], let first = address.first, first == "/" || first == "@",
            address.utf8.count < MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        else { return nil }
        self.address = address
        // The variables may have come from a parent that was meant.
        let isMeant = environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
        watchdog = isMeant ? environment["WATCHDOG_USEC"].flatMap { Int($0) }.map { .microseconds($0) } : nil
    }

    /// Requests are answered from now on.
    func isReady() { send("READY=1\nMAINPID=\(getpid())") }

    /// The process is about to end.
    func isStopping() {
        isEnding.store(true, ordering: .releasing)
        send("STOPPING=1")
    }

    /// From now on tells that the process lives, but only after it has answered a request: what hangs is not kept alive by
    /// a thread that does not. It is asked at least four times in the time that systemd waits, and may take half of it to
    /// answer: scans that are judged just then occupy the threads that answer.
    ///
    /// The connection is kept, so that it is not refused when clients have taken all others; for that it is used before
    /// the server takes it for idle, or for a client that is slow to ask.
    ///
    /// - Parameter idleSeconds: after which the server closes a connection.
    func watch(host: String, port: Int, idleSeconds: Int, logger: Logger) {
        guard let watchdog, watchdog > .zero else { return }
        let seconds = watchdog / .seconds(1)
        let pause = min(seconds / 4, Double(idleSeconds) / 2, Self.longestPause)
        let thread = Thread { [self] in
            let connection = HTTPConnection(host: host, port: port, timeout: .seconds(max(1, seconds / 2)))
            while !isEnding.load(ordering: .acquiring) {
                let answer = connection.send(HTTPRequest(path: "/healthz"))
                if answer.status == 200, answer.fault == nil {
                    send("WATCHDOG=1")
                } else if !isEnding.load(ordering: .acquiring) {
                    let reason = answer.fault.map { "\($0)" } ?? "status \(answer.status)"
                    logger.warning("no answer to the watchdog", metadata: ["reason": "\(reason)"])
                }
                Thread.sleep(forTimeInterval: pause)
            }
        }
        thread.name = "watchdog"
        thread.start()
    }

    /// Sends one datagram. If nobody takes it, the service manager will act as if the process had said nothing.
    private func send(_ text: String) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var place = sockaddr_un()
        place.sun_family = sa_family_t(AF_UNIX)
        var name = Array(address.utf8)
        // "@" stands for the zero byte of a name that is not in the file system.
        if name[0] == UInt8(ascii: "@") { name[0] = 0 }
        withUnsafeMutableBytes(of: &place.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
        let bytes = Array(text.utf8)
        _ = withUnsafePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, length)
            }
        }
    }
}

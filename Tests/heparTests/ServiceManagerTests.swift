import Foundation
import Glibc
import HTTPClient
import Logging
import TestSupport
import Testing

@testable import hepar

/// What those who start the server ask and are told: `hepar health`, and systemd's notices.
@Suite(.serialized) struct ServiceManagerTests {
    @Test func healthAsksTheConfiguredServer() throws {
        try withTemporaryFolder { folder in
            let server = try ServerProcess(
                data: folder.appending(path: "data"), settings: ["HEPAR_HTTP_HOST": "127.0.0.1"])
            let port = try #require(server.url.split(separator: ":").last.map(String.init))
            let file = folder.appending(path: "hepar.yaml")
            try Data("http:\n  port: \(port)\n".utf8).write(to: file)
            for (arguments, environment) in [
                (["--config", file.path], [:]), ([], ["HEPAR_CONFIG": file.path]), ([], ["HEPAR_HTTP_PORT": port]),
                ([], ["HEPAR_HTTP_PORT": port, "HEPAR_HTTP_HOST": "localhost"]),
                (["--url", server.url], [:]), (["--url", "http://localhost:\(port)/"], [:]),
            ] {
                let healthy = try HeparProcess.run(
                    HeparProcess.executable, ["health"] + arguments, environment: environment)
                #expect(healthy.status == 0, "\(healthy.output)\(healthy.error)")
                #expect(healthy.output.contains("\"ready\"") && healthy.output.split(separator: "\n").count == 1)
            }
            server.end()
            let gone = try HeparProcess.run("health", "--url", server.url)
            #expect(gone.status == 1 && gone.output.contains("no connection could be made"), "\(gone.output)")
            #expect(try HeparProcess.run("health", "--url", "https://127.0.0.1").status == 2)
            #expect(try HeparProcess.run("health", "--url", "http://nobody.invalid:1").status == 1)
        }
    }

    /// A server that hangs is not healthy, and `hepar health` does not hang with it.
    @Test func healthDoesNotWaitForEver() throws {
        try withTemporaryFolder { folder in
            let server = try ServerProcess(data: folder.appending(path: "data"))
            kill(server.process.processIdentifier, SIGSTOP)
            let hung = try HeparProcess.run("health", "--url", server.url)
            #expect(hung.status == 1 && hung.output.contains("no answer in time"), "\(hung.output)")
        }
    }

    /// A socket in the file system, and one of Linux' abstract names.
    @Test(arguments: [true, false])
    func systemdIsTold(isAbstract: Bool) throws {
        try withTemporaryFolder { folder in
            let name = isAbstract ? "@hepar-test-\(UUID().uuidString)" : folder.appending(path: "notify").path
            let listener = try NoticeListener(name)
            let server = try ServerProcess(
                data: folder.appending(path: "data"),
                settings: ["NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1200000"])
            let first = try #require(listener.next(seconds: 10))
            #expect(first.contains("READY=1") && first.contains("MAINPID=\(server.process.processIdentifier)"))
            // A notice every 0.3 s.
            for _ in 0..<4 { #expect(listener.next(seconds: 1) == "WATCHDOG=1") }
            // What does not answer does not say that it lives.
            kill(server.process.processIdentifier, SIGSTOP)
            while listener.next(seconds: 0.1) != nil {}
            #expect(listener.next(seconds: 1.5) == nil)
            kill(server.process.processIdentifier, SIGCONT)
            #expect(listener.next(seconds: 2) == "WATCHDOG=1")
            kill(server.process.processIdentifier, SIGTERM)
            var last: String?
            while let notice = listener.next(seconds: 2), last != "STOPPING=1" { last = notice }
            #expect(last == "STOPPING=1")
            server.process.waitUntilExit()
            #expect(server.process.terminationStatus == 0)
        }
    }

    /// An open connection that asks nothing.
    private static func connect(to port: Int) throws -> Int32 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        try #require(isConnected)
        return descriptor
    }

    /// A crowd that takes all connections is no hang.
    @Test func theWatchdogIsHeardInACrowd() throws {
        try withTemporaryFolder { folder in
            let name = folder.appending(path: "notify").path
            let listener = try NoticeListener(name)
            let server = try ServerProcess(
                data: folder.appending(path: "data"),
                settings: [
                    "NOTIFY_SOCKET": name, "WATCHDOG_USEC": "2000000", "HEPAR_HTTP_CONNECTION_LIMIT": "8",
                    "HEPAR_HTTP_IDLE_TIMEOUT_SECONDS": "30",
                ])
            _ = listener.next(seconds: 10)
            #expect(listener.next(seconds: 2) == "WATCHDOG=1")
            let port = try #require(server.url.split(separator: ":").last.flatMap { Int($0) })
            let crowd = try (0..<20).map { _ in try Self.connect(to: port) }
            defer { for descriptor in crowd { close(descriptor) } }
            usleep(500_000)
            let late = HTTPConnection(host: "127.0.0.1", port: port, timeout: .seconds(2))
            #expect(late.send(HTTPRequest(path: "/healthz")).fault == .timeout)
            while listener.next(seconds: 0.01) != nil {}
            for _ in 0..<3 { #expect(listener.next(seconds: 1.5) == "WATCHDOG=1") }
        }
    }

    /// A server that takes connections and never answers does not live, though the thread of the watchdog does.
    @Test func theWatchdogIsSilentForWhatHangs() throws {
        try withTemporaryFolder { folder in
            let name = folder.appending(path: "notify").path
            let listener = try NoticeListener(name)
            let hung = TestReceiver()
            let manager = try #require(
                ServiceManager(environment: ["NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"]))
            manager.isReady()
            #expect(listener.next(seconds: 1)?.contains("READY=1") == true)
            manager.watch(
                host: "127.0.0.1", port: hung.port, idleSeconds: 60,
                logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
            #expect(listener.next(seconds: 2.5) == nil)
        }
    }

    @Test func whoeverDoesNotAskIsNotTold() {
        #expect(ServiceManager(environment: [:]) == nil)
        #expect(ServiceManager(environment: ["NOTIFY_SOCKET": "relative"]) == nil)
        #expect(ServiceManager(environment: ["NOTIFY_SOCKET": "/" + String(repeating: "x", count: 200)]) == nil)
    }

    /// Called by PATH, from a folder that has no model.
    @Test func theModelIsFoundBesideTheProgram() throws {
        try withTemporaryFolder { folder in
            let process = Process()
            process.executableURL = URL(filePath: "/bin/sh")
            process.arguments = ["-c", "exec hepar model info"]
            process.currentDirectoryURL = folder
            let place = HeparProcess.executable.deletingLastPathComponent().path
            process.environment = ["PATH": "\(place):/usr/bin:/bin"]
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            process.waitUntilExit()
            #expect(process.terminationStatus == 0 && text.contains("stage       liver"), "\(text)")
        }
    }
}

/// The other end of a `NOTIFY_SOCKET`.
private final class NoticeListener {
    private let descriptor: Int32

    struct Failed: Error { let code: Int32 }

    init(_ name: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(name.utf8)
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        guard bound == 0 else { throw Failed(code: errno) }
    }

    deinit { close(descriptor) }

    /// The next notice, or nil if none comes in time.
    func next(seconds: Double) -> String? {
        var event = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&event, 1, Int32(seconds * 1_000)) == 1 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}

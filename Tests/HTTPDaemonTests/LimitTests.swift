import Foundation
import Logging
import Testing

@testable import HTTPDaemon

/// Slow clients, many clients, bad settings and the end.
@Suite struct LimitTests {
    @Test func dropsIdleClients() async throws {
        let server = try TestServer(.forTests.with(\.idleTimeoutSeconds, 1))
        let closed = await onThread {
            let silent = server.client()
            let afterwards = server.client()
            afterwards.send(lines: "GET /hello HTTP/1.1\nHost: a\n\n")
            let halfway = server.client()
            halfway.send(lines: "POST /upload HTTP/1.1\nHost: a\nContent-Length: 1000\n\nabc")
            return [afterwards.answer()?.status == 200] + [silent, afterwards, halfway].map { $0.isClosed() }
        }
        #expect(closed == [true, true, true, true])
        #expect(eventually { server.filesLeft.isEmpty })
    }

    @Test func dropsAHeadThatTrickles() async throws {
        let server = try TestServer(.forTests.with(\.headTimeoutSeconds, 1))
        let isClosed = await onThread {
            let client = server.client()
            client.send(lines: "GET /hello HTTP/1.1\n")
            for _ in 0..<60 where client.send(lines: "X: y\n") { usleep(100_000) }
            return client.isClosed()
        }
        #expect(isClosed)
    }

    @Test func dropsABodyThatTrickles() async throws {
        let settings = DaemonSettings.forTests.with(\.uploadWindowSeconds, 1).with(\.uploadMinimumBytesPerSecond, 1_000)
        let server = try TestServer(settings)
        let (hasAnswer, isClosed) = await onThread {
            let client = server.client()
            client.send(lines: "POST /upload HTTP/1.1\nHost: a\nContent-Length: 1000\n\n")
            for _ in 0..<60 where client.send(lines: "x") { usleep(100_000) }
            return (client.answer() != nil, client.isClosed())
        }
        #expect(!hasAnswer)
        #expect(isClosed)
        #expect(eventually { server.filesLeft.isEmpty })
    }

    @Test func aSteadyBodyIsNotDropped() async throws {
        let settings = DaemonSettings.forTests.with(\.uploadWindowSeconds, 1).with(\.uploadMinimumBytesPerSecond, 1_000)
        let server = try TestServer(settings)
        let bytes = await onThread {
            let client = server.client()
            client.send(lines: "POST /upload HTTP/1.1\nHost: a\nContent-Length: 30000\n\n")
            for _ in 0..<30 {
                client.send(noise(1_000))
                usleep(100_000)
            }
            return client.answer()?.member("bytes")
        }
        #expect(bytes == "30000")
    }

    @Test func theHandlersTimeIsNotTheClients() async throws {
        let settings = DaemonSettings.forTests.with(\.idleTimeoutSeconds, 1).with(\.headTimeoutSeconds, 1)
        let server = try TestServer(settings)
        let text = await onThread {
            let client = server.client()
            client.send(lines: "GET /wait HTTP/1.1\nHost: a\n\n")
            usleep(3_500_000)
            server.gate.signal()
            return client.answer()?.text
        }
        #expect(text == "waited")
    }

    /// Needs 2,000 descriptors and more in this process.
    @Test(.enabled(if: openFileLimit() >= 3_000, "this process may not open 3,000 files"))
    func aThousandIdleClientsCostNoThread() throws {
        let server = try TestServer()
        let before = threadCount()
        let clients = (0..<1_000).map { _ in server.client() }
        for client in clients { client.send(lines: "GET /hello HTTP/1.1\nHost: a\n\n") }
        #expect(clients.allSatisfy { $0.answer()?.status == 200 })
        // Other tests start threads meanwhile, but not hundreds.
        #expect(threadCount() - before < 200)
        for client in clients.suffix(10) { client.send(lines: "GET /hello HTTP/1.1\nHost: a\n\n") }
        #expect(clients.suffix(10).allSatisfy { $0.answer()?.status == 200 })
    }

    @Test func moreClientsThanTheLimitWait() throws {
        let server = try TestServer(.forTests.with(\.connectionLimit, 2))
        let first = server.client()
        let others = (0..<3).map { _ in server.client() }
        for client in [first] + others { client.send(lines: "GET /hello HTTP/1.1\nHost: a\nConnection: close\n\n") }
        #expect(([first] + others).allSatisfy { $0.answer()?.status == 200 })
    }

    @Test func oneAddressMayHoldSoManyConnections() throws {
        let server = try TestServer(.forTests.with(\.connectionsPerAddressLimit, 2))
        let clients = (0..<2).map { _ in server.client() }
        for client in clients { client.send(lines: "GET /hello HTTP/1.1\nHost: a\n\n") }
        #expect(clients.allSatisfy { $0.answer()?.status == 200 })
        let third = server.client()
        #expect(third.isClosed())
        withExtendedLifetime(clients) {}
    }

    /// One address took all connections of a server, and nobody else was let in.
    @Test func othersAreServedWhileOneAddressHoldsAllThatItMay() throws {
        let server = try TestServer(.forTests.with(\.connectionsPerAddressLimit, 5).with(\.connectionLimit, 10))
        let idle = (0..<30).map { _ in TestClient(port: server.port, from: "127.0.0.66") }
        #expect(idle[5...].allSatisfy { $0.isClosed() })
        let client = server.client()
        client.send(lines: "GET /hello HTTP/1.1\nHost: a\n\n")
        #expect(client.answer()?.text == "hello")
        let warnings = server.log.lines.filter { $0.message.hasPrefix("connections refused") }
        #expect(warnings.count == 1 && warnings.first?.metadata["client"] == "127.0.0.66")
        withExtendedLifetime(idle) {}
    }

    /// All its clients come from its address.
    @Test func aProxyMayHoldMoreConnections() throws {
        let settings = DaemonSettings.forTests.with(\.connectionsPerAddressLimit, 1)
        let server = try TestServer(settings, isExempt: { $0 == "127.0.0.1" })
        let clients = (0..<3).map { _ in server.client() }
        for client in clients { client.send(lines: "GET /hello HTTP/1.1\nHost: a\n\n") }
        #expect(clients.allSatisfy { $0.answer()?.status == 200 })
    }

    @Test func anIPv6NetworkIsOneAddress() {
        #expect(ConnectionWatch.client(of: "2001:db8::1") == "2001:db8:0:0::/64")
        #expect(ConnectionWatch.client(of: "2001:db8::ffff:1") == "2001:db8:0:0::/64")
        #expect(ConnectionWatch.client(of: "2001:db8:0:1::1") == "2001:db8:0:1::/64")
        #expect(ConnectionWatch.client(of: "fe80::1%eth0") == "fe80:0:0:0::/64")
        for same in ["192.0.2.1", "unknown"] { #expect(ConnectionWatch.client(of: same) == same) }
    }

    @Test func whatIsVitalIsAnsweredWhileEveryHandlerIsBusy() throws {
        let server = try TestServer(.forTests.with(\.handlerThreads, 2))
        let busy = (0..<10).map { _ in server.client() }
        for client in busy { client.send(lines: "GET /wait HTTP/1.1\nHost: a\n\n") }
        #expect(eventually { server.handled.words.count == 2 })
        let client = server.client()
        for _ in 0..<3 {
            client.send(lines: "GET /vital HTTP/1.1\nHost: a\n\n")
            #expect(client.answer()?.text == "hello")
        }
        for _ in busy { server.gate.signal() }
        #expect(busy.allSatisfy { $0.answer()?.text == "waited" })
    }

    @Test func listensOnIPv6() throws {
        // Where the machine has no IPv6, the daemon says so.
        do {
            let daemon = try HTTPDaemon(
                settings: DaemonSettings(host: "::", port: 0), logger: .silent,
                plan: { head in
                    .accept(.none) { _ in .now(.data(200, Data(head.peerAddress.utf8), type: "text/plain")) }
                })
            let client = TestClient(port: daemon.port)
            client.send(lines: "GET / HTTP/1.1\nHost: a\n\n")
            #expect(client.answer()?.text == "127.0.0.1")
        } catch DaemonError.cannotListen {}
    }

    /// What keeps it from listening is told with what to change, and only that.
    @Test(arguments: [
        (EADDRINUSE, "Another program listens there"), (EACCES, "Ports below 1024"), (EADDRNOTAVAIL, "no such address"),
    ])
    func saysWhyItCannotListen(code: Int32, words: String) {
        let reason = ListenSocket.reason(code)
        #expect(reason.hasPrefix(String(cString: strerror(code))) && reason.contains(words))
        #expect(reason.contains("Another program") == (code == EADDRINUSE))
    }

    @Test func refusesToStart() throws {
        func start(_ settings: DaemonSettings) throws {
            _ = try HTTPDaemon(
                settings: settings, logger: .silent, plan: { _ in .accept(.none) { _ in .now(Response(status: 200)) } })
        }
        let server = try TestServer()
        #expect { try start(DaemonSettings(host: "127.0.0.1", port: server.port)) } throws: { error in
            if case .cannotListen(_, let port, _) = error as? DaemonError { return port == server.port }
            return false
        }
        #expect(throws: DaemonError.setting(name: "handlerThreads", value: 0, minimum: 1)) {
            try start(DaemonSettings().with(\.handlerThreads, 0))
        }
        #expect(throws: DaemonError.setting(name: "port", value: 65_536, minimum: 0)) {
            try start(DaemonSettings(host: "127.0.0.1", port: 65_536))
        }
        #expect { try start(DaemonSettings(host: "no.such.host.invalid", port: 0)) } throws: { error in
            if case .unknownHost = error as? DaemonError { return true }
            return false
        }
    }

    @Test func stoppingLetsAnAnswerFinish() throws {
        let server = try TestServer(.forTests.with(\.stopSeconds, 10))
        let client = server.client()
        client.send(lines: "GET /wait HTTP/1.1\nHost: a\n\n")
        let idle = server.client()
        idle.send(lines: "GET /hello HTTP/1.1\nHost: a\n\n")
        #expect(idle.answer()?.status == 200)
        #expect(eventually { server.handled.words.contains("/wait") })
        let done = Journal()
        let daemon = server.daemon
        Thread {
            daemon.stop()
            done.add("stopped")
        }.start()
        #expect(eventually { !TestClient(port: server.port).isConnected })
        idle.send(lines: "GET /hello HTTP/1.1\nHost: a\n\n")
        #expect(idle.answer()?.status == 503)
        #expect(done.words.isEmpty)
        server.gate.signal()
        #expect(client.answer()?.text == "waited")
        #expect(eventually { done.words == ["stopped"] })
        #expect(client.isClosed())
        #expect(idle.isClosed())
    }

    @Test func stoppingDoesNotWaitForEver() throws {
        let server = try TestServer(.forTests)
        let client = server.client()
        client.send(lines: "GET /wait HTTP/1.1\nHost: a\n\n")
        let upload = server.client()
        upload.send(lines: "POST /upload HTTP/1.1\nHost: a\nContent-Length: 1000\n\nabc")
        #expect(eventually { server.handled.words == ["/wait"] && server.filesLeft.count == 1 })
        server.daemon.stop()
        server.daemon.stop()
        #expect(client.answer()?.status == 503)
        #expect(server.filesLeft.isEmpty)
        server.gate.signal()
        withExtendedLifetime(upload) {}
    }
}

extension LimitTests {
    @Test func aStopLeavesWaitingRequestsUndone() throws {
        let server = try TestServer(.forTests.with(\.handlerThreads, 1).with(\.stopSeconds, 0))
        let first = server.client()
        first.send(lines: "GET /wait HTTP/1.1\nHost: a\n\n")
        #expect(eventually { server.handled.words == ["/wait"] })
        let second = server.client()
        second.send(lines: "POST /upload HTTP/1.1\nHost: a\nContent-Length: 3\n\nabc")
        #expect(eventually { server.daemon.core.handlers.waiting == 1 })
        server.daemon.stop()
        #expect(first.answer()?.status == 503)
        #expect(second.answer()?.status == 503)
        server.gate.signal()
        #expect(eventually { server.filesLeft.isEmpty })
        #expect(server.handled.words == ["/wait"])
    }
}

/// What no client means to send, and a stop at the worst moment.
@Suite struct RoughTests {
    /// One byte of a good request changed, at each place: whatever the answer, the next client gets his.
    @Test func survivesDamagedRequests() throws {
        let server = try TestServer()
        let good = Array(
            ("POST /upload?a=b HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=XX\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n3c\r\n--XX\r\nContent-Disposition: form-data; name=\"a\"; "
                + "filename=b\r\n\r\n5\r\n\r\n123\r\nd\r\n\r\n--XX--\r\n\r\n\r\n0\r\n\r\n").utf8)
        let random = noise(good.count, seed: 9)
        for index in good.indices {
            var damaged = good
            damaged[index] = random[index]
            let client = server.client()
            client.send(damaged)
            client.endSending()
            if let status = client.answer()?.status { #expect(200...505 ~= status) }
        }
        let client = server.client()
        client.send(lines: "GET /hello HTTP/1.1\nHost: a\n\n")
        #expect(client.answer()?.text == "hello")
        #expect(eventually { server.filesLeft.isEmpty })
    }

    /// The idle timeout is a minute: the watch has to see it.
    @Test(arguments: ["GET /he", "POST /upload HTTP/1.1\nHost: a\nContent-Length: 1000\n\nabc"])
    func seesAClientLeave(request: String) throws {
        let server = try TestServer()
        let client = server.client()
        client.send(lines: request)
        client.endSending()
        #expect(client.isClosed())
        #expect(eventually { server.filesLeft.isEmpty })
    }

    @Test func stopsUnderLoad() async throws {
        for round in 0..<10 {
            let server = try TestServer(.forTests.with(\.stopSeconds, 0))
            let odd = await withTaskGroup(of: [Int].self) { group in
                let port = server.port
                for _ in 0..<8 {
                    group.addTask { await onThread { Self.uploadUntilRefused(port: port) } }
                }
                group.addTask {
                    await onThread {
                        usleep(UInt32(5_000 + 3_000 * round))
                        server.daemon.stop()
                        return []
                    }
                }
                return await group.reduce([], +)
            }
            #expect(odd == [])
            #expect(server.filesLeft.isEmpty)
        }
    }

    /// Statuses that no client should see.
    private static func uploadUntilRefused(port: Int) -> [Int] {
        let body = noise(20_000)
        var odd: [Int] = []
        while true {
            let client = TestClient(port: port)
            client.send(lines: "POST /upload HTTP/1.1\nHost: a\nContent-Length: \(body.count)\n\n")
            client.send(body)
            guard let status = client.answer()?.status else { return odd }
            if status != 200 && status != 503 { odd.append(status) }
        }
    }
}

/// Runs what takes seconds on a thread of its own: those that run the tests are few.
private func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        Thread { continuation.resume(returning: body()) }.start()
    }
}

private func threadCount() -> Int {
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count) ?? 0
}

private func openFileLimit() -> Int {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return Int(clamping: limit.rlim_cur)
}

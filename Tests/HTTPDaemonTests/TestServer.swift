import Foundation
import Logging
import Synchronization

@testable import HTTPDaemon

/// A daemon with an application made for tests, on a free port, with a folder of its own.
final class TestServer: Sendable {
    let daemon: HTTPDaemon
    let folder: URL
    let uploads: URL
    let log = TestLog()
    /// `/wait` answers when it is signalled.
    let gate = DispatchSemaphore(value: 0)
    /// What `/later` was promised.
    let later = Promises()
    /// The paths of the requests that came to a handler.
    let handled: Journal

    static let memoryLimit = 1_000
    static let uploadLimit = 80 << 20

    init(
        _ settings: DaemonSettings = .forTests, write: UploadFile.Write? = nil, plan: BodyPlan? = nil,
        isExempt: @escaping @Sendable (String) -> Bool = { _ in false }
    ) throws {
        let name = "hepar-http-\(UUID().uuidString)"
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(name, isDirectory: true)
        uploads = folder.appendingPathComponent("uploads", isDirectory: true)
        try FileManager.default.createDirectory(at: uploads, withIntermediateDirectories: true)
        let (folder, uploads, gate, log, later) = (folder, uploads, gate, log, later)
        let handled = Journal()
        self.handled = handled
        daemon = try HTTPDaemon(
            settings: settings, logger: Logger(label: "test") { _ in log },
            write: write ?? { Glibc.write($0, $1.baseAddress, $1.count) },
            application: Application(
                isVital: { $0.path == "/vital" }, isExempt: isExempt,
                plan: { head in
                    if head.path == "/refused" { return .refuse(.problem(403, detail: "Not here.", code: "refused")) }
                    return .accept(plan ?? Self.plan(head, uploads: uploads)) { request in
                        handled.add(request.head.path)
                        if head.path.hasPrefix("/later") { return .later { later.keep($0) } }
                        if head.path == "/tagged-later" {
                            return .later { $0.send(Self.answer(request, folder: folder, gate: gate)) }
                        }
                        return .now(Self.answer(request, folder: folder, gate: gate))
                    }
                }))
    }

    deinit {
        daemon.stop()
        try? FileManager.default.removeItem(at: folder)
    }

    var port: Int { daemon.port }

    func client() -> TestClient { TestClient(port: port) }

    /// The names of the files that uploads have left.
    var filesLeft: [String] { (try? FileManager.default.contentsOfDirectory(atPath: uploads.path)) ?? [] }

    private static func plan(_ head: RequestHead, uploads: URL) -> BodyPlan {
        switch head.path {
        case "/memory": .memory(limit: memoryLimit)
        case "/upload", "/keep", "/later-upload": .files(folder: uploads, limit: uploadLimit)
        case "/small-upload": .files(folder: uploads, limit: 20_000)
        case "/lost": .files(folder: uploads.appendingPathComponent("missing"), limit: uploadLimit)
        default: .none
        }
    }

    private static func answer(_ request: Request, folder: URL, gate: DispatchSemaphore) -> Response {
        let head = request.head
        switch head.path {
        case "/hello", "/vital": return .data(200, Data("hello".utf8), type: "text/plain")
        case "/head": return .json(200, HeadReport(head))
        case "/memory":
            if case .memory(let data) = request.body { return .data(200, data, type: "application/octet-stream") }
            return .data(200, Data(), type: "application/octet-stream")
        case "/upload", "/small-upload", "/lost": return .json(200, BodyReport(request.body))
        case "/keep":
            guard case .file(let url, _) = request.body else { return Response(status: 400) }
            let kept = folder.appendingPathComponent("kept")
            return Response(status: rename(url.path, kept.path) == 0 ? 201 : 500)
        case "/file": return .file(200, folder.appendingPathComponent("served"), type: "application/octet-stream")
        case "/gone": return .file(200, folder.appendingPathComponent("gone"), type: "application/octet-stream")
        case "/tagged", "/tagged-later":
            return .data(200, Data(UInt8(0)..<100), type: "application/octet-stream", headers: ["ETag": "\"tag\""])
        case "/tagged-file":
            let file = folder.appendingPathComponent("served")
            return .file(200, file, type: "application/octet-stream", headers: ["ETag": "\"tag\""])
        case "/inject": return Response(status: 200, headers: [("X-Name", "a\r\nSet-Cookie: b=c")])
        case "/own-length": return Response(status: 200, headers: [("content-length", "3"), ("X-Mine", "yes")])
        case "/nothing": return Response(status: 204)
        case "/wait":
            gate.wait()
            return .data(200, Data("waited".utf8), type: "text/plain")
        default: return .problem(404, detail: "No such thing.", code: "not_found")
        }
    }
}

/// Replies that a test gives when it likes.
final class Promises: Sendable {
    private let kept = Mutex<[Reply]>([])

    var count: Int { kept.withLock { $0.count } }

    func keep(_ reply: Reply) { kept.withLock { $0.append(reply) } }

    /// Hands out all replies and keeps none.
    func take() -> [Reply] {
        kept.withLock { kept in
            defer { kept = [] }
            return kept
        }
    }

    /// Waits until there are `count`, or ten seconds are over.
    func wait(for count: Int) {
        for _ in 0..<1_000 where self.count < count { usleep(10_000) }
    }
}

/// Words written down from any thread.
final class Journal: Sendable {
    private let kept = Mutex<[String]>([])

    var words: [String] { kept.withLock { $0.map { $0 } } }

    func add(_ word: String) { kept.withLock { $0.append(word) } }
}

/// What a handler saw of a head.
struct HeadReport: Codable {
    let method: String
    let path: String
    let peer: String
    let id: String
    let query: [String: String]
    let custom: String?

    init(_ head: RequestHead) {
        method = head.method
        path = head.path
        peer = head.peerAddress
        id = head.id
        query = head.query
        custom = head.headers["X-CUSTOM"]
    }
}

/// What a handler saw of a body.
struct BodyReport: Codable, Equatable {
    struct Part: Codable, Equatable {
        var name: String
        var fileName: String?
        var type: String?
        var inFile: Bool
        var bytes: Int
        /// The first 200 bytes.
        var text: String
    }

    var kind: String
    var bytes = 0
    var sum: UInt64 = 0
    var mode = 0
    var parts: [Part] = []

    init(_ body: Body) {
        switch body {
        case .none: kind = "none"
        case .memory(let data):
            kind = "memory"
            bytes = data.count
        case .file(let url, let count):
            kind = "file"
            bytes = count
            let data = (try? Data(contentsOf: url, options: .alwaysMapped)) ?? Data()
            sum = checksum(data)
            var info = stat()
            if stat(url.path, &info) == 0 { mode = Int(info.st_mode & 0o777) }
        case .parts(let all):
            kind = "parts"
            parts = all.map { part in
                let (data, inFile, count): (Data, Bool, Int) =
                    switch part.content {
                    case .memory(let data): (data, false, data.count)
                    case .file(let url, let bytes): ((try? Data(contentsOf: url)) ?? Data(), true, bytes)
                    }
                return Part(
                    name: part.name, fileName: part.fileName, type: part.contentType, inFile: inFile,
                    bytes: data.count == count ? count : -1, text: String(decoding: data.prefix(200), as: UTF8.self))
            }
        }
    }
}

/// Depends on each byte and its place (FNV-1a).
func checksum(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0100_0000_01B3 }
}

/// Bytes with no pattern.
func noise(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 56)
    }
}

/// Waits until `condition` holds, at most ten seconds.
func eventually(_ condition: () -> Bool) -> Bool {
    let end = ContinuousClock.now + .seconds(10)
    while ContinuousClock.now < end {
        if condition() { return true }
        usleep(2_000)
    }
    return condition()
}

extension DaemonSettings {
    /// Any free port, and no long waits at the end.
    static var forTests: DaemonSettings {
        var settings = DaemonSettings()
        settings.stopSeconds = 1
        return settings
    }

    func with<Value>(_ key: WritableKeyPath<DaemonSettings, Value>, _ value: Value) -> DaemonSettings {
        var copy = self
        copy[keyPath: key] = value
        return copy
    }
}

extension Logger {
    static var silent: Logger { Logger(label: "silent") { _ in SwiftLogNoOpLogHandler() } }
}

/// A log handler that keeps the lines.
final class TestLog: LogHandler, Sendable {
    private let kept = Mutex<[(message: String, metadata: Logger.Metadata)]>([])

    /// Copied: ThreadSanitizer does not see the counting of references, and would take an array that is shared until it
    /// changes for a race.
    var lines: [(message: String, metadata: Logger.Metadata)] { kept.withLock { $0.map { $0 } } }

    func log(event: LogEvent) {
        kept.withLock { $0.append((event.message.description, event.metadata ?? [:])) }
    }

    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .debug }
        set {}
    }
}

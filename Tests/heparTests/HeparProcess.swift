import Foundation
import TestSupport

/// The real executable, as built beside the tests.
enum HeparProcess {
    struct Outcome {
        let status: Int32
        let output: String
        let error: String
    }

    static let executable = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "hepar")

    /// Runs `hepar` with `arguments` in the repository's root and waits for its end.
    static func run(_ arguments: String..., environment: [String: String] = [:]) throws -> Outcome {
        try run(executable, arguments, environment: environment)
    }

    /// Runs any program and waits for its end.
    static func run(
        _ program: URL, _ arguments: [String], environment: [String: String] = [:]
    ) throws -> Outcome {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        process.currentDirectoryURL = SharedData.repository
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let output = Pipe()
        let error = FileManager.default.temporaryDirectory.appending(path: "hepar-stderr-\(UUID().uuidString)")
        try Data().write(to: error)
        defer { try? FileManager.default.removeItem(at: error) }
        process.standardOutput = output
        process.standardError = try FileHandle(forWritingTo: error)
        try process.run()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            error: try String(contentsOf: error, encoding: .utf8))
    }
}

/// A server of its own on a free port, over a data folder that survives it.
final class ServerProcess {
    let process = Process()
    let url: String
    private let log: URL

    /// Starts the server and waits until it listens.
    ///
    /// - Parameter launcher: a program with its arguments that runs the server in its own place, such as `prlimit`.
    /// - Parameter executable: another program than hepar with the same command `serve`.
    /// - Parameter arguments: what follows `serve`.
    /// - Parameter folder: the working folder.
    init(
        data: URL, settings: [String: String] = [:], launcher: [String] = [], executable: URL = HeparProcess.executable,
        arguments: [String] = [], folder: URL = SharedData.repository
    ) throws {
        log = data.appendingPathExtension("log-\(UUID().uuidString)")
        try Data().write(to: log)
        let command = launcher + [executable.path, "serve"] + arguments
        process.executableURL = URL(filePath: command[0])
        process.arguments = Array(command.dropFirst())
        process.currentDirectoryURL = folder
        let own = ["HEPAR_HTTP_PORT": "0", "HEPAR_DATA_FOLDER": data.path]
        process.environment = ProcessInfo.processInfo.environment.merging(own) { $1 }.merging(settings) { $1 }
        process.standardError = try FileHandle(forWritingTo: log)
        try process.run()
        var address: String?
        for _ in 0..<400 where address == nil {
            usleep(25_000)
            let text = try String(contentsOf: log, encoding: .utf8)
            address = text.firstMatch(of: /address"?[=:]"?(http:[^\s"]+)/).map { String($0.1) }
            if !process.isRunning { break }
        }
        guard let address else { throw ServerError(log: try String(contentsOf: log, encoding: .utf8)) }
        url = address
    }

    struct ServerError: Error { let log: String }

    /// Everything logged so far.
    var logText: String { (try? String(contentsOf: log, encoding: .utf8)) ?? "" }

    /// Ends the process as `kill -9` or `kill` does, and waits for its end.
    func end(_ signal: Int32 = SIGTERM) {
        if process.isRunning { kill(process.processIdentifier, signal) }
        process.waitUntilExit()
    }

    deinit { end(SIGKILL) }

    /// What curl got: status, headers and body.
    struct Answer {
        let status: Int
        let headers: String
        let body: Data

        var text: String { String(decoding: body, as: UTF8.self) }

        func json() throws -> [String: Any] {
            try JSONSerialization.jsonObject(with: body) as? [String: Any] ?? [:]
        }
    }

    /// Runs the real curl on a path of this server.
    func curl(_ path: String, _ arguments: String...) throws -> Answer { try curl(path, arguments) }

    func curl(_ path: String, _ arguments: [String]) throws -> Answer {
        let folder = FileManager.default.temporaryDirectory.appending(path: "hepar-curl-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let body = folder.appending(path: "body")
        let headers = folder.appending(path: "headers")
        let common = ["-sS", "-m", "60", "-o", body.path, "-D", headers.path, "-w", "%{http_code}"]
        let outcome = try HeparProcess.run(URL(filePath: "/usr/bin/curl"), common + arguments + [url + path])
        return Answer(
            status: Int(outcome.output) ?? 0, headers: (try? String(contentsOf: headers, encoding: .utf8)) ?? "",
            body: (try? Data(contentsOf: body)) ?? Data())
    }

    /// Polls a job until a worker has it.
    func waitUntilRunning(_ job: String) throws {
        for _ in 0..<1000 {
            if try curl("/v1/jobs/\(job)").json()["state"] as? String == "running" { return }
            usleep(10_000)
        }
        throw ServerError(log: logText)
    }

    /// Polls a job until it has ended.
    func waitForEnd(of job: String, seconds: Int = 120) throws -> [String: Any] {
        for _ in 0..<seconds * 10 {
            let answer = try curl("/v1/jobs/\(job)").json()
            if let state = answer["state"] as? String, !["queued", "running"].contains(state) { return answer }
            usleep(100_000)
        }
        throw ServerError(log: logText)
    }
}

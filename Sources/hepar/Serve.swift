import ArgumentParser
import Compute
import Dispatch
import Foundation
import Jobs
import Logging
import SQLiteJobs
import Segmentation
import Service
import Telemetry

/// Where the configuration comes from.
struct ConfigOptions: ParsableArguments {
    @Option(help: "The configuration file; HEPAR_CONFIG names one too. Environment variables win over it.")
    var config: String?

    func load() async throws -> ServiceConfig {
        let path = config ?? ProcessInfo.processInfo.environment["HEPAR_CONFIG"]
        return try await ServiceConfig.load(file: path.map { URL(filePath: $0) })
    }
}

/// `hepar serve`: the HTTP service.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run the HTTP service.")

    @OptionGroup var options: ConfigOptions

    func run() async throws {
        let config = try await options.load()
        LoggingSystem.bootstrap { label in
            config.logFormat.handler(label: label, level: Logger.Level(rawValue: config.logLevel) ?? .info)
        }
        let logger = Logger(label: "hepar")
        let team = ThreadTeam(threads: config.computeThreads)
        let segmenter = try Segmenter(
            models: URL(filePath: config.modelFolder), algorithm: config.algorithm, team: team)
        let data = URL(filePath: config.dataFolder)
        let spool = try Spool(folder: data)
        let store = try SQLiteJobStore(file: data.appending(path: "jobs.sqlite"))
        let service = try HeparService(
            config, store: store, outbox: store.outbox, audit: store.audit, spool: spool, segmenter: segmenter,
            program: URL(filePath: "/proc/self/exe").resolvingSymlinksInPath(), logger: logger)
        logger.notice(
            "listening",
            metadata: [
                "address": "http://\(config.host):\(service.port)", "model": "\(segmenter.modelName)",
                "threads": "\(config.computeThreads)", "workers": "\(config.workers)",
            ])
        await terminationSignal()
        logger.notice("stopping")
        service.stop()
        logger.notice("stopped")
    }
}

/// Waits for SIGTERM or SIGINT.
private func terminationSignal() async {
    await withCheckedContinuation { continuation in
        let once = SignalWait(continuation)
        for number in [SIGTERM, SIGINT] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { once.arrived() }
            once.keep(source)
            source.resume()
        }
    }
}

/// Resumes its continuation at the first signal; `lock` guards both fields.
private final class SignalWait: @unchecked Sendable {
    private let lock = NSLock()
    private var continuation: CheckedContinuation<Void, Never>?
    private var sources: [any DispatchSourceSignal] = []

    init(_ continuation: CheckedContinuation<Void, Never>) { self.continuation = continuation }

    func keep(_ source: any DispatchSourceSignal) { lock.withLock { sources.append(source) } }

    func arrived() {
        let waiting = lock.withLock {
            defer { continuation = nil }
            return continuation
        }
        waiting?.resume()
    }
}

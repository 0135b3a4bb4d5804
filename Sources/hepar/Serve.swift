import ArgumentParser
import Cases
import Dispatch
import Foundation
import Jobs
import Logging
import SQLiteJobs
import Service
import Telemetry
import Work

/// Where the configuration comes from.
struct ConfigOptions: ParsableArguments {
    @Option(help: "The configuration file; HEPAR_CONFIG names one too. Environment variables win over it.")
    var config: String?

    /// The file that is named; nil for none.
    var file: URL? { (config ?? ProcessInfo.processInfo.environment["HEPAR_CONFIG"]).map { URL(filePath: $0) } }

    func load() async throws -> ServiceConfig { try await ServiceConfig.load(file: file) }
}

/// `hepar serve`: the HTTP service.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the HTTP service.",
        discussion: "Options win over the environment, and that over the configuration file.")

    @OptionGroup var options: ConfigOptions

    @Option(help: "The address to listen on: http.host.")
    var host: String?

    @Option(help: "The port to listen on: http.port.")
    var port: Int?

    @Option(help: "The folder of the job database and the jobs' files: data.folder.")
    var data: String?

    @Option(help: "The model folder: model.folder.")
    var model: String?

    func run() async throws {
        let given = [
            "HEPAR_HTTP_HOST": host, "HEPAR_HTTP_PORT": port.map(String.init), "HEPAR_DATA_FOLDER": data,
            "HEPAR_MODEL_FOLDER": model,
        ]
        let startup = try await Startup(options, over: given.compactMapValues { $0 })
        let (config, segmenter) = (startup.config, startup.segmenter)
        LoggingSystem.bootstrap { label in
            config.logFormat.handler(label: label, level: Logger.Level(rawValue: config.logLevel) ?? .info)
        }
        let logger = Logger(label: "hepar")
        if !config.ignoredVariables.isEmpty {
            let names = config.ignoredVariables.joined(separator: " ")
            logger.notice("variables of Kubernetes ignored", metadata: ["names": "\(names)"])
        }
        for warning in startup.warnings { logger.warning("\(warning)") }
        let descriptors = raiseDescriptorLimit()
        let data = URL(filePath: config.dataFolder)
        let spool = try Spool(folder: data)
        let store = try SQLiteJobStore(file: data.appending(path: "jobs.sqlite"))
        let service = try HeparService(
            config, store: store, spool: spool, segmenter: segmenter,
            program: URL(filePath: "/proc/self/exe").resolvingSymlinksInPath(), logger: logger)
        logger.notice(
            "listening",
            metadata: [
                "address": "http://\(config.host):\(service.port)", "model": "\(segmenter.modelName)",
                "threads": "\(config.computeThreads)", "workers": "\(config.workers)", "descriptors": "\(descriptors)",
            ])
        let manager = ServiceManager()
        manager?.isReady()
        manager?.watch(
            host: config.host, port: service.port, idleSeconds: config.idleTimeoutSeconds, logger: logger)
        await terminationSignal()
        manager?.isStopping()
        logger.notice("stopping")
        service.stop()
        // So that the database is one file, without a log that holds what was deleted. Whoever still uses it is told.
        try? store.close()
        logger.notice("stopped")
    }
}

/// Raises the soft limit of file descriptors to the hard one: each connection takes one or two, and the usual soft limit
/// of 1,024 is kept low only for programs that use select(2).
///
/// - Returns: the limit that results.
private func raiseDescriptorLimit() -> UInt {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0 else { return 0 }
    var raised = limit
    raised.rlim_cur = limit.rlim_max
    return UInt(setrlimit(resource, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur)
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

public import Access
import Compute
import Configuration
import Foundation
import Imaging
import Inference
import SystemPackage
public import Telemetry
import Yams

/// Start-up settings, read once and passed down as values. config/hepar.yaml describes each key.
public struct ServiceConfig: Equatable, Sendable {
    /// Address that is listened on.
    public var host = "127.0.0.1"
    /// Port that is listened on; 0 takes a free one.
    public var port = 8080
    /// The most that one upload may have, in MiB as sent.
    public var uploadLimitMiB = 2048
    /// Connections open at once; more wait unaccepted.
    public var connectionLimit = 2000
    /// Connections of one address that are open at once; more are closed.
    public var connectionsPerAddress = 256
    /// Seconds without a byte after which a connection is closed.
    public var idleTimeoutSeconds = 60
    /// Threads for requests that need a child process.
    public var handlerThreads = 4
    /// The file of tokens, as `hepar token` writes it; empty for a server without tokens.
    public var tokensFile = ""
    /// Addresses of proxies whose word about the client is taken, as 10.0.0.0/8, separated by commas.
    public var trustedProxies = ""
    /// The header field in which those proxies tell the client's address.
    public var proxyField = ForwardingField.xForwardedFor
    /// Where webhooks may go: beginnings of URLs, separated by commas.
    public var webhookTargets = ""
    /// The file with the secret that webhooks are signed with.
    public var webhookSecretFile = ""
    /// Certificates to trust for webhooks instead of the system's.
    public var webhookCAFile = ""
    /// The folder of the job database and the jobs' files.
    public var dataFolder = "hepar-data"
    /// Free space below which uploads are refused with 507, in MiB.
    public var freeSpaceMiB = 1024
    /// The model folder: liver.safetensors and lesion.safetensors.
    public var modelFolder = "Models/default"
    /// Threads of the engine, shared by all jobs.
    public var computeThreads = AvailableCores.count
    /// How convolutions are computed.
    public var algorithm = Algorithm.winograd
    /// Jobs worked on at once.
    public var workers = 1
    /// Jobs that may wait; more are refused with 503.
    public var queueLimit = 1000
    /// Seconds after which the job of a silent worker is given to another.
    public var leaseSeconds = 60
    /// How often a job is tried before it fails.
    public var attempts = 3
    /// MiB that running jobs may take together; 0 takes four fifths of what the machine or the container has.
    public var memoryLimitMiB = 0
    /// Days after its end that a job and its files are kept; 0 keeps them until they are deleted.
    public var resultsKeepDays = 0
    /// Days that events are kept.
    public var eventsKeepDays = 90
    /// Days that audit entries stay in the table before they are moved into files; 0 keeps them there.
    public var auditKeepDays = 365
    /// MiB that the files of a token's jobs may have, where the token has no quota of its own; 0 takes half of the disk.
    public var storedMiB = 0
    /// MiB of uploads that a token may have under way, where it has no quota of its own.
    public var inFlightMiB = 4096
    /// The most voxels of a scan, in millions.
    public var voxelLimitMillions = 600
    /// The most MiB that a scan may inflate to.
    public var inflatedLimitMiB = 2048
    /// The most times its own size that a scan may inflate to.
    public var inflationRatio = 400
    /// Whether UIDs of DICOM uploads are kept where a request does not say.
    public var keepsUIDs = false
    /// The least severe messages that are logged.
    public var logLevel = "info"
    /// How messages are written.
    public var logFormat = LogFormat.text
    /// Variables that look like settings and are Kubernetes' own; they were passed over.
    public var ignoredVariables: [String] = []

    /// The defaults.
    public init() {}

    /// What a scan may have.
    public var volumeLimits: VolumeLimits {
        VolumeLimits(
            voxels: voxelLimitMillions * 1_000_000, inflatedBytes: inflatedLimitMiB << 20,
            inflationRatio: inflationRatio)
    }
}

/// What is wrong with the configuration: every fault, so that one restart fixes them all.
public struct ConfigError: Error, Equatable, CustomStringConvertible {
    /// One sentence a fault.
    public let problems: [String]

    /// An error that tells these faults.
    public init(problems: [String]) { self.problems = problems }

    /// The faults, a line each.
    public var description: String { problems.joined(separator: "\n") }
}

extension ServiceConfig {
    /// Reads a YAML file (none: the defaults) under the environment, which wins: `http.port` is `HEPAR_HTTP_PORT`.
    ///
    /// - Throws: ``ConfigError`` with every unknown key and bad value.
    public static func load(
        file: URL?, environment: [String: String] = ProcessInfo.processInfo.environment
    ) async throws(ConfigError) -> ServiceConfig {
        let (config, problems) = try await read(file: file, environment: environment)
        guard problems.isEmpty else { throw ConfigError(problems: problems) }
        return config
    }

    /// Reads them as ``load(file:environment:)`` does, for whoever looks for more faults: where a value is bad the default
    /// stands, and a sentence tells it.
    ///
    /// - Throws: ``ConfigError`` if the file cannot be read at all.
    public static func read(
        file: URL?, environment: [String: String] = ProcessInfo.processInfo.environment
    ) async throws(ConfigError) -> (config: ServiceConfig, problems: [String]) {
        var providers: [any ConfigProvider] = []
        let ours = environment.filter { $0.key.hasPrefix(environmentPrefix) }
        let settings = ours.filter { !isServiceLink($0.key, $0.value) }
        providers.append(
            EnvironmentVariablesProvider(environmentVariables: settings).prefixKeys(with: "hepar"))
        var keysInFile: Set<String> = []
        if let file {
            if let reason = FileFault(reading: file.path) {
                throw ConfigError(problems: ["The configuration file \(file.path) \(reason). Name one in --config."])
            }
            guard let text = String(data: FileManager.default.contents(atPath: file.path) ?? Data(), encoding: .utf8)
            else {
                throw ConfigError(problems: [
                    "The configuration file \(file.path) is not text in UTF-8. Save it as such."
                ])
            }
            do {
                if let root = try Yams.compose(yaml: text) { keysInFile = try flattenedKeys(root) }
                providers.append(try await FileProvider<YAMLSnapshot>(filePath: FilePath(file.path)))
            } catch let error as KeyIsNoName {
                throw ConfigError(problems: ["\(file.path), line \(error.line): a key is no name. Give one, as http."])
            } catch {
                throw ConfigError(problems: ["\(file.path) cannot be read as YAML: \(error)"])
            }
        }
        var settingsReader = SettingsReader(
            reader: ConfigReader(providers: providers), keysInFile: keysInFile, variables: Set(settings.keys))
        var config = ServiceConfig(&settingsReader)
        config.ignoredVariables = Set(ours.keys).subtracting(settings.keys).sorted()
        return (config, settingsReader.allProblems)
    }

    /// Whether a variable is one that Kubernetes sets in each pod beside a Service named hepar, or hepar-something: the
    /// address in `HEPAR_SERVICE_HOST` and `HEPAR_SERVICE_PORT`, and Docker's links, such as
    /// `HEPAR_PORT=tcp://10.0.0.1:80`. No setting has such a name and such a value; all else is a setting or a slip.
    ///
    /// Source: Kubernetes, Service, "Environment variables".
    static func isServiceLink(_ name: String, _ value: String) -> Bool {
        if name.wholeMatch(of: /HEPAR_(?:[A-Z0-9_]+_)?SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)/) != nil { return true }
        let link = name.wholeMatch(
            of: /HEPAR_(?:[A-Z0-9_]+?_)??PORT(?:_[0-9]+_(?:TCP|UDP|SCTP)(?:_(PROTO|PORT|ADDR))?)?/)
        guard let link, name != "HEPAR_HTTP_PORT" else { return false }
        return link.1 != nil || value.wholeMatch(of: /(?:tcp|udp|sctp):\/\/.+/) != nil
    }

    /// Variables with this prefix are settings; the ones of `notSettings` belong to the tests and the command line.
    private static let environmentPrefix = "HEPAR_"
    static let notSettings: Set<String> = ["HEPAR_SHARED", "HEPAR_CONFIG", "HEPAR_CLIENTS_VENV"]

    private init(_ settings: inout SettingsReader) {
        self.init()
        host = settings.text("http.host", default: host)
        port = settings.number("http.port", default: port, in: 0...65_535)
        uploadLimitMiB = settings.number("http.upload_limit_mib", default: uploadLimitMiB, in: 1...16_384)
        connectionLimit = settings.number("http.connection_limit", default: connectionLimit, in: 8...100_000)
        idleTimeoutSeconds = settings.number("http.idle_timeout_seconds", default: idleTimeoutSeconds, in: 1...3_600)
        connectionsPerAddress = settings.number(
            "http.connections_per_address", default: connectionsPerAddress, in: 1...100_000)
        handlerThreads = settings.number("http.handler_threads", default: handlerThreads, in: 3...64)
        tokensFile = settings.optionalText("auth.tokens_file")
        trustedProxies = settings.optionalText("http.trusted_proxies")
        proxyField = settings.choice("http.proxy_field", default: proxyField)
        webhookTargets = settings.optionalText("webhooks.targets")
        webhookSecretFile = settings.optionalText("webhooks.secret_file")
        webhookCAFile = settings.optionalText("webhooks.ca_file")
        logFormat = settings.choice("log.format", default: logFormat)
        dataFolder = settings.text("data.folder", default: dataFolder)
        freeSpaceMiB = settings.number("data.free_space_mib", default: freeSpaceMiB, in: 0...1_048_576)
        modelFolder = settings.text("model.folder", default: modelFolder)
        computeThreads = settings.number("compute.threads", default: computeThreads, in: 1...256)
        algorithm = settings.choice("compute.algorithm", default: algorithm)
        workers = settings.number("jobs.workers", default: workers, in: 1...64)
        queueLimit = settings.number("jobs.queue_limit", default: queueLimit, in: 1...1_000_000)
        leaseSeconds = settings.number("jobs.lease_seconds", default: leaseSeconds, in: 5...3_600)
        attempts = settings.number("jobs.attempts", default: attempts, in: 1...10)
        memoryLimitMiB = settings.number("jobs.memory_limit_mib", default: memoryLimitMiB, in: 0...16_777_216)
        resultsKeepDays = settings.number("data.results_keep_days", default: resultsKeepDays, in: 0...36_500)
        eventsKeepDays = settings.number("data.events_keep_days", default: eventsKeepDays, in: 1...36_500)
        auditKeepDays = settings.number("data.audit_keep_days", default: auditKeepDays, in: 0...36_500)
        storedMiB = settings.number("quota.stored_mib", default: storedMiB, in: 0...16_777_216)
        inFlightMiB = settings.number("quota.in_flight_mib", default: inFlightMiB, in: 1...1_048_576)
        voxelLimitMillions = settings.number("scan.voxel_limit_millions", default: voxelLimitMillions, in: 1...2_000)
        inflatedLimitMiB = settings.number("scan.inflated_limit_mib", default: inflatedLimitMiB, in: 1...16_384)
        inflationRatio = settings.number("scan.inflation_ratio", default: inflationRatio, in: 10...1_100)
        keepsUIDs = settings.flag("dicom.keep_uids", default: keepsUIDs)
        logLevel = settings.text("log.level", default: logLevel)
        if !["trace", "debug", "info", "notice", "warning", "error"].contains(logLevel) {
            settings.problems.append("log.level is \"\(logLevel)\". Give trace, debug, info, notice, warning or error.")
        }
    }

    /// Every key with the value in force, as `hepar check-config` prints it.
    public var effectiveSettings: [(key: String, value: String)] {
        [
            ("http.host", host), ("http.port", "\(port)"), ("http.upload_limit_mib", "\(uploadLimitMiB)"),
            ("http.connection_limit", "\(connectionLimit)"),
            ("http.connections_per_address", "\(connectionsPerAddress)"),
            ("http.idle_timeout_seconds", "\(idleTimeoutSeconds)"),
            ("http.handler_threads", "\(handlerThreads)"), ("data.folder", dataFolder),
            ("http.trusted_proxies", trustedProxies), ("http.proxy_field", proxyField.rawValue),
            ("auth.tokens_file", tokensFile), ("webhooks.targets", webhookTargets),
            ("webhooks.secret_file", webhookSecretFile), ("webhooks.ca_file", webhookCAFile),
            ("log.format", logFormat.rawValue),
            ("data.free_space_mib", "\(freeSpaceMiB)"), ("model.folder", modelFolder),
            ("compute.threads", "\(computeThreads)"), ("compute.algorithm", algorithm.rawValue),
            ("jobs.workers", "\(workers)"), ("jobs.queue_limit", "\(queueLimit)"),
            ("jobs.lease_seconds", "\(leaseSeconds)"), ("jobs.attempts", "\(attempts)"),
            ("jobs.memory_limit_mib", "\(memoryLimitMiB)"),
            ("data.results_keep_days", "\(resultsKeepDays)"), ("data.events_keep_days", "\(eventsKeepDays)"),
            ("data.audit_keep_days", "\(auditKeepDays)"), ("quota.stored_mib", "\(storedMiB)"),
            ("quota.in_flight_mib", "\(inFlightMiB)"),
            ("scan.voxel_limit_millions", "\(voxelLimitMillions)"),
            ("scan.inflated_limit_mib", "\(inflatedLimitMiB)"), ("scan.inflation_ratio", "\(inflationRatio)"),
            ("dicom.keep_uids", "\(keepsUIDs)"), ("log.level", logLevel),
        ]
    }
}

/// Reads settings one by one, remembers which keys exist, and collects what is wrong.
private struct SettingsReader {
    let reader: ConfigReader
    let keysInFile: Set<String>
    let variables: Set<String>
    var problems: [String] = []
    private var known: Set<String> = []

    init(reader: ConfigReader, keysInFile: Set<String>, variables: Set<String>) {
        self.reader = reader
        self.keysInFile = keysInFile
        self.variables = variables
    }

    mutating func number(_ key: String, default standard: Int, in range: ClosedRange<Int>) -> Int {
        guard isSet(key) else { return standard }
        guard let value = reader.int(forKey: ConfigKey(key)) else {
            problems.append("\(key) is not a whole number. Give one from \(range.lowerBound) to \(range.upperBound).")
            return standard
        }
        guard range.contains(value) else {
            problems.append("\(key) is \(value). It must be from \(range.lowerBound) to \(range.upperBound).")
            return standard
        }
        return value
    }

    mutating func text(_ key: String, default standard: String) -> String {
        guard isSet(key) else { return standard }
        guard let value = reader.string(forKey: ConfigKey(key)), !value.isEmpty else {
            problems.append("\(key) is not a text, or empty.")
            return standard
        }
        return value
    }

    mutating func flag(_ key: String, default standard: Bool) -> Bool {
        guard isSet(key) else { return standard }
        let text = reader.string(forKey: ConfigKey(key))
        if let value = reader.bool(forKey: ConfigKey(key)) ?? text.flatMap(Bool.init) { return value }
        problems.append("\(key) is neither true nor false.")
        return standard
    }

    /// A text that may be left empty.
    mutating func optionalText(_ key: String) -> String {
        isSet(key) ? reader.string(forKey: ConfigKey(key)) ?? "" : ""
    }

    mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ key: String, default standard: Choice
    ) -> Choice {
        let value = text(key, default: standard.rawValue)
        if let choice = Choice(rawValue: value) { return choice }
        let choices = Choice.allCases.map(\.rawValue).joined(separator: ", ")
        problems.append("\(key) is \"\(value)\". Give one of: \(choices).")
        return standard
    }

    /// The faults of values, then keys and variables that nothing reads: most often a spelling error.
    var allProblems: [String] {
        let unknownKeys = keysInFile.subtracting(known).sorted().map { "\($0) is not a setting." }
        let names = Set(known.map(variableName)).union(ServiceConfig.notSettings)
        let unknownVariables = variables.subtracting(names).sorted().map { "The variable \($0) is not a setting." }
        return problems + unknownKeys + unknownVariables
    }

    private mutating func isSet(_ key: String) -> Bool {
        known.insert(key)
        return keysInFile.contains(key) || variables.contains(variableName(key))
    }

    private func variableName(_ key: String) -> String {
        "HEPAR_" + key.uppercased().replacingOccurrences(of: ".", with: "_")
    }
}

/// A list or a map where a key belongs.
private struct KeyIsNoName: Error { let line: Int }

/// `a: {b: 1}` has the key `a.b`. Works on nodes: Yams traps when it makes a dictionary whose key is a map.
private func flattenedKeys(_ node: Node, prefix: String = "") throws(KeyIsNoName) -> Set<String> {
    guard let map = node.mapping else { return prefix.isEmpty ? [] : [prefix] }
    var keys: Set<String> = []
    for (key, value) in map {
        guard let name = key.scalar?.string else { throw KeyIsNoName(line: key.mark?.line ?? 1) }
        keys.formUnion(try flattenedKeys(value, prefix: prefix.isEmpty ? name : "\(prefix).\(name)"))
    }
    return keys
}

import ArgumentParser
import Bridge
import Foundation
import Logging
import Telemetry

/// `hepar bridge`: programs between Hepar and an archive.
struct BridgeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bridge", abstract: "Bring an archive's series to Hepar, and results back.",
        subcommands: [BridgeOrthanc.self])
}

/// `hepar bridge orthanc`: from Orthanc's log of changes to Hepar, and back.
struct BridgeOrthanc: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "orthanc",
        abstract: "Send the CT series of each stable study in Orthanc, and store DICOM segmentations back.",
        discussion: """
            Runs until SIGTERM. Each segmentation series has the report attached, as JSON (4701) and as a page (4702); what \
            became of a CT series is its metadata 4700. Secrets come by the environment: BRIDGE_HEPAR_TOKEN, and \
            BRIDGE_ORTHANC_USER with BRIDGE_ORTHANC_PASSWORD.
            """)

    @Option(help: "Orthanc's address.")
    var orthanc = "http://127.0.0.1:8042"

    @Option(help: "Hepar's address.")
    var hepar = "http://127.0.0.1:8080"

    @Option(help: "Where it is kept how far the bridge has come; a folder beside it holds a series on its way.")
    var state = "hepar-bridge.json"

    @Flag(help: "Without a state, begin with the archive's first change instead of the next.")
    var fromTheFirst = false

    @Option(help: "Series of fewer instances are passed over.")
    var instancesNeeded = 10

    @Option(help: "Seconds between two looks at the log of changes.")
    var interval = 2.0

    @Option(help: "How log lines look: text or json.")
    var logFormat = LogFormat.text

    func validate() throws {
        guard (1...20_000).contains(instancesNeeded) else {
            throw ValidationError("instances-needed is \(instancesNeeded). It must be from 1 to 20000.")
        }
        guard (0.1...3600).contains(interval) else {
            throw ValidationError("interval is \(interval) s. It must be from 0.1 to 3600.")
        }
    }

    func run() throws {
        let format = logFormat
        LoggingSystem.bootstrap { format.handler(label: $0, level: .info) }
        let logger = Logger(label: "hepar.bridge")
        let environment = ProcessInfo.processInfo.environment
        var settings = OrthancBridge.Settings(orthanc: orthanc, hepar: hepar, state: URL(filePath: state))
        settings.user = environment["BRIDGE_ORTHANC_USER"]
        settings.password = environment["BRIDGE_ORTHANC_PASSWORD"]
        settings.token = environment["BRIDGE_HEPAR_TOKEN"]
        settings.fromTheFirst = fromTheFirst
        settings.instancesNeeded = instancesNeeded
        settings.interval = interval
        signal(SIGPIPE, SIG_IGN)
        let stop = StopSignal()
        try OrthancBridge(settings, logger: logger, isStopped: { stop.hasArrived }).run()
        logger.notice("stopped")
    }
}

extension LogFormat: ExpressibleByArgument {}

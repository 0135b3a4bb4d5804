public import Foundation
internal import HTTPClient
public import Logging

/// Sends the CT series of an Orthanc archive to Hepar, and stores the results back.
///
/// It follows Orthanc's log of changes. For each study that has become stable, each CT series goes to Hepar as one job;
/// its result is stored into the same study as a DICOM segmentation, with the report attached to it, and what became of
/// the series is noted in Orthanc, as metadata of the series.
///
/// After a restart on any side nothing is done twice: a series with a note is passed over; one without is sent under
/// the same Idempotency-Key and so is the same job; and the segmentation of a job is always the same instance.
public final class OrthancBridge {
    /// Where the servers are, and what is done.
    public struct Settings {
        /// Addresses such as `http://127.0.0.1:8042`.
        public var orthanc, hepar: String
        /// Of Orthanc; nil where it asks for none.
        public var user, password: String?
        /// Of Hepar; nil where it asks for none.
        public var token: String?
        /// Where it is kept how far the bridge has come. A folder of the same name with `.work` holds a series' files.
        public var state: URL
        /// Whether a bridge without a state begins with the first change of the archive, not with the next.
        public var fromTheFirst = false
        /// Series of fewer instances are no scans.
        public var instancesNeeded = 10
        /// Seconds between two looks at the log of changes.
        public var interval = 2.0

        /// Settings with the usual values.
        public init(orthanc: String, hepar: String, state: URL) {
            self.orthanc = orthanc
            self.hepar = hepar
            self.state = state
        }
    }

    private let settings: Settings
    private let isStopped: () -> Bool
    private let logger: Logger
    private let orthanc: Orthanc
    private let transfer: SeriesTransfer
    private let lock: Int32

    /// - Parameter isStopped: becomes true when the bridge is to end; asked about once a second.
    public init(_ settings: Settings, logger: Logger, isStopped: @escaping () -> Bool) throws(BridgeSetupError) {
        for address in [settings.orthanc, settings.hepar] {
            guard let url = URL(string: address), ["http", "https"].contains(url.scheme), url.host() != nil,
                url.user == nil, url.query == nil
            else {
                throw .badAddress(address)
            }
        }
        self.settings = settings
        self.isStopped = isStopped
        self.logger = logger
        func server(_ name: String, _ base: String, _ credentials: HTTPConnection.Credentials) -> RetryingClient {
            let base = base.hasSuffix("/") ? String(base.dropLast()) : base
            var asked = HTTPConnection.Settings()
            asked.credentials = credentials
            asked.userAgent = "hepar-bridge"
            // An upload is answered once it was judged, which takes minutes for a large scan.
            asked.silence = .seconds(900)
            return RetryingClient(
                name: name, connection: HTTPConnection(base, asked, isStopped: isStopped), isStopped: isStopped,
                logger: logger)
        }
        orthanc = Orthanc(
            server: server(
                "orthanc", settings.orthanc,
                settings.user.map { .user($0, password: settings.password ?? "") } ?? .none))
        let hepar = HeparServer(
            server: server("hepar", settings.hepar, settings.token.map { .token($0) } ?? .none))

        let work = settings.state.appendingPathExtension("work")
        lock = open(settings.state.appendingPathExtension("lock").path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw .cannotWrite(file: settings.state.path) }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else { throw .inUse(file: settings.state.path) }
        // Files of a patient that a killed bridge has left.
        try? FileManager.default.removeItem(at: work)
        transfer = SeriesTransfer(orthanc: orthanc, hepar: hepar, work: work)
    }

    deinit { if lock >= 0 { close(lock) } }

    /// Works until it is told to end.
    ///
    /// - Throws: ``BridgeSetupError`` where the state cannot be read or written.
    public func run() throws {
        do {
            try follow()
        } catch BridgeFault.stopped {
            return
        }
    }

    private func follow() throws {
        var state = try firstState()
        logger.notice(
            "following", metadata: ["orthanc": "\(settings.orthanc)", "change": .stringConvertible(state.change)])
        while true {
            let page = try orthanc.changes(since: state.change)
            for change in page.changes {
                switch change.kind {
                case "NewSeries":
                    state.waiting.append(BridgeState.NewSeries(id: change.resource, change: change.number))
                case "StableStudy":
                    let done = try study(change.resource, change: change.number)
                    state.waiting.removeAll { done.contains($0.id) }
                    state.change = change.number
                    try state.write(to: settings.state)
                default: break
                }
            }
            if page.last != state.change {
                state.change = page.last
                try state.write(to: settings.state)
            }
            if page.isDone {
                try lookAfterWaiting(&state)
                try orthanc.server.pause(settings.interval)
            }
        }
    }

    /// Works on studies that have become stable without a word of it in the log of changes.
    private func lookAfterWaiting(_ state: inout BridgeState) throws {
        for waiting in state.waiting {
            // Done with a series before it, or deleted.
            guard state.waiting.contains(waiting) else { continue }
            var done: Set = [waiting.id]
            if let series = try orthanc.series(waiting.id) {
                guard try orthanc.isStable(study: series.study) else { continue }
                done.formUnion(try study(series.study, change: waiting.change))
            }
            state.waiting.removeAll { done.contains($0.id) }
            try state.write(to: settings.state)
        }
    }

    private func firstState() throws -> BridgeState {
        let last = try orthanc.lastChange()
        guard let kept = try BridgeState(file: settings.state) else {
            let state = BridgeState(change: settings.fromTheFirst ? 0 : last)
            try state.write(to: settings.state)
            return state
        }
        guard kept.change <= last else {
            // An archive that knows fewer changes than were seen is another one.
            logger.warning(
                "Orthanc's changes begin anew",
                metadata: ["change": .stringConvertible(kept.change), "last": .stringConvertible(last)])
            return BridgeState(change: 0)
        }
        return kept
    }

    /// Works on all series of a study. What a server refuses ends the series, not the bridge.
    ///
    /// - Returns: the names of the study's series.
    private func study(_ id: String, change: Int) throws -> Set<String> {
        var logger = logger
        // Orthanc's own names are made of the patient's; the number leads there for those who may ask Orthanc.
        logger[metadataKey: "change"] = .stringConvertible(change)
        let all = try passingOver(logger) { try orthanc.series(ofStudy: id) } ?? []
        for series in all where series.tags.modality == "CT" && series.instances.count >= settings.instancesNeeded {
            _ = try passingOver(logger) { try transfer.run(series, logger: logger) }
        }
        return Set(all.map(\.id))
    }

    private func passingOver<Result>(_ logger: Logger, _ body: () throws -> Result) throws -> Result? {
        do {
            return try body()
        } catch BridgeFault.refused(let code) {
            logger.error("passed over", metadata: ["code": "\(code)"])
            return nil
        }
    }
}

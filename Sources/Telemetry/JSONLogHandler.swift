import Foundation
public import Logging
import Synchronization

/// How log lines look.
public enum LogFormat: String, CaseIterable, Sendable {
    /// swift-log's own lines, for people.
    case text
    /// One JSON object a line, for programs; see ``JSONLogHandler``.
    case json

    /// A handler that writes such lines to standard error, for `LoggingSystem.bootstrap`.
    public func handler(label: String, level: Logger.Level) -> any LogHandler {
        var handler: any LogHandler =
            switch self {
            case .text: StreamLogHandler.standardError(label: label)
            case .json: JSONLogHandler(label: label)
            }
        handler.logLevel = level
        return handler
    }
}

/// Writes each log event as one JSON object on one line.
///
/// ```json
/// {"time":"2027-01-15T08:00:00.123Z","level":"info","label":"hepar","message":"job queued","bytes":512,"job":"…"}
/// ```
///
/// The first four members are always there, in this order: the time in UTC to the millisecond (RFC 3339), the level,
/// the logger's label, the message. Then comes the metadata, sorted by key. What is
/// logged as a number or truth value, as `.stringConvertible(512)`, is one here too; everything else is a string, so
/// that a text of digits does not change a member's type from line to line. Dictionaries and lists are flattened:
/// `size.x`, `files.0`. A key that is one of the first four, or `error`, gets `metadata.` before it. Every control character is escaped, as are the invisible ones that turn a terminal's text around, so that
/// nothing that is logged can look like another line.
public struct JSONLogHandler: LogHandler {
    /// Added to every event; the event's own wins.
    public var metadata = Logger.Metadata()
    /// Added to every event when it is logged; what is in ``metadata`` wins.
    public var metadataProvider: Logger.MetadataProvider?
    /// The least severe events that are written.
    public var logLevel = Logger.Level.info

    private let label: String
    private let now: @Sendable () -> Date
    private let write: @Sendable (String) -> Void

    /// A handler that writes to standard error, whole lines in the order they come.
    public init(label: String) {
        self.init(label: label, now: { Date() }, write: writeToStandardError)
    }

    /// A handler that gives each line, with the line feed at its end, to `write`.
    init(label: String, now: @escaping @Sendable () -> Date, write: @escaping @Sendable (String) -> Void) {
        self.label = label
        self.now = now
        self.write = write
        metadataProvider = LoggingSystem.metadataProvider
    }

    /// One item of ``metadata``.
    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes an event.
    public func log(event: LogEvent) {
        var all = metadataProvider?.get() ?? [:]
        all.merge(metadata) { $1 }
        all.merge(event.metadata ?? [:]) { $1 }
        var members: [String: String] = [:]
        for (key, value) in all { flatten(value, key: key, into: &members) }

        var line = "{\"time\":\"\(now().formatted(Self.timeFormat))\",\"level\":\"\(event.level.rawValue)\""
        line += ",\"label\":\(quoted(label)),\"message\":\(quoted(event.message.description))"
        if let error = event.error { line += ",\"error\":\(quoted("\(error)"))" }
        for (key, value) in members.sorted(by: { $0.key < $1.key }) { line += ",\(quoted(key)):\(value)" }
        write(line + "}\n")
    }

    private static let ownMembers: Set<String> = ["time", "level", "label", "message", "error"]
    private static let timeFormat = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

    /// Adds what `value` holds to `members`, as JSON.
    private func flatten(_ value: Logger.Metadata.Value, key: String, into members: inout [String: String]) {
        let name = Self.ownMembers.contains(key) ? "metadata.\(key)" : key
        switch value {
        case .string(let text): members[name] = quoted(text)
        case .stringConvertible(let value as any BinaryInteger): members[name] = "\(value)"
        case .stringConvertible(let value as Bool): members[name] = "\(value)"
        case .stringConvertible(let value as Double) where value.isFinite: members[name] = "\(value)"
        case .stringConvertible(let value): members[name] = quoted("\(value)")
        case .dictionary(let inner):
            for (name, value) in inner { flatten(value, key: "\(key).\(name)", into: &members) }
        case .array(let inner):
            for (index, value) in inner.enumerated() { flatten(value, key: "\(key).\(index)", into: &members) }
        }
    }
}

/// `text` as a JSON string. JSON would let characters pass that are not seen or that turn a terminal's text around:
/// they are escaped too, which is safe inside a string.
private func quoted(_ text: String) -> String {
    guard let json = try? jsonEncoder.encode(text) else { return "\"\"" }
    var result = ""
    for scalar in String(decoding: json, as: UTF8.self).unicodeScalars {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse:
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result
}

private let jsonEncoder = {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    return encoder
}()

private let standardErrorLock = Mutex(())

/// The whole line, before any other thread's. A standard error that takes nothing more is no reason to stop.
private func writeToStandardError(_ line: String) {
    var line = line
    line.withUTF8 { bytes in
        standardErrorLock.withLock { _ in
            var rest = UnsafeRawBufferPointer(bytes)
            while !rest.isEmpty {
                let written = Glibc.write(STDERR_FILENO, rest.baseAddress, rest.count)
                if written < 0 && errno == EINTR { continue }
                guard written > 0 else { return }
                rest = UnsafeRawBufferPointer(rebasing: rest[written...])
            }
        }
    }
}

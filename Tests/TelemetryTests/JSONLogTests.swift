import Foundation
import Logging
import Synchronization
import Testing

@testable import Telemetry

@Suite struct JSONLogTests {
    @Test func aLineHoldsEverythingInOrder() {
        let (logger, lines) = make()
        var child = logger
        child[metadataKey: "request"] = "r-1"
        child.info(
            "job queued",
            metadata: [
                "bytes": .stringConvertible(512), "size": ["x": "64", "y": .stringConvertible(-0.5)],
                "files": ["a", ["b", "c"]],
                "request": "r-2",
            ])
        logger.error("no more")
        #expect(
            lines.all == [
                #"{"time":"2027-01-15T08:00:00.250Z","level":"info","label":"hepar","message":"job queued","#
                    + #""bytes":512,"files.0":"a","files.1.0":"b","files.1.1":"c","request":"r-2","size.x":"64","#
                    + #""size.y":-0.5}"# + "\n",
                #"{"time":"2027-01-15T08:00:00.250Z","level":"error","label":"hepar","message":"no more"}"# + "\n",
            ])
    }

    /// Whatever is logged, a line is one JSON object whose members are those that were meant.
    @Test(arguments: [
        "", "plain", "quote \" slash \\ /", "line\nfeed\rreturn\ttab", "\u{0}\u{1}\u{1F}\u{7F}\u{85}\u{9F}",
        "\u{2028}\u{2029}", "\u{202E}gnp.\u{2066}x", "\u{FEFF}\u{200B}\u{E0041}", "\u{1B}[31mred", "Ü 漢字 🫀 e\u{301}",
        "\"}\n{\"level\":\"error\"}", "\r\n", "\u{FFFF}\u{10FFFF}", "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    ])
    func nothingBreaksOut(text: String) throws {
        let (logger, lines) = make(label: text)
        logger.warning("\(text)", metadata: ["key \(text)": "\(text)", "time": "\(text)"])
        let line = try #require(lines.all.first)
        #expect(lines.all.count == 1 && line.hasSuffix("}\n"))
        #expect(line.unicodeScalars.dropLast().allSatisfy { isVisible($0) })
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String]
        let expected = [
            "time": "2027-01-15T08:00:00.250Z", "level": "warning", "label": text, "message": text,
            "key \(text)": text, "metadata.time": text,
        ]
        let members = try #require(object)
        #expect(members.count == expected.count)
        for (key, value) in expected {
            let found = try #require(members[key])
            #expect(Array(found.unicodeScalars) == Array(value.unicodeScalars), "\(key)")
        }
    }

    @Test func errorsAndProvidersAreTold() {
        struct Broken: Error, CustomStringConvertible { let description = "disk \"full\"" }
        let lines = Lines()
        var handler = JSONLogHandler(label: "a", now: { Date(timeIntervalSince1970: 0) }, write: { lines.add($0) })
        handler.metadataProvider = Logger.MetadataProvider { ["trace": "t", "own": "provider"] }
        handler[metadataKey: "own"] = "logger"
        #expect(handler[metadataKey: "own"] == "logger")
        let logger = Logger(label: "a") { _ in handler }
        logger.error("failed", error: Broken(), metadata: ["error": "mine", "own": "event"])
        #expect(
            lines.all == [
                #"{"time":"1970-01-01T00:00:00.000Z","level":"error","label":"a","message":"failed","#
                    + #""error":"disk \"full\"","metadata.error":"mine","own":"event","trace":"t"}"# + "\n"
            ])
    }

    /// Numbers are numbers wherever JSON has them; digits in a text stay text, whoever is called "512".
    @Test func onlyNumbersAreNumbers() throws {
        let (logger, lines) = make()
        logger.info(
            "x",
            metadata: [
                "a": .stringConvertible(UInt64.max), "b": .stringConvertible(1e300), "c": .stringConvertible(true),
                "d": .stringConvertible(Double.nan), "e": .stringConvertible(-Double.infinity), "f": "512",
                "level": .stringConvertible(3), "g": .stringConvertible(URL(filePath: "/a")),
            ])
        let line = try #require(lines.all.first)
        #expect(
            line.hasSuffix(
                #""message":"x","a":18446744073709551615,"b":1e+300,"c":true,"d":"nan","e":"-inf","f":"512","#
                    + #""g":"file:///a","metadata.level":3}"# + "\n"))
        #expect(try JSONSerialization.jsonObject(with: Data(line.utf8)) is [String: Any])
    }

    @Test func levelsAndMetadataAreValues() {
        let (logger, lines) = make()
        var quiet = logger
        quiet.logLevel = .error
        quiet[metadataKey: "a"] = "b"
        quiet.info("hidden")
        logger.debug("hidden")
        logger.info("shown")
        #expect(lines.all.count == 1 && !lines.all[0].contains("\"a\""))
        for level in Logger.Level.allCases {
            var handler = LogFormat.json.handler(label: "x", level: level)
            #expect(handler is JSONLogHandler && handler.logLevel == level)
            handler = LogFormat.text.handler(label: "x", level: level)
            #expect(handler is StreamLogHandler && handler.logLevel == level)
        }
    }

    private func make(label: String = "hepar") -> (Logger, Lines) {
        let lines = Lines()
        let handler = JSONLogHandler(
            label: label, now: { Date(timeIntervalSince1970: 1_800_000_000.25) }, write: { lines.add($0) })
        return (Logger(label: label) { _ in handler }, lines)
    }

    private func isVisible(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }
}

/// Lines kept from any thread.
private final class Lines: Sendable {
    private let kept = Mutex<[String]>([])

    var all: [String] { kept.withLock { $0 } }

    func add(_ line: String) { kept.withLock { $0.append(line) } }
}

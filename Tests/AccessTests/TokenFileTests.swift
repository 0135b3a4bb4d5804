import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

@testable import Access

@Suite struct TokenFileTests {
    /// A mounted secret is replaced by turning a link: the old tokens must not stay good.
    @Test func aTurnedLinkIsFollowed() throws {
        try withTemporaryFolder { folder in
            let link = folder.appending(path: "tokens.yaml")
            for name in ["old", "new"] {
                let target = folder.appending(path: "\(name).yaml")
                _ = try TokenFile(target).add(name: name, roles: [.admin])
            }
            let manager = FileManager.default
            try manager.createSymbolicLink(at: link, withDestinationURL: folder.appending(path: "old.yaml"))
            let file = TokenFile(link)
            #expect(try file.load().entries.map(\.name) == ["old"])
            let before = file.stamp()
            try manager.removeItem(at: link)
            try manager.createSymbolicLink(at: link, withDestinationURL: folder.appending(path: "new.yaml"))
            #expect(try file.load().entries.map(\.name) == ["new"])
            #expect(file.stamp() != before)
        }
    }

    @Test func editsMakeTheFileForItsOwnerOnly() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "tokens.yaml")
            let file = TokenFile(url)
            #expect(throws: TokenFileError.missing(file.path)) { try file.load() }
            let secret = try file.add(name: "one", roles: [.admin])
            #expect(try mode(url) == 0o600)
            #expect(try file.load().caller(presenting: secret.text, at: Date()).name == "one")
            #expect(try !String(contentsOf: url, encoding: .utf8).contains(secret.text))

            chmod(url.path, 0o644)
            _ = try file.add(name: "two", roles: [.submit])
            #expect(try mode(url) == 0o600)
            try file.revoke("one")
            #expect(throws: TokenFileError.refused(.noSuchToken("one"))) { try file.revoke("one") }
            #expect(try file.load().entries.map(\.name) == ["two"])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["tokens.yaml"])
        }
    }

    @Test func aRefusedEditChangesNothing() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "tokens.yaml")
            let file = TokenFile(url)
            _ = try file.add(name: "one", roles: [.admin])
            let before = try Data(contentsOf: url)
            #expect(throws: TokenFileError.refused(.nameTaken("one"))) {
                try file.edit { (book) throws(TokenBookError) in
                    try book.revoke("one")
                    _ = try book.add(name: "two", roles: [.admin])
                    _ = try book.add(name: "one", roles: [.admin])
                    _ = try book.add(name: "one", roles: [.admin])
                }
            }
            #expect(try Data(contentsOf: url) == before)
            try Data("tokens: [".utf8).write(to: url)
            #expect(throws: TokenFileError.self) { try file.edit { (_) throws(TokenBookError) in } }
            #expect(try Data(contentsOf: url) == Data("tokens: [".utf8))
        }
    }

    @Test func editsAtOnceAllCount() throws {
        try withTemporaryFolder { folder in
            let file = TokenFile(folder.appending(path: "tokens.yaml"))
            DispatchQueue.concurrentPerform(iterations: 16) { index in
                _ = try? file.add(name: "t\(index)", roles: [.submit])
            }
            let names = try file.load().entries.map(\.name)
            #expect(Set(names) == Set((0..<16).map { "t\($0)" }))
        }
    }

    @Test func linksAreFollowed() throws {
        try withTemporaryFolder { folder in
            let real = folder.appending(path: "real.yaml")
            let link = folder.appending(path: "link.yaml")
            _ = try TokenFile(real).add(name: "a", roles: [.admin])
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: real)
            _ = try TokenFile(link).add(name: "b", roles: [.admin])
            #expect(try TokenFile(real).load().entries.map(\.name) == ["a", "b"])
        }
    }

    @Test func whatOthersMayWriteIsNotTrusted() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "tokens.yaml")
            let file = TokenFile(url)
            _ = try file.add(name: "a", roles: [.admin])
            for bits in [0o620, 0o602, 0o666] as [mode_t] {
                chmod(url.path, bits)
                #expect(throws: TokenFileError.writableByOthers(file.path)) { try file.load() }
            }
            chmod(url.path, 0o444)
            #expect(try file.load().entries.count == 1)
            #expect(throws: TokenFileError.notATokenFile(folder.path)) { try TokenFile(folder).load() }
            try Data([0xFF, 0xFE]).write(to: url)
            #expect(throws: TokenFileError.notATokenFile(file.path)) { try file.load() }
        }
    }

    @Test func theWatchSeesEditsOnceASecond() throws {
        try withTemporaryFolder { folder in
            let file = TokenFile(folder.appending(path: "tokens.yaml"))
            let log = LogLines()
            let logger = Logger(label: "test") { _ in log }
            let start = ContinuousClock.now
            #expect(throws: TokenFileError.missing(file.path)) { try TokenWatch(file, logger: logger, at: start) }

            _ = try file.add(name: "a", roles: [.admin])
            let watch = try TokenWatch(file, logger: logger, at: start)
            _ = try file.add(name: "b", roles: [.admin])
            #expect(watch.book(at: start + .milliseconds(999)).entries.count == 1)
            #expect(watch.book(at: start + .milliseconds(1_000)).entries.count == 2)
            #expect(log.lines == ["tokens read again"])
            #expect(watch.book(at: start + .seconds(5)).entries.count == 2)
            #expect(log.lines.count == 1)
        }
    }

    @Test func aBrokenFileLeavesTheTokensInForce() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "tokens.yaml")
            let file = TokenFile(url)
            let log = LogLines()
            _ = try file.add(name: "a", roles: [.admin])
            let start = ContinuousClock.now
            let watch = try TokenWatch(file, logger: Logger(label: "test") { _ in log }, at: start)

            let good = try Data(contentsOf: url)
            try Data("tokens: [".utf8).write(to: url)
            for second in 1...3 { #expect(watch.book(at: start + .seconds(second)).entries.count == 1) }
            guard case .syntax? = watch.problem else {
                Issue.record("\(String(describing: watch.problem))")
                return
            }
            try FileManager.default.removeItem(at: url)
            #expect(watch.book(at: start + .seconds(4)).entries.count == 1)
            #expect(watch.problem == .missing(file.path))
            try good.write(to: url)
            chmod(url.path, 0o600)
            #expect(watch.book(at: start + .seconds(5)).entries.count == 1)
            #expect(watch.problem == nil)
            let stay = "tokens cannot be read; the last ones stay"
            #expect(log.lines == [stay, stay, "tokens read again"])
        }
    }

    private func mode(_ url: URL) throws -> Int {
        try FileManager.default.attributesOfItem(atPath: url.path)[.posixPermissions] as? Int ?? 0
    }
}

/// A log handler that keeps the messages.
final class LogLines: LogHandler, Sendable {
    private let kept = Mutex<[String]>([])

    var lines: [String] { kept.withLock { $0 } }

    func log(event: LogEvent) { kept.withLock { $0.append(event.message.description) } }

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

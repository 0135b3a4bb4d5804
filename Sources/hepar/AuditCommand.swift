import ArgumentParser
import Foundation
import Jobs
import SQLiteJobs

/// `hepar audit`: who did what, from the database of a server that may be running.
struct Audit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the audit table: who sent, read, changed and deleted what.",
        discussion: "One entry a line, oldest first. Entries are never changed; they hold nothing of a patient.")

    @OptionGroup var options: ConfigOptions

    @Option(help: "Only entries after this number.")
    var after = 0

    @Flag(help: "One JSON object a line.")
    var json = false

    func run() async throws {
        let config = try await options.load()
        let file = URL(filePath: config.dataFolder).appending(path: "jobs.sqlite")
        guard FileManager.default.fileExists(atPath: file.path) else {
            throw UserError("There is no job database in \(config.dataFolder). Name the folder in data.folder.")
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        try SQLiteJobStore.readAudit(in: file, after: after) { entries in
            for entry in entries {
                print(json ? String(decoding: try encoder.encode(entry), as: UTF8.self) : Self.line(entry))
            }
        }
    }

    private static func line(_ entry: AuditEntry) -> String {
        [
            "\(entry.sequence)", entry.time.formatted(.iso8601), entry.actor, entry.action,
            entry.job.map { "\($0)" } ?? "-", entry.outcome, entry.request ?? "-",
        ].joined(separator: "  ")
    }
}

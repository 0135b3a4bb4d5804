import ArgumentParser
import Foundation
import Jobs
import SQLiteJobs

/// `hepar audit`: who did what, from the database of a server that may be running.
struct Audit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the audit table: who sent, read, changed and deleted what.",
        discussion: """
            One entry a line, oldest first. Entries are never changed; they hold nothing of a patient. With --export they \
            are moved out of the database into a file of JSON lines; the server does so by itself with what is older than \
            data.audit_keep_days, into its data folder.
            """)

    @OptionGroup var options: ConfigOptions

    @Option(help: "Only entries after this number.")
    var after = 0

    @Flag(help: "One JSON object a line.")
    var json = false

    @Option(help: "Move entries into a new file in this folder.")
    var export: String?

    @Option(help: "With --export: only entries older than so many days.")
    var olderThanDays = 0

    func validate() throws {
        guard (0...36_500).contains(olderThanDays) else {
            throw ValidationError("--older-than-days must be from 0 to 36500.")
        }
        guard export != nil || olderThanDays == 0 else {
            throw ValidationError("--older-than-days is for --export.")
        }
        guard export == nil || (after == 0 && !json) else {
            throw ValidationError("--export takes entries from the beginning, as JSON: leave out --after and --json.")
        }
    }

    func run() async throws {
        let config = try await options.load()
        let file = URL(filePath: config.dataFolder).appending(path: "jobs.sqlite")
        guard FileManager.default.fileExists(atPath: file.path) else {
            throw UserError("There is no job database in \(config.dataFolder). Name the folder in data.folder.")
        }
        let log = try AuditFile(file)
        if let export { return try move(log, to: URL(filePath: export)) }
        var last = after
        while case let entries = try log.entries(after: last), let final = entries.last {
            for entry in entries {
                print(json ? String(decoding: try entry.jsonLine(), as: UTF8.self) : Self.line(entry))
            }
            last = final.sequence
        }
    }

    private func move(_ log: some AuditLog, to folder: URL) throws {
        guard FileManager.default.isWritableFile(atPath: folder.path) else {
            throw UserError("\(folder.path) cannot be written. Choose a folder that exists and that you may write to.")
        }
        let limit = Date() - Double(olderThanDays) * 86_400
        if let (file, entries) = try log.export(olderThan: limit, to: folder) {
            print("\(entries) entries are in \(file.path) now, and no longer in the database.")
        } else {
            print("No entry is so old.")
        }
    }

    private static func line(_ entry: AuditEntry) -> String {
        let words = [
            "\(entry.sequence)", entry.time.formatted(.iso8601), entry.actor, entry.action,
            entry.job.map { "\($0)" } ?? "-", entry.outcome, entry.request ?? "-",
        ]
        return (words + (entry.count == 1 ? [] : ["\(entry.count) times"])).joined(separator: "  ")
    }
}

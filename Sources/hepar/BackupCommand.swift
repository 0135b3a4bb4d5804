import ArgumentParser
import Cases
import Foundation
import Service
import Work

/// `hepar backup`: a consistent copy of the data folder of a server that may be running.
struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copy the data folder, also while the server runs.",
        discussion: """
            Copies the job database, the files of all jobs, the signing key and whatever file lies beside them into a new \
            folder, with SHA256SUMS of them all. To restore, put the copy in the data folder's place and start the server. \
            The copy is as confidential as the scans.
            """)

    @OptionGroup var options: ConfigOptions

    @Flag(help: "Copy nothing: hold the copy in the folder against its SHA256SUMS.")
    var verify = false

    @Argument(help: "The folder that is made, best on another disk; with --verify the one that was made.")
    var folder: String

    func run() async throws {
        if verify {
            print(Self.summary(of: try Backup.verify(URL(filePath: folder)), "is as it was written"))
            return
        }
        let config = try await options.load()
        let backup = try Backup(of: URL(filePath: config.dataFolder), to: URL(filePath: folder))
        print(Self.summary(of: try backup.make(), "copied to \(backup.destination.path)"))
    }

    private static func summary(of contents: Backup.Contents, _ verb: String) -> String {
        var lines = [
            "\(contents.jobs) jobs, \(contents.files) files, \(contents.bytes) bytes: \(verb)."
        ]
        if contents.dropped > 0 {
            lines.append("Jobs that were deleted meanwhile and are left out: \(contents.dropped).")
        }
        if contents.incomplete.isEmpty {
            lines.append("Each job has its files.")
        } else {
            lines.append("These jobs have lost files, in the data folder already:")
            lines += contents.incomplete.map { "  \($0)" }
        }
        return lines.joined(separator: "\n")
    }
}

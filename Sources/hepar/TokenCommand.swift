import Access
import ArgumentParser
import Foundation

/// `hepar token`: who may use the service.
struct Token: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make, list and revoke the tokens that the service accepts.",
        discussion: """
            The file holds hashes of tokens, not the tokens. A running server sees a change within a second or so: name \
            the file in its configuration as auth.tokens_file.
            """,
        subcommands: [Add.self, List.self, Revoke.self])

    /// Which file.
    struct FileOption: ParsableArguments {
        @Option(name: .customLong("file"), help: "The file of tokens; the server's auth.tokens_file.")
        var path: String

        var tokens: TokenFile { TokenFile(URL(filePath: path)) }
    }

    struct Add: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a token and print it. It is shown this once and kept nowhere.")

        @OptionGroup var file: FileOption

        @Argument(help: "Who will use it, such as pacs-bridge. Jobs and audit entries are kept under this name.")
        var name: String

        @Option(
            name: .customLong("role"), parsing: .upToNextOption,
            help: """
                submit: send scans, withdraw them; stat: beside submit, send them with priority stat; read_own: see its own \
                jobs; read_all: see every job; admin: everything.
                """)
        var roles: [Role]

        @Option(help: "The most jobs it may have waiting. (default: as many as the queue takes)")
        var queuedJobs: Int?

        @Option(help: "The most MiB of uploads it may have waiting. (default: as many as the disk takes)")
        var queuedMib: Int?

        @Option(help: "The most MiB that its jobs' files may have. (default: quota.stored_mib of the server)")
        var storedMib: Int?

        @Option(help: "The most MiB of uploads under way at once. (default: quota.in_flight_mib of the server)")
        var inFlightMib: Int?

        @Option(help: "Refuse it from so many days on. (default: never)")
        var expiresInDays: Int?

        func run() throws {
            let quota = Quota(
                queuedJobs: queuedJobs, queuedBytes: queuedMib.map { $0 << 20 },
                storedBytes: storedMib.map { $0 << 20 }, inFlightBytes: inFlightMib.map { $0 << 20 })
            let expires = expiresInDays.map { Date() + Double($0) * 86_400 }
            print(try file.tokens.add(name: name, roles: Set(roles), quota: quota, expires: expires).text)
        }

        func validate() throws {
            let sizes = [("--queued-mib", queuedMib), ("--stored-mib", storedMib), ("--in-flight-mib", inFlightMib)]
            for (option, mebibytes) in sizes {
                guard mebibytes.map({ (1...1 << 32).contains($0) }) ?? true else {
                    throw ValidationError("\(option) must be from 1 to \(1 << 32).")
                }
            }
            guard expiresInDays.map({ (1...36_500).contains($0) }) ?? true else {
                throw ValidationError("--expires-in-days must be from 1 to 36500.")
            }
        }
    }

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The tokens' names, roles, quotas and ends.")

        @OptionGroup var file: FileOption

        func run() throws {
            for entry in try file.tokens.load().entries {
                var facts = [entry.name, entry.roles.map(\.rawValue).sorted().joined(separator: ",")]
                facts.append("created \(entry.created.formatted(.iso8601))")
                if let expires = entry.expires {
                    let word = entry.isExpired(at: Date()) ? "expired" : "expires"
                    facts.append("\(word) \(expires.formatted(.iso8601))")
                }
                if let jobs = entry.quota.queuedJobs { facts.append("at most \(jobs) jobs waiting") }
                if let bytes = entry.quota.queuedBytes { facts.append("at most \(bytes >> 20) MiB waiting") }
                if let bytes = entry.quota.storedBytes { facts.append("at most \(bytes >> 20) MiB stored") }
                if let bytes = entry.quota.inFlightBytes { facts.append("at most \(bytes >> 20) MiB under way") }
                print(facts.joined(separator: "  "))
            }
        }
    }

    struct Revoke: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Refuse a token from now on.")

        @OptionGroup var file: FileOption

        @Argument(help: "The token's name.")
        var name: String

        func run() throws { try file.tokens.revoke(name) }
    }
}

extension Role: ExpressibleByArgument {}

import ArgumentParser
import Foundation

/// `hepar health`: whether the server on this machine is ready, for the health checks of containers.
struct Health: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask the server on this machine whether it is ready.",
        discussion: "Prints one line. Ends with status 0 if it is, and with 1 if it is not or does not answer.")

    @OptionGroup var options: ConfigOptions

    @Option(help: "Which server to ask, as http://127.0.0.1:8080. (default: the one of the configuration)")
    var url: String?

    @Flag(help: "Ask only whether it lives: /healthz instead of /readyz.")
    var live = false

    func run() async throws {
        let (host, port) = try await place()
        let path = live ? "/healthz" : "/readyz"
        do {
            let answer = try LocalConnection(host: host, port: port, seconds: 5).get(path)
            print(answer.body.isEmpty ? "status \(answer.status)" : answer.body)
            guard answer.status == 200 else { throw ExitCode(1) }
        } catch let error as LocalConnectionError {
            print("\(host):\(port) cannot be asked: \(error).")
            throw ExitCode(1)
        }
    }

    private func place() async throws -> (host: String, port: Int) {
        guard let url else {
            let config = try await options.load()
            return (config.host, config.port)
        }
        guard let match = url.wholeMatch(of: /http:\/\/(?:\[([0-9a-fA-F:.]+)\]|([^\/:\[\]@]+))(?::([0-9]{1,5}))?\/?/),
            let host = match.1 ?? match.2, let port = Int(match.3 ?? "80"), port <= 65_535
        else {
            throw UserError("\(url) is not the address of a server. Give one as http://127.0.0.1:8080.")
        }
        return (String(host), port)
    }
}

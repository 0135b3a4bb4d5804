import ArgumentParser
import Foundation
import HTTPClient

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
        let answer = HTTPConnection(host: host, port: port, timeout: .seconds(5)).send(HTTPRequest(path: path))
        if let fault = answer.fault {
            print("\(host):\(port) cannot be asked: \(fault).")
            throw ExitCode(1)
        }
        let body = String(decoding: answer.body, as: UTF8.self)
        print(body.isEmpty ? "status \(answer.status)" : body)
        guard answer.status == 200 else { throw ExitCode(1) }
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

extension HTTPConnection {
    /// To the server on this machine that listens on `host`; where that is every address, loopback is asked.
    ///
    /// - Parameter timeout: the longest time for a request.
    convenience init(host: String, port: Int, timeout: Duration) {
        let host = ["0.0.0.0": "127.0.0.1", "::": "::1"][host] ?? host
        var settings = Settings()
        settings.totalTimeout = timeout
        self.init("http://\(host.contains(":") ? "[\(host)]" : host):\(port)", settings)
    }
}

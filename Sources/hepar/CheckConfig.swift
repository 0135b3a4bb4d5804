import ArgumentParser
import Cases
import Foundation
import Service
import Work

/// `hepar check-config`: what the service would run with, or everything that is wrong.
struct CheckConfig: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config", abstract: "Check the configuration and print the values in force.",
        discussion: "What it finds nothing wrong with, serve starts with; it tells every fault at once.")

    @OptionGroup var options: ConfigOptions

    func run() async throws {
        let startup = try await Startup(options)
        for warning in startup.warnings { FileHandle.standardError.write(Data("hepar: \(warning)\n".utf8)) }
        for (key, value) in startup.config.effectiveSettings { print("\(key): \(value)") }
    }
}

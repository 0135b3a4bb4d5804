import ArgumentParser
import Compute
import Foundation
import Segmentation
import Service

/// `hepar check-config`: what the service would run with, or everything that is wrong.
struct CheckConfig: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config", abstract: "Check the configuration and print the values in force.")

    @OptionGroup var options: ConfigOptions

    func run() async throws {
        let config = try await options.load()
        _ = try Segmenter(
            models: URL(filePath: config.modelFolder), algorithm: config.algorithm,
            team: ThreadTeam(threads: config.computeThreads))
        for (key, value) in config.effectiveSettings { print("\(key): \(value)") }
    }
}

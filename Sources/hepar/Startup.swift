import Cases
import Compute
import Foundation
import Inference
import Segmentation
import Service
import Work

/// What `hepar serve` starts with and `hepar check-config` judges: the settings in force, and the models.
struct Startup {
    let config: ServiceConfig
    let segmenter: Segmenter
    /// What the operator should know, though the server starts: sentences.
    let warnings: [String]

    /// Reads the configuration and the models, and looks at every file that is named.
    ///
    /// - Parameter variables: settings that win over the environment, named as there.
    /// - Throws: ``ConfigError`` with every fault there is.
    init(_ options: ConfigOptions, over variables: [String: String] = [:]) async throws(ConfigError) {
        let environment = ProcessInfo.processInfo.environment.merging(variables) { $1 }
        var (config, problems) = try await ServiceConfig.read(file: options.file, environment: environment)
        problems += config.faults
        if config.modelFolder == ServiceConfig().modelFolder {
            config.modelFolder = EngineOptions.defaultModelFolder.path
        }
        var warnings: [String] = []
        config.computeThreads = AvailableCores.cap(config.computeThreads, named: "compute.threads") {
            warnings.append($0)
        }
        let models = URL(filePath: config.modelFolder)
        var segmenter: Segmenter?
        do throws(ModelError) {
            segmenter = try Segmenter(
                models: models, algorithm: config.algorithm, team: ThreadTeam(threads: config.computeThreads))
        } catch {
            problems.append(
                """
                model.folder is \(models.path): \(error) Name the folder that holds liver.safetensors and \
                lesion.safetensors, in model.folder or by --model.
                """)
        }
        guard let segmenter, problems.isEmpty else { throw ConfigError(problems: problems) }
        self.segmenter = segmenter
        self.config = config
        self.warnings = warnings
    }
}

import ArgumentParser
import Compute
import Foundation
import Inference
import Segmentation

/// Options of every command that runs the network.
struct EngineOptions: ParsableArguments {
    @Option(help: "The model folder: liver.safetensors and lesion.safetensors.")
    var model: String?

    @OptionGroup var threads: ThreadOption

    @Option(help: "How convolutions are computed: \(Algorithm.allCases.map(\.rawValue).joined(separator: ", ")).")
    var algorithm = Algorithm.winograd

    @Option(
        help: ArgumentHelp(
            "Vector instructions: \(InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")).",
            visibility: .hidden))
    var instructions: InstructionSet?

    mutating func validate() throws {
        if let instructions, !instructions.isAvailable {
            throw ValidationError("This CPU has no \(instructions.rawValue).")
        }
    }

    /// The folder given, or `Models/default` of the working folder, or the one installed beside the executable.
    var modelFolder: URL { model.map { URL(filePath: $0) } ?? Self.defaultModelFolder }

    /// Where the model lies that is used when none is named.
    static var defaultModelFolder: URL {
        // Not the name that the program was called by: found by PATH, that is "hepar" in the working folder.
        let executable = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let candidates = [
            URL(filePath: "Models/default"), executable.appending(path: "../share/hepar/Models/default"),
            executable.appending(path: "../../../Models/default"),
        ]
        return candidates.first { FileManager.default.fileExists(atPath: $0.path) } ?? candidates[0]
    }
}

extension Algorithm: ExpressibleByArgument {}

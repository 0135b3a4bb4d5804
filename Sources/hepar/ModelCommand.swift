import ArgumentParser
import Compute
import Foundation
import Inference

/// `hepar model`: looks into a model file, or runs it on a tensor.
struct Model: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Describe or run one model file.", subcommands: [Info.self, Run.self])

    /// `hepar model info`
    struct Info: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the facts of a model.",
            discussion: "A folder's card.md says more: what it was trained on, how, its scores, and what it gets wrong."
        )

        @Argument(help: "A .safetensors file, or a model folder. (default: the default model)")
        var model: String?

        func run() throws {
            let url = model.map { URL(filePath: $0) } ?? EngineOptions.defaultModelFolder
            var isFolder: ObjCBool = false
            if FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder), isFolder.boolValue {
                let stages = ModelMetadata.Stage.allCases.map { url.appending(path: "\($0.rawValue).safetensors") }
                print(try stages.map(Self.facts).joined(separator: "\n\n"))
                let card = url.appending(path: "card.md")
                if FileManager.default.fileExists(atPath: card.path) { print("\ncard        \(card.path)") }
            } else {
                print(try Self.facts(of: url))
            }
        }

        private static func facts(of url: URL) throws -> String {
            let model = try ModelFile(reading: url)
            let metadata = model.metadata
            let spacing = metadata.spacing.map { "\($0.x) x \($0.y) x \($0.z) mm" } ?? "the scan's own"
            let parameters = model.tensors.values.reduce(0) { $0 + $1.values.count }
            return """
                stage       \(metadata.stage.rawValue)
                width       \(model.width)
                slices      \(model.slices)
                classes     \(model.classes)
                numbers     \(parameters)
                window      \(metadata.window.lowerBound) to \(metadata.window.upperBound) HU
                spacing     \(spacing)
                trained on  \(metadata.trainedOn)
                licence     \(metadata.licence)
                sha256      \(model.sha256 ?? "none")
                """
        }
    }

    /// `hepar model run`
    struct Run: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run the network on a tensor.",
            discussion: "Reads `input` (N, slices, H, W), values in [-1, 1], and writes `logits` (N, classes, H, W).")

        @Argument(help: "The model file.")
        var file: String

        @Argument(help: "A .safetensors file with the tensor `input`.")
        var input: String

        @Argument(help: "Where the tensor `logits` is written.")
        var output: String

        @OptionGroup var engine: EngineOptions

        func run() throws {
            let model = try ModelFile(reading: URL(filePath: file))
            let network = try Network(
                model, algorithm: engine.algorithm, instructions: engine.instructions,
                team: ThreadTeam(threads: engine.threads))
            guard let input = try Safetensors(reading: URL(filePath: input)).tensors["input"] else {
                throw UserError("The input file has no tensor named \"input\".")
            }
            let shape = input.shape
            guard shape.count == 4, shape[1] == model.slices, shape[0] > 0, shape[2] > 0, shape[2] % 16 == 0,
                shape[3] > 0, shape[3] % 16 == 0
            else {
                throw UserError(
                    "The tensor \"input\" has the shape \(shape). It must be (N, \(model.slices), H, W) with H and W multiples of 16."
                )
            }
            let plane = shape[2] * shape[3]
            let logits = [Float](unsafeUninitializedCapacity: shape[0] * model.classes * plane) { logits, count in
                input.values.withUnsafeBufferPointer { values in
                    let planes = (0..<shape[0] * shape[1]).map { values.baseAddress! + $0 * plane }
                    network.run(
                        planes: planes, batch: shape[0], height: shape[2], width: shape[3],
                        logits: logits.baseAddress!)
                }
                count = shape[0] * model.classes * plane
            }
            let result = Tensor(shape: [shape[0], model.classes, shape[2], shape[3]], values: logits)
            try Safetensors(metadata: [:], tensors: ["logits": result]).write(to: URL(filePath: output))
        }
    }
}

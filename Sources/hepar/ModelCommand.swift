import ArgumentParser
import Compute
import Foundation
import Inference
import Segmentation

/// `hepar model`: looks into a model file, or runs it on a tensor.
struct Model: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Describe, change or run a model file.", subcommands: [Info.self, Set.self, Run.self])

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
                let files = ModelMetadata.Stage.allCases.flatMap { Segmenter.files(of: $0, in: url) }
                print(try files.map(Self.facts).joined(separator: "\n\n"))
                let card = url.appending(path: "card.md")
                if FileManager.default.fileExists(atPath: card.path) { print("\ncard        \(card.path)") }
            } else {
                print(try Self.facts(of: url))
            }
        }

        fileprivate static func facts(of url: URL) throws -> String {
            let model = try ModelFile(reading: url)
            let metadata = model.metadata
            let spacing = metadata.spacing.map { "\($0.x) x \($0.y) x \($0.z) mm" } ?? "the scan's own"
            let parameters = model.tensors.values.reduce(0) { $0 + $1.values.count }
            func threshold(_ value: Double?, _ usual: String) -> String { value.map { "\($0)" } ?? usual }
            let rules = """
                lesions     with a voxel of at least \(threshold(metadata.lesionProbability, "0.8"))
                extent      \(metadata.lesionExtent.map { "liver of at least \($0) lesion is lesion" } ?? "the argmax")

                """
            return """
                stage       \(metadata.stage.rawValue)
                width       \(model.width)
                slices      \(model.slices)
                classes     \(model.classes)
                numbers     \(parameters)
                window      \(metadata.window.lowerBound) to \(metadata.window.upperBound) HU
                spacing     \(spacing)
                \(metadata.stage == .lesion ? rules : "")\
                trained on  \(metadata.trainedOn)
                licence     \(metadata.licence)
                sha256      \(model.sha256 ?? "none")
                """
        }
    }

    /// `hepar model set`
    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set the thresholds that a lesion model asks for.",
            discussion: "They are chosen on whole scans after training; the weights stay as they are.")

        @Argument(help: "A lesion model's .safetensors file; it is replaced.")
        var file: String

        @Option(help: "The least probability of lesion that one voxel of a lesion must have.")
        var lesionProbability: Double?

        @Option(help: "Liver voxels of at least this probability of lesion are lesion too.")
        var lesionExtent: Double?

        func validate() throws {
            guard lesionProbability != nil || lesionExtent != nil else {
                throw ValidationError("Give --lesion-probability or --lesion-extent.")
            }
            for value in [lesionProbability, lesionExtent].compactMap({ $0 }) where !(value > 0 && value < 1) {
                throw ValidationError("\(value) is no threshold. Give a number between 0 and 1.")
            }
        }

        func run() throws {
            let url = URL(filePath: file)
            let model = try ModelFile(reading: url)
            var metadata = model.metadata
            guard metadata.stage == .lesion else {
                throw UserError("\(file) is a model of stage liver. Only lesion models have thresholds.")
            }
            metadata.lesionProbability = lesionProbability ?? metadata.lesionProbability
            metadata.lesionExtent = lesionExtent ?? metadata.lesionExtent
            let content = Safetensors(metadata: metadata.dictionary, tensors: model.tensors)
            let isHalf = model.tensors.values.allSatisfy { $0.values.allSatisfy { Float(Float16($0)) == $0 } }
            try content.write(to: url, as: isHalf ? .float16 : .float32)
            print(try Info.facts(of: url))
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
            try refuseOverwriting(
                [NamedFile("the model", file), NamedFile("the input", input)], by: [NamedFile("the output", output)])
            let model = try ModelFile(reading: URL(filePath: file))
            let network = try Network(
                model, algorithm: engine.algorithm, instructions: engine.instructions,
                team: ThreadTeam(threads: engine.threads.capped()))
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

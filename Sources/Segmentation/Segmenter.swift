import Compute
import Foundation
import Imaging
import Inference

/// The two-stage cascade of Han (2017), arXiv:1704.07239, with the choices of docs/method.md.
///
/// One segmenter serves all jobs of a process: the weights are shared, and the compute threads take one slice at a
/// time, whichever job it belongs to.
public final class Segmenter: Sendable {
    /// What the user may choose for one scan.
    public struct Options: Codable, Equatable, Sendable {
        /// Stage 2 on whole slices, as the paper did, instead of the liver's box and 32 mm around it.
        public var full = false
        /// Keep the lesion probability of every voxel that stage 2 looked at.
        public var probabilities = false

        /// The defaults.
        public init(full: Bool = false, probabilities: Bool = false) {
            self.full = full
            self.probabilities = probabilities
        }

        /// Reads what is there; what is missing is as by default.
        public init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            full = try values.decodeIfPresent(Bool.self, forKey: .full) ?? false
            probabilities = try values.decodeIfPresent(Bool.self, forKey: .probabilities) ?? false
        }
    }

    /// Facts of one model file, for reports.
    public struct ModelFacts: Codable, Equatable, Sendable {
        /// Base width of the network; the paper's is 64.
        public let width: Int
        /// The HU window that the model was trained with.
        public let windowHu: [Double]
        /// The spacing that it works at in mm; null means the scan's own.
        public let spacingMm: [Double]?
        /// SHA-256 of the file, in hexadecimal digits.
        public let sha256: String?

        enum CodingKeys: String, CodingKey {
            case width
            case windowHu = "window_hu"
            case spacingMm = "spacing_mm"
            case sha256
        }
    }

    /// Millimetres that the liver's box is grown by in x and y before stage 2.
    static let margin = 32.0
    /// METHOD step 8: a lesion needs a voxel of at least this probability.
    static let lesionThreshold = 0.80

    /// How convolutions are computed.
    public let algorithm: Algorithm
    /// The model folder's last path component.
    public let modelName: String
    /// Facts of the two model files.
    public let liverModel, lesionModel: ModelFacts

    let liver, lesion: Network
    let liverMetadata, lesionMetadata: ModelMetadata
    let team: ThreadTeam

    /// Loads `liver.safetensors` and `lesion.safetensors` of a model folder.
    ///
    /// - Parameter instructions: vector instructions, which this CPU must have; nil takes the best. Others give the same
    ///   probabilities but for the last bits: docs/reliability.md, "The same numbers".
    /// - Throws: ``ModelError`` if a file is missing, faulty, or made for the other stage.
    public init(
        models folder: URL, algorithm: Algorithm, instructions: InstructionSet? = nil, team: ThreadTeam
    ) throws(ModelError) {
        self.team = team
        self.algorithm = algorithm
        modelName = folder.standardizedFileURL.lastPathComponent
        func load(
            _ stage: ModelMetadata.Stage, classes: Int
        ) throws(ModelError) -> (Network, ModelMetadata, ModelFacts) {
            let (model, facts) = try Self.read(stage, classes: classes, folder)
            return (
                try Network(model, algorithm: algorithm, instructions: instructions, team: team), model.metadata, facts
            )
        }
        (liver, liverMetadata, liverModel) = try load(.liver, classes: 2)
        (lesion, lesionMetadata, lesionModel) = try load(.lesion, classes: 3)
    }

    private static func read(
        _ stage: ModelMetadata.Stage, classes: Int, _ folder: URL
    ) throws(ModelError) -> (ModelFile, ModelFacts) {
        let url = folder.appending(path: "\(stage.rawValue).safetensors")
        let model = try ModelFile(reading: url)
        guard model.metadata.stage == stage else {
            throw .invalidMetadata(
                key: "stage",
                reason: "\(url.lastPathComponent) is a model of stage \"\(model.metadata.stage.rawValue)\"")
        }
        guard model.classes == classes else {
            throw .invalidMetadata(
                key: "stage", reason: "\(url.lastPathComponent) has \(model.classes) classes; this stage has \(classes)"
            )
        }
        let window = model.metadata.window
        let facts = ModelFacts(
            width: model.width, windowHu: [window.lowerBound, window.upperBound],
            spacingMm: model.metadata.spacing.map { [$0.x, $0.y, $0.z] }, sha256: model.sha256)
        return (model, facts)
    }
}

public import Compute
public import Foundation
import Imaging
public import Inference

/// The two-stage cascade of Han (2017), arXiv:1704.07239, with the choices of docs/method.md.
///
/// One segmenter serves all jobs of a process: the weights are shared, and the compute threads take one slice at a
/// time, whichever job it belongs to.
public final class Segmenter: Sendable {
    /// What the user may choose for one scan.
    public struct Options: Codable, Equatable, Sendable {
        /// Stage 2 on whole slices, as the paper did, instead of the liver's surroundings.
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

    /// Facts of one stage's model, for reports.
    public struct ModelFacts: Codable, Equatable, Sendable {
        /// Base width of the (first) network; the paper's is 64.
        public let width: Int
        /// The HU window that the model was trained with.
        public let windowHu: [Double]
        /// The spacing that it works at in mm; null means the scan's own.
        public let spacingMm: [Double]?
        /// SHA-256 of the file, in hexadecimal digits; of several files with `+` between them.
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
    /// METHOD step 4: millimetres around stage 1's liver within which stage 2's answer is taken.
    static let reach = 6.0
    /// METHOD step 8: a lesion needs a voxel of at least this probability, where the model does not say another.
    static let lesionThreshold = 0.80

    /// How convolutions are computed.
    public let algorithm: Algorithm
    /// The model folder's last path component.
    public let modelName: String
    /// Facts of stage 1's model.
    public var liverModel: ModelFacts { liver.facts }
    /// Facts of stage 2's model.
    public var lesionModel: ModelFacts { lesion.facts }

    let liver, lesion: StageNetworks
    let team: ThreadTeam

    /// A stage's files in a model folder: the first, whether it is there or not, and those numbered from 2 on.
    public static func files(of stage: ModelMetadata.Stage, in folder: URL) -> [URL] {
        StageNetworks.files(of: stage, in: folder)
    }

    /// Loads `liver.safetensors` and `lesion.safetensors` of a model folder. A stage may have more networks, in
    /// `lesion-2.safetensors` and so on: their probabilities are averaged.
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
        func load(_ stage: ModelMetadata.Stage, classes: Int) throws(ModelError) -> StageNetworks {
            try StageNetworks(
                stage, classes: classes, in: folder, algorithm: algorithm, instructions: instructions, team: team)
        }
        liver = try load(.liver, classes: 2)
        lesion = try load(.lesion, classes: 3)
    }
}

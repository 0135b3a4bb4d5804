/// The one network that Hepar knows, in numbers: the 2.5D residual U-Net of Han 2017 with a free base width.
///
/// Five levels of `width`, 2, 4, 8 and 8 times `width` channels; 24 convolutions 3x3. Each but the last is followed by
/// batch norm and PReLU. A decoder block reads the concatenation of the encoder's output at its level and the level
/// below, replicated 2x. Each block but the first adds its input's first channels to its output.
/// Source: X. Han, arXiv:1704.07239, Fig. 1; names as in the training code's state dictionary.
public struct Architecture: Equatable, Sendable {
    /// Channels of the first level.
    public let width: Int
    /// Adjacent axial slices in the input.
    public let slices: Int
    /// Logits a pixel.
    public let classes: Int

    /// The network of the given size; all three must be above 0.
    public init(width: Int, slices: Int, classes: Int) {
        precondition(width > 0 && slices > 0 && classes > 0)
        self.width = width
        self.slices = slices
        self.classes = classes
    }

    /// How often height and width are halved: both must be multiples of 16.
    public static let levels = 5

    /// Added to a batch norm's variance before its root is taken.
    public static let epsilon = 1e-5

    /// A run of convolutions at one level.
    public struct Block: Sendable {
        /// What the names of its tensors begin with.
        public let name: String
        /// Height and width of its planes are those of the image, halved `level` times.
        public let level: Int
        /// Channels that the block reads.
        public let inputs: Int
        /// Channels that each of its convolutions gives.
        public let outputs: Int
        /// How many convolutions it has.
        public let convolutions: Int
        /// Whether the block's input is added to its output.
        public let hasShortcut: Bool

        /// Channels that convolution `index` of the block reads.
        public func inputs(of index: Int) -> Int { index == 0 ? inputs : outputs }

        /// The prefix of the tensor names of convolution `index`.
        public func unitName(_ index: Int) -> String { "\(name).units.\(index)" }
    }

    /// Channels at `level`.
    public func channels(at level: Int) -> Int { width * [1, 2, 4, 8, 8][level] }

    /// Convolutions in a block at `level`.
    private static let convolutions = [2, 2, 3, 3, 3]

    /// Encoder blocks from the image down; the last is the middle of the U.
    public var encoder: [Block] {
        (0..<Self.levels).map { level in
            Block(
                name: level == 4 ? "mid" : "enc\(level)", level: level,
                inputs: level == 0 ? slices : channels(at: level - 1), outputs: channels(at: level),
                convolutions: Self.convolutions[level], hasShortcut: level > 0)
        }
    }

    /// Decoder blocks from level 3 up to the image.
    public var decoder: [Block] {
        (0..<Self.levels - 1).reversed().map { level in
            Block(
                name: "dec\(level)", level: level, inputs: channels(at: level) + channels(at: level + 1),
                outputs: channels(at: level), convolutions: Self.convolutions[level], hasShortcut: true)
        }
    }

    /// Name and shape of every tensor of a model file, in the order in which the network uses them.
    public var tensors: [(name: String, shape: [Int])] {
        var result: [(name: String, shape: [Int])] = []
        for block in encoder + decoder {
            for index in 0..<block.convolutions {
                let name = block.unitName(index)
                result.append(("\(name).conv.weight", [block.outputs, block.inputs(of: index), 3, 3]))
                for part in ["norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "act.weight"] {
                    result.append(("\(name).\(part)", [block.outputs]))
                }
            }
        }
        result.append(("head.weight", [classes, width, 3, 3]))
        result.append(("head.bias", [classes]))
        return result
    }

    /// Reads width, slices and classes off the tensors, then checks all of them.
    ///
    /// - Throws: an error that names the tensor which is missing, extra, of a wrong shape, not finite, or (a running
    ///   variance) negative.
    public init(of tensors: [String: Tensor]) throws(ModelError) {
        func shape(_ name: String, expected: [Int]) throws(ModelError) -> [Int] {
            guard let found = tensors[name]?.shape else { throw .missingTensor(name: name) }
            guard found.count == 4, found[2...] == [3, 3], found.allSatisfy({ (1...4096).contains($0) }) else {
                throw .wrongShape(name: name, found: found, expected: expected)
            }
            return found
        }
        let first = try shape("enc0.units.0.conv.weight", expected: [64, 5, 3, 3])
        let head = try shape("head.weight", expected: [3, first[0], 3, 3])
        self.init(width: first[0], slices: first[1], classes: head[0])

        let expected = self.tensors
        for (name, shape) in expected {
            guard let tensor = tensors[name] else { throw .missingTensor(name: name) }
            guard tensor.shape == shape else {
                throw .wrongShape(name: name, found: tensor.shape, expected: shape)
            }
        }
        let known = Set(expected.map(\.name))
        if let extra = tensors.keys.filter({ !known.contains($0) }).min() { throw .unexpectedTensor(name: extra) }

        for (name, _) in expected {
            guard let values = tensors[name]?.values else { continue }
            if let index = values.firstIndex(where: { !$0.isFinite }) { throw .notFinite(name: name, index: index) }
            if name.hasSuffix("running_var"), let value = values.first(where: { $0 < 0 }) {
                throw .outOfRange(name: name, value: value, allowed: "0 or above")
            }
        }
    }
}

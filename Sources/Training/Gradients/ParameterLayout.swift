public import Inference

/// Where each tensor lies in the flat arrays of a network in training.
public struct ParameterLayout: Equatable, Sendable {
    /// One tensor of a model file.
    public struct Entry: Equatable, Sendable {
        /// Its name in a model file.
        public let name: String
        /// Its shape in a model file.
        public let shape: [Int]
        /// Where it lies in ``TrainableNetwork/parameters``, or in ``TrainableNetwork/averages``.
        public let range: Range<Int>
    }

    /// What gradients change: weights, batch norm's scale and shift, PReLU's slopes, the head's bias.
    public let parameters: [Entry]
    /// Batch norm's running means and variances.
    public let averages: [Entry]

    /// Floats in all parameters.
    public var parameterCount: Int { parameters.last?.range.upperBound ?? 0 }
    /// Floats in all running averages.
    public var averageCount: Int { averages.last?.range.upperBound ?? 0 }

    /// The layout of a network of the given size, tensors in the order in which the network uses them.
    public init(_ architecture: Architecture) {
        func entries(_ tensors: [(name: String, shape: [Int])]) -> [Entry] {
            var offset = 0
            return tensors.map { tensor in
                let count = tensor.shape.reduce(1, *)
                defer { offset += count }
                return Entry(name: tensor.name, shape: tensor.shape, range: offset..<offset + count)
            }
        }
        parameters = entries(architecture.tensors.filter { !$0.name.contains("norm.running_") })
        averages = entries(architecture.tensors.filter { $0.name.contains("norm.running_") })
    }
}

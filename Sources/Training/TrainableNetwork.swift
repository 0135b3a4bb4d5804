public import Compute
public import Inference

/// The network in training: batch norm by the batch's own statistics, and gradients of every parameter.
public final class TrainableNetwork {
    /// Size of the network.
    public let architecture: Architecture
    /// Where each tensor lies in ``parameters``, ``gradients`` and ``averages``.
    public let layout: ParameterLayout
    /// All parameters, one after the other; an optimiser changes them between batches.
    public var parameters: [Float]
    /// Batch norm's running means and variances (momentum 0.1, unbiased variance, as PyTorch's).
    public var averages: [Float]
    /// The last batch's gradients, laid out as ``parameters``.
    public private(set) var gradients: [Float]

    private let team: ThreadTeam

    /// Takes a model's tensors.
    ///
    /// - Parameters:
    ///   - tensors: all tensors of a model file.
    ///   - instructions: vector instructions, which this CPU must have; nil takes the best.
    ///   - team: the threads that compute.
    /// - Throws: an error that names the tensor which is missing, extra, of a wrong shape or not finite.
    public init(
        tensors: [String: Tensor], instructions: InstructionSet? = nil, team: ThreadTeam
    ) throws(ModelError) {
        architecture = try Architecture(of: tensors)
        layout = ParameterLayout(architecture)
        self.team = team
        parameters = [Float](repeating: 0, count: layout.parameterCount)
        averages = [Float](repeating: 0, count: layout.averageCount)
        gradients = [Float](repeating: 0, count: layout.parameterCount)
        for entry in layout.parameters { parameters.replaceSubrange(entry.range, with: tensors[entry.name]?.values ?? []) }
        for entry in layout.averages { averages.replaceSubrange(entry.range, with: tensors[entry.name]?.values ?? []) }
    }

    /// The tensors of a model file, as they are now.
    public var tensors: [String: Tensor] {
        var result: [String: Tensor] = [:]
        for entry in layout.parameters {
            result[entry.name] = Tensor(shape: entry.shape, values: Array(parameters[entry.range]))
        }
        for entry in layout.averages {
            result[entry.name] = Tensor(shape: entry.shape, values: Array(averages[entry.range]))
        }
        return result
    }

    /// Computes the loss of `batch` and its gradients by every parameter, which ``gradients`` then holds, and moves the
    /// running averages. The same batch and parameters give the same bits.
    public func learn(from batch: Batch, loss: Loss) -> BatchResult {
        fatalError("not written yet")
    }
}

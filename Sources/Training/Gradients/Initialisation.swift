internal import Compute
public import Inference

extension Architecture {
    /// The tensors that a training from scratch begins with.
    ///
    /// Convolutions, the head's included: normal numbers of variance 2 / (9 · inputs) (He et al., Delving Deep into
    /// Rectifiers, ICCV 2015, fan-in). Batch norm: scale 1, shift 0, running mean 0 and variance 1. PReLU: slope 0.25.
    /// The head's bias: 0.
    ///
    /// - Parameter seed: the same seed gives the same numbers.
    public func initialTensors(seed: UInt64) -> [String: Tensor] {
        var random = SplitMix64(seed: seed)
        var result: [String: Tensor] = [:]
        for (name, shape) in tensors {
            let count = shape.reduce(1, *)
            let values: [Float]
            switch name.split(separator: ".").suffix(2).joined(separator: ".") {
            case "norm.weight", "norm.running_var": values = [Float](repeating: 1, count: count)
            case "norm.bias", "norm.running_mean", "head.bias": values = [Float](repeating: 0, count: count)
            case "act.weight": values = [Float](repeating: 0.25, count: count)
            default:
                let deviation = (2 / Double(9 * shape[1])).squareRoot()
                values = (0..<count).map { _ in Float(random.normal() * deviation) }
            }
            result[name] = Tensor(shape: shape, values: values)
        }
        return result
    }

    /// The tensors of a model that a training may begin with.
    ///
    /// - Throws: ``TrainingError/otherNetwork(found:wanted:)`` if the model is a network of another size.
    public func tensors(from model: ModelFile) throws(TrainingError) -> [String: Tensor] {
        guard model.architecture == self else { throw .otherNetwork(found: model.architecture, wanted: self) }
        return model.tensors
    }
}

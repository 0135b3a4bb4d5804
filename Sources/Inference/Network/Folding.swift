internal import Engine

extension Convolution {
    /// Convolution `index` of `block`, with the batch norm that follows it folded in.
    ///
    /// A batch norm scales by s = weight / sqrt(variance + epsilon) and shifts by bias - mean · s. Both are worked out
    /// in double precision and go into the convolution's weights and bias, rounded once.
    ///
    /// - Parameter tensors: a model's tensors, checked by ``Architecture/init(of:)``.
    /// - Throws: ``ModelError/notFinite(name:index:)`` where a product is beyond single precision.
    init(_ index: Int, of block: Architecture.Block, _ tensors: [String: Tensor]) throws(ModelError) {
        let unit = block.unitName(index)
        let scales = zip(tensors.values("\(unit).norm.weight"), tensors.values("\(unit).norm.running_var")).map {
            Double($0) / (Double($1) + Architecture.epsilon).squareRoot()
        }
        let shifts = zip(tensors.values("\(unit).norm.bias"), tensors.values("\(unit).norm.running_mean"))
        let inputs = block.inputs(of: index)
        let weights = Self.scaled(tensors.values("\(unit).conv.weight"), by: scales, run: inputs * 9)
        if let index = weights.firstIndex(where: { !$0.isFinite }) {
            throw .notFinite(name: "\(unit).conv.weight (batch norm folded in)", index: index)
        }
        let bias = zip(shifts, scales).map { Float(Double($0.0) - Double($0.1) * $1) }
        if let index = bias.firstIndex(where: { !$0.isFinite }) {
            throw .notFinite(name: "\(unit).norm.bias (folded)", index: index)
        }
        self.init(
            inputs: inputs, outputs: block.outputs, weights: weights, bias: bias,
            slopes: tensors.values("\(unit).act.weight"))
    }

    /// The last convolution, which gives the logits.
    init(headOf architecture: Architecture, _ tensors: [String: Tensor]) {
        self.init(
            inputs: architecture.width, outputs: architecture.classes, weights: tensors.values("head.weight"),
            bias: tensors.values("head.bias"), slopes: nil)
    }

    /// `weights`, each run of `run` numbers multiplied by its scale.
    private static func scaled(_ weights: [Float], by scales: [Double], run: Int) -> [Float] {
        [Float](unsafeUninitializedCapacity: weights.count) { buffer, count in
            for (output, scale) in scales.enumerated() {
                for index in output * run..<(output + 1) * run { buffer[index] = Float(Double(weights[index]) * scale) }
            }
            count = weights.count
        }
    }
}

extension [String: Tensor] {
    /// The values of a tensor that is known to be there.
    fileprivate func values(_ name: String) -> [Float] {
        guard let tensor = self[name] else { preconditionFailure("\(name) was not checked") }
        return tensor.values
    }
}

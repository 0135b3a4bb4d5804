/// A 3x3 convolution with what follows it, batch norm folded in: y = PReLU(weights * x + bias).
struct Convolution: Sendable {
    /// Channels read.
    let inputs: Int
    /// Channels written.
    let outputs: Int
    /// Shape (outputs, inputs, 3, 3).
    let weights: [Float]
    /// One a channel of the output.
    let bias: [Float]
    /// What negative sums are multiplied by, one a channel of the output; nil leaves them as they are.
    let slopes: [Float]?
}

extension Convolution {
    /// The network's convolutions in order: encoder from the image down, decoder up again, head.
    ///
    /// A batch norm scales by s = weight / sqrt(variance + epsilon) and shifts by bias - mean · s. Both are worked out
    /// in double precision and go into the convolution's weights and bias, rounded once.
    ///
    /// - Parameter tensors: a model's tensors, checked by ``Architecture/init(of:)``.
    /// - Throws: ``ModelError/notFinite(name:index:)`` where a product is beyond single precision.
    static func folded(_ tensors: [String: Tensor], architecture: Architecture) throws(ModelError) -> [Convolution] {
        func values(_ name: String) -> [Float] {
            guard let tensor = tensors[name] else { preconditionFailure("\(name) was not checked") }
            return tensor.values
        }
        var result: [Convolution] = []
        for block in architecture.encoder + architecture.decoder {
            for index in 0..<block.convolutions {
                let unit = block.unitName(index)
                let scales = zip(values("\(unit).norm.weight"), values("\(unit).norm.running_var")).map {
                    Double($0) / (Double($1) + Architecture.epsilon).squareRoot()
                }
                let shifts = zip(values("\(unit).norm.bias"), values("\(unit).norm.running_mean"))
                let perOutput = block.inputs(of: index) * 9
                let weights = scaled(values("\(unit).conv.weight"), by: scales, run: perOutput)
                if let index = weights.firstIndex(where: { !$0.isFinite }) {
                    throw .notFinite(name: "\(unit).conv.weight (batch norm folded in)", index: index)
                }
                result.append(
                    Convolution(
                        inputs: block.inputs(of: index), outputs: block.outputs,
                        weights: weights,
                        bias: zip(shifts, scales).map { Float(Double($0.0) - Double($0.1) * $1) },
                        slopes: values("\(unit).act.weight")))
            }
        }
        result.append(
            Convolution(
                inputs: architecture.width, outputs: architecture.classes, weights: values("head.weight"),
                bias: values("head.bias"), slopes: nil))
        return result
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

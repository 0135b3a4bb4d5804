/// A 3x3 convolution with what follows it: y = PReLU(weights * x + bias).
public struct Convolution: Sendable {
    /// Channels read.
    public let inputs: Int
    /// Channels written.
    public let outputs: Int
    /// Shape (outputs, inputs, 3, 3).
    public let weights: [Float]
    /// One a channel of the output.
    public let bias: [Float]
    /// What negative sums are multiplied by, one a channel of the output; nil leaves them as they are.
    public let slopes: [Float]?

    /// A convolution whose numbers fit its channels.
    public init(inputs: Int, outputs: Int, weights: [Float], bias: [Float], slopes: [Float]?) {
        precondition(
            weights.count == outputs * inputs * 9 && bias.count == outputs && slopes?.count ?? outputs == outputs,
            "the numbers of a convolution do not fit \(inputs) and \(outputs) channels")
        self.inputs = inputs
        self.outputs = outputs
        self.weights = weights
        self.bias = bias
        self.slopes = slopes
    }
}

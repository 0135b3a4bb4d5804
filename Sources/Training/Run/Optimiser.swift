public import Compute
internal import Glibc

/// Changes a network's parameters by their gradients.
///
/// Both methods follow PyTorch's of the same name (`torch.optim.SGD`, `torch.optim.AdamW`), single precision throughout.
public struct Optimiser: Sendable {
    /// How a step is made of a gradient.
    public enum Method: String, CaseIterable, Sendable {
        /// Momentum 0.9, without dampening; the weight decay is added to the gradient of every parameter. The paper's.
        case sgd
        /// Adam with betas 0.9 and 0.999 and epsilon 1e-8. The decay is taken off the weights themselves, and only off
        /// those of convolutions: batch norm's scale and shift, PReLU's slopes and the head's bias are not decayed.
        /// Source: Loshchilov & Hutter, Decoupled Weight Decay Regularization, ICLR 2019.
        case adamW = "adamw"
    }

    /// How a step is made of a gradient.
    public let method: Method
    /// How much of a parameter is taken off it, before the learning rate.
    public let weightDecay: Double

    /// What the method remembers from step to step, by name, each as long as the parameters: a checkpoint holds it.
    var memory: [String: [Float]]

    /// Where the parameters lie that AdamW decays.
    private let convolutions: [Range<Int>]

    private static let momentum: Float = 0.9
    private static let betas = (0.9, 0.999)
    private static let epsilon: Float = 1e-8

    /// An optimiser before its first step.
    public init(_ method: Method, weightDecay: Double, layout: ParameterLayout) {
        self.init(
            method, weightDecay: weightDecay, count: layout.parameterCount,
            convolutions: layout.parameters.filter { $0.shape.count > 1 }.map(\.range))
    }

    /// An optimiser of `count` parameters; those of convolutions lie at the given places.
    init(_ method: Method, weightDecay: Double, count: Int, convolutions: [Range<Int>]) {
        self.method = method
        self.weightDecay = weightDecay
        let names =
            switch method {
            case .sgd: ["momentum"]
            case .adamW: ["mean", "square"]
            }
        memory = [:]
        for name in names { memory[name] = [Float](repeating: 0, count: count) }
        self.convolutions = convolutions
    }

    /// Makes one step.
    ///
    /// - Parameters:
    ///   - parameters: changed in place.
    ///   - gradients: as many as there are parameters.
    ///   - rate: the learning rate.
    ///   - step: how many steps were made before.
    ///   - team: the threads that share the work; their number changes no bit.
    public mutating func update(
        _ parameters: inout [Float], gradients: [Float], rate: Double, step: Int, team: ThreadTeam
    ) {
        precondition(parameters.count == gradients.count, "one gradient for each parameter")
        switch method {
        case .sgd: descend(&parameters, gradients, rate, team)
        case .adamW: adapt(&parameters, gradients, rate, step, team)
        }
    }

    private mutating func descend(
        _ parameters: inout [Float], _ gradients: [Float], _ rate: Double, _ team: ThreadTeam
    ) {
        let (rate, decay) = (Float(rate), Float(weightDecay))
        memory["momentum"]?.withUnsafeMutableBufferPointer { velocities in
            parameters.withUnsafeMutableBufferPointer { parameters in
                gradients.withUnsafeBufferPointer { gradients in
                    nonisolated(unsafe) let (p, g, v) = (parameters, gradients, velocities)
                    team.forEachChunk(of: p.count, chunk: Self.chunk) { range in
                        for i in range {
                            let velocity = v[i] * Self.momentum + (g[i] + p[i] * decay)
                            v[i] = velocity
                            p[i] -= rate * velocity
                        }
                    }
                }
            }
        }
    }

    private mutating func adapt(
        _ parameters: inout [Float], _ gradients: [Float], _ rate: Double, _ step: Int, _ team: ThreadTeam
    ) {
        let kept = Float(1 - rate * weightDecay)
        for range in convolutions { parameters.withUnsafeMutableBufferPointer { p in for i in range { p[i] *= kept } } }
        let (beta1, beta2) = Self.betas
        let towards = Float(1 - beta1)
        let (keptSquare, newSquare) = (Float(beta2), Float(1 - beta2))
        // The first steps' averages lean towards the 0 that they began with.
        let stride = Float(rate / (1 - pow(beta1, Double(step + 1))))
        let scale = Float((1 - pow(beta2, Double(step + 1))).squareRoot())
        guard var means = memory.removeValue(forKey: "mean"), var squares = memory.removeValue(forKey: "square") else {
            preconditionFailure("AdamW remembers a mean and a square")
        }
        means.withUnsafeMutableBufferPointer { means in
            squares.withUnsafeMutableBufferPointer { squares in
                parameters.withUnsafeMutableBufferPointer { parameters in
                    gradients.withUnsafeBufferPointer { gradients in
                        nonisolated(unsafe) let (p, g, m, s) = (parameters, gradients, means, squares)
                        team.forEachChunk(of: p.count, chunk: Self.chunk) { range in
                            for i in range {
                                let mean = m[i] + towards * (g[i] - m[i])
                                let square = s[i] * keptSquare + newSquare * g[i] * g[i]
                                m[i] = mean
                                s[i] = square
                                p[i] -= stride * (mean / (square.squareRoot() / scale + Self.epsilon))
                            }
                        }
                    }
                }
            }
        }
        memory["mean"] = means
        memory["square"] = squares
    }

    /// Parameters that a thread takes at a time.
    private static let chunk = 1 << 15
}

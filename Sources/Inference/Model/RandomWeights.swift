internal import Compute

extension Architecture {
    /// Random weights that keep activations near 1 through all layers, for benchmarks and tests that need a network but
    /// no model file.
    ///
    /// Filters have the variance 2 / (9 · inputs), so that rectified activations keep their scale (He et al., Delving
    /// Deep into Rectifiers, ICCV 2015); batch norms and slopes lie around those of a trained network.
    ///
    /// - Parameter seed: the same seed gives the same numbers.
    public func randomTensors(seed: UInt64) -> [String: Tensor] {
        var random = SplitMix64(seed: seed)
        var result: [String: Tensor] = [:]
        for (name, shape) in tensors {
            let range: ClosedRange<Float>
            switch name.split(separator: ".").suffix(2).joined(separator: ".") {
            case "norm.weight", "norm.running_var": range = 0.6...1.4
            case "norm.bias", "norm.running_mean", "head.bias": range = -0.1...0.1
            case "act.weight": range = 0.05...0.35
            default:
                // A uniform number in ±b has the variance b²/3.
                let bound = (6 / Float(9 * shape[1])).squareRoot()
                range = -bound...bound
            }
            result[name] = Tensor(shape: shape, values: random.floats(shape.reduce(1, *), in: range))
        }
        return result
    }
}

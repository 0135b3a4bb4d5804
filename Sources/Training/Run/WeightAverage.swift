internal import Compute
internal import Inference

/// An exponential moving average of a network's weights and of its batch norms' averages, which often makes the better
/// model: it smooths out the last steps' noise.
///
/// The share kept grows with the steps, min(decay, (1 + step) / (10 + step)), so that the random beginning is soon
/// forgotten. Source: Polyak & Juditsky, SIAM J. Control Optim. 30 (1992); the growth is TensorFlow's.
struct WeightAverage: Equatable, Sendable {
    /// The averages of ``TrainableNetwork/parameters`` and ``TrainableNetwork/averages``.
    var parameters, averages: [Float]

    /// Takes in the weights as they are after step `step`, which counts from 0.
    mutating func add(_ network: TrainableNetwork, decay: Double, step: Int, team: ThreadTeam) {
        let share = Float(1 - min(decay, Double(1 + step) / Double(10 + step)))
        Self.move(&parameters, towards: network.parameters, by: share, team)
        Self.move(&averages, towards: network.averages, by: share, team)
    }

    private static func move(_ values: inout [Float], towards goal: [Float], by share: Float, _ team: ThreadTeam) {
        values.withUnsafeMutableBufferPointer { values in
            goal.withUnsafeBufferPointer { goal in
                nonisolated(unsafe) let (v, g) = (values, goal)
                team.forEachChunk(of: v.count, chunk: 1 << 15) { range in
                    for i in range { v[i] += share * (g[i] - v[i]) }
                }
            }
        }
    }
}

extension ParameterLayout {
    /// The tensors of a model file from the flat arrays.
    func tensors(parameters: [Float], averages: [Float]) -> [String: Tensor] {
        var result: [String: Tensor] = [:]
        for (entries, values) in [(self.parameters, parameters), (self.averages, averages)] {
            for entry in entries { result[entry.name] = Tensor(shape: entry.shape, values: Array(values[entry.range])) }
        }
        return result
    }
}

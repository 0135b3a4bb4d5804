public import Compute

/// Draws batches from training data. A batch is a function of the data, the options, the seed and its number alone, so
/// that training can go on from any step.
public struct BatchSource: Sendable {
    /// What is drawn from.
    public let data: TrainingData
    /// How samples are drawn and altered.
    public let options: SamplingOptions

    /// A sequence of batches; `options.check()` must throw nothing.
    public init(_ data: TrainingData, options: SamplingOptions, seed: UInt64) {
        fatalError("not written yet")
    }

    /// How many slices can be the centre of a sample: as many samples make an epoch.
    public var samplesPerEpoch: Int { data.cases.reduce(0) { $0 + $1.centres.count } }

    /// Batch number `step`, counted from 0.
    public func batch(_ step: Int, team: ThreadTeam) -> Batch {
        fatalError("not written yet")
    }
}

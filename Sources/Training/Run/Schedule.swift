internal import Glibc

/// The learning rate of each step: a function of the step alone, so that a resumed training needs no memory of it.
public struct Schedule: Equatable, Sendable {
    /// How the rate falls.
    public enum Shape: String, CaseIterable, Sendable {
        /// By a tenth after each epoch, as in the paper.
        case paper
        /// Along half a cosine to 0 at the last step.
        case cosine
    }

    /// How the rate falls.
    public let shape: Shape
    /// The rate before it falls.
    public let peak: Double
    /// Steps in an epoch.
    public let stepsPerEpoch: Int
    /// Steps of the whole training.
    public let steps: Int
    /// Steps in which the rate grows in equal parts to what the shape says.
    public let warmUp: Int

    /// A schedule; all numbers but `warmUp` must be above 0.
    public init(_ shape: Shape, peak: Double, stepsPerEpoch: Int, steps: Int, warmUp: Int = 0) {
        precondition(peak > 0 && stepsPerEpoch > 0 && steps > 0 && warmUp >= 0)
        self.shape = shape
        self.peak = peak
        self.stepsPerEpoch = stepsPerEpoch
        self.steps = steps
        self.warmUp = warmUp
    }

    /// The learning rate of step `step`, which counts from 0.
    public func rate(at step: Int) -> Double {
        let growth = step < warmUp ? Double(step + 1) / Double(warmUp + 1) : 1
        switch shape {
        case .paper:
            return growth * peak * pow(0.9, Double(step / stepsPerEpoch))
        case .cosine:
            let fraction = Double(max(0, step - warmUp)) / Double(max(1, steps - warmUp))
            return growth * peak * 0.5 * (1 + cos(.pi * min(1, fraction)))
        }
    }
}

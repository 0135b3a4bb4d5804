/// What training makes small: the paper's weighted cross-entropy, and a soft Dice term where wanted.
public struct Loss: Equatable, Sendable {
    /// Weight of each class's pixels in the cross-entropy. The paper's are 0.2 background, 1.2 liver, 2.2 lesion.
    public var classWeights: [Float]
    /// Weight of the soft Dice term: 1 minus the Dice of the batch's probabilities, averaged over the classes but the
    /// background. 0 leaves it out, as the paper does.
    public var diceWeight: Float

    /// A loss with one weight a class.
    public init(classWeights: [Float], diceWeight: Float = 0) {
        self.classWeights = classWeights
        self.diceWeight = diceWeight
    }
}

/// What one batch showed.
public struct BatchResult: Equatable, Sendable {
    /// The loss, all terms.
    public var loss: Double
    /// For each class, pixels predicted as it (argmax) that are it.
    public var hits: [Int]
    /// For each class, pixels predicted as it.
    public var predicted: [Int]
    /// For each class, pixels that are it.
    public var present: [Int]

    /// A result with one number a class.
    public init(loss: Double, hits: [Int], predicted: [Int], present: [Int]) {
        self.loss = loss
        self.hits = hits
        self.predicted = predicted
        self.present = present
    }
}

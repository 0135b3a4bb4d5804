public import Inference

/// What a training does, step by step, and what it keeps.
public struct TrainingSettings: Equatable, Sendable {
    /// What the model file will say about itself; its stage names the file.
    public var metadata: ModelMetadata
    /// What is made small.
    public var loss: Loss
    /// How a step is made of a gradient.
    public var method: Optimiser.Method
    /// See ``Optimiser/weightDecay``.
    public var weightDecay: Double
    /// The learning rate of each step, and how many steps there are.
    public var schedule: Schedule
    /// How much of the weights' moving average each step keeps, such as 0.999; with it the average is the model. Nil:
    /// the last step's weights are.
    public var average: Double?
    /// The options that decide about the result, by the name that the user knows: resuming with others is refused.
    public var options: [String: String]
    /// Steps from one row of the curves to the next; each tells of the batches since.
    public var rowEvery = 50
    /// Steps from one validation to the next.
    public var validateEvery: Int
    /// Minutes from one checkpoint to the next.
    public var checkpointMinutes = 5.0
    /// Minutes after which the training is saved and stopped.
    public var minutes: Double?

    /// Settings with the paper's optimiser.
    public init(
        metadata: ModelMetadata, loss: Loss, method: Optimiser.Method = .sgd, weightDecay: Double = 0.0005,
        schedule: Schedule, average: Double? = nil, options: [String: String]
    ) {
        self.metadata = metadata
        self.loss = loss
        self.method = method
        self.weightDecay = weightDecay
        self.schedule = schedule
        self.average = average
        self.options = options
        validateEvery = schedule.stepsPerEpoch
    }

    /// The names of the scored classes: all but the background.
    var classNames: [String] { metadata.stage == .liver ? ["liver"] : ["liver", "lesion"] }
}

/// The Dice of one class.
public struct ClassDice: Equatable, Sendable {
    /// The class's name.
    public let name: String
    /// Its Dice; nil where no pixel has or was given the class.
    public let value: Double?
}

/// How far a training is.
public struct TrainingProgress: Equatable, Sendable {
    /// Steps made, and of how many.
    public var step, steps: Int
    /// The epoch, from 0.
    public var epoch: Int
    /// The last step's learning rate.
    public var rate: Double
    /// Mean loss of the last batches.
    public var loss: Double
    /// Each class but the background, over the pixels of the last batches.
    public var dice: [ClassDice]
    /// The last validation's scores.
    public var validation: ValidationScores?
    /// Whether that validation was made just now.
    public var isNewValidation: Bool
    /// Samples learnt from in a second, validation not counted.
    public var samplesPerSecond: Double
    /// Seconds until the training ends, by the steps or by the time allowed.
    public var secondsLeft: Double
}

/// How a run of the trainer ended.
public enum TrainingEnd: Equatable, Sendable {
    /// All steps are made.
    case finished
    /// Someone asked to stop; the checkpoint goes on from here.
    case stopped
    /// The minutes allowed are over; the checkpoint goes on from here.
    case outOfTime
}

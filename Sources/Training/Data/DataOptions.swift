public import Inference

/// What a network is trained on, and how cases are prepared before the first sample is drawn.
public struct DataOptions: Equatable, Sendable {
    /// The stage to train: ``ModelMetadata/Stage/liver`` merges labels 1 and 2 into 1, ``ModelMetadata/Stage/lesion``
    /// keeps three classes and looks at the liver's surroundings only.
    public var stage: ModelMetadata.Stage
    /// The model's window in HU, mapped linearly onto -1 ... 1 after clipping.
    public var window: ClosedRange<Double>
    /// Distance between voxel centres along x, y and z in mm that cases are resampled to; nil keeps each case's own.
    /// Single slices are resampled along x and y alone.
    public var spacing: SIMD3<Double>?
    /// Names of the cases that are never trained on. Single slices of the same patients are left out too: those that look
    /// like one of their slices, and all that have such a slice's number in the side-car, or the number that ends a name.
    public var validation: [String]
    /// Names of the cases whose slices are not neighbours: each is stacked with itself. A case with a side-car
    /// `NAME.json` is one of them without being named.
    public var singleSlices: [String]
    /// Names of the cases whose mask does not tell lesion from liver. In the lesion stage its pixels are
    /// ``Batch/foreground``.
    public var mergedLabels: [String]
    /// How many phantoms are mixed in.
    public var phantoms: Int

    /// Options; the window is the paper's, everything else is off.
    public init(
        stage: ModelMetadata.Stage = .liver, window: ClosedRange<Double> = -200...200,
        spacing: SIMD3<Double>? = nil, validation: [String] = [], singleSlices: [String] = [],
        mergedLabels: [String] = [], phantoms: Int = 0
    ) {
        self.stage = stage
        self.window = window
        self.spacing = spacing
        self.validation = validation
        self.singleSlices = singleSlices
        self.mergedLabels = mergedLabels
        self.phantoms = phantoms
    }

    /// Makes sure that data can be prepared with these options.
    ///
    /// - Throws: ``TrainingError/badOption(name:found:accepted:)`` for the first that cannot be used.
    public func check() throws(TrainingError) {
        // Written so that NaN is refused too.
        guard window.lowerBound >= -1_024, window.upperBound <= 3_071, window.upperBound - window.lowerBound >= 1 else {
            throw .badOption(
                name: "window", found: "\(window.lowerBound) to \(window.upperBound) HU",
                accepted: "at least 1 HU wide and between -1024 and 3071 HU")
        }
        if let spacing {
            for axis in 0..<3 where !(spacing[axis] >= 0.1 && spacing[axis] <= 20) {
                throw .badOption(
                    name: "spacing", found: "\(spacing[axis]) mm along \(["x", "y", "z"][axis])",
                    accepted: "between 0.1 and 20 mm")
            }
        }
        guard (0...10_000).contains(phantoms) else {
            throw .badOption(name: "number of phantoms", found: "\(phantoms)", accepted: "between 0 and 10000")
        }
    }
}

/// How samples are drawn from the cases and altered. The defaults are the paper's: crop and left-right flip; everything
/// else is off.
public struct SamplingOptions: Equatable, Sendable {
    /// Rows and columns of a sample, a multiple of 16.
    public var crop: Int
    /// Samples in a batch (the paper does not say).
    public var batch: Int
    /// Whether half of the samples are mirrored left to right.
    public var flip: Bool
    /// In-plane zoom, drawn evenly over ratios; above 1 magnifies. Nil leaves it out.
    public var scale: ClosedRange<Double>?
    /// The most degrees that a sample is turned in its plane, either way.
    public var rotation: Double
    /// The most HU that are added or taken off. With it goes a change of contrast by up to a
    /// quarter of a percent for each HU.
    /// Values that a case's file clipped stay where they are, as scanners' values far outside a window do.
    public var shift: Double
    /// The largest standard deviation of added noise in HU; each sample draws its own between 0 and this. Half of the
    /// samples get noise that is correlated between neighbouring pixels.
    public var noise: Double
    /// Whether half of the samples are smoothed a little in their plane, each by its own amount.
    public var blur: Bool
    /// Whether half of the samples have their slices in reverse order.
    public var zReverse: Bool
    /// The lower end of a narrower window, in HU, drawn for each sample: values below it are raised to it, so that
    /// files which were clipped at different values look alike. Nil leaves it out.
    public var windowFloor: ClosedRange<Double>?
    /// The most HU by which a random rising curve moves values within the window, in half of the samples: other phases
    /// and other fillings of vessels and gut. 0 leaves it out.
    public var contrast: Double
    /// Distances between slices in mm that half of the samples of neighbouring slices are given, spread evenly over
    /// ratios: by leaving out or averaging slices, or by interpolating between them. Nil leaves it out.
    public var thickness: ClosedRange<Double>?
    /// Share of the samples, of those that are not aimed at a real lesion, with lesions painted into the liver.
    public var painted: Double
    /// 0 draws all slices equally often, 1 all cases; between, a case counts as its number of slices to the power
    /// 1 - balance. A file of single slices is one case.
    public var balance: Double
    /// Share of the samples whose crop is centred near a lesion pixel; lesion stage only, others are drawn as ever.
    public var lesionShare: Double
    /// Share of the samples that are drawn where a model was wrong, if such places are given.
    public var hardShare: Double
    /// Share of the samples that come from phantoms; nil counts phantoms as cases like others.
    public var phantomShare: Double?
    /// Share of the samples that come from single slices; nil counts their files as cases like others.
    public var singleShare: Double?

    /// Options; the defaults are the paper's.
    public init(
        crop: Int = 320, batch: Int = 8, flip: Bool = true, scale: ClosedRange<Double>? = nil, rotation: Double = 0,
        shift: Double = 0, noise: Double = 0, blur: Bool = false, zReverse: Bool = false,
        windowFloor: ClosedRange<Double>? = nil, contrast: Double = 0, thickness: ClosedRange<Double>? = nil,
        painted: Double = 0, balance: Double = 0, lesionShare: Double = 0,
        hardShare: Double = 0, phantomShare: Double? = nil, singleShare: Double? = nil
    ) {
        self.crop = crop
        self.batch = batch
        self.flip = flip
        self.scale = scale
        self.rotation = rotation
        self.shift = shift
        self.noise = noise
        self.blur = blur
        self.zReverse = zReverse
        self.windowFloor = windowFloor
        self.contrast = contrast
        self.thickness = thickness
        self.painted = painted
        self.balance = balance
        self.lesionShare = lesionShare
        self.hardShare = hardShare
        self.phantomShare = phantomShare
        self.singleShare = singleShare
    }

    /// Makes sure that samples can be drawn with these options.
    ///
    /// - Throws: ``TrainingError/badOption(name:found:accepted:)`` for the first that cannot be used.
    public func check() throws(TrainingError) {
        func require(_ sound: Bool, _ name: String, _ found: String, _ accepted: String) throws(TrainingError) {
            if !sound { throw .badOption(name: name, found: found, accepted: accepted) }
        }
        try require(
            crop > 0 && crop % 16 == 0 && crop <= 4_096, "crop", "\(crop)", "a multiple of 16, from 16 to 4096")
        try require((1...1_024).contains(batch), "batch", "\(batch)", "between 1 and 1024")
        if let scale {
            try require(
                scale.lowerBound >= 0.1 && scale.upperBound <= 10, "scale",
                "\(scale.lowerBound) to \(scale.upperBound)", "between 0.1 and 10")
        }
        try require((0...180).contains(rotation), "rotation", "\(rotation) degrees", "between 0 and 180 degrees")
        try require((0...500).contains(shift), "shift", "\(shift) HU", "between 0 and 500 HU")
        try require((0...500).contains(noise), "noise", "\(noise) HU", "between 0 and 500 HU")
        if let windowFloor {
            try require(
                windowFloor.lowerBound.isFinite && windowFloor.upperBound.isFinite, "window floor",
                "\(windowFloor.lowerBound) to \(windowFloor.upperBound) HU", "two finite numbers")
        }
        try require((0...60).contains(contrast), "contrast", "\(contrast) HU", "between 0 and 60 HU")
        if let thickness {
            try require(
                thickness.lowerBound >= 0.1 && thickness.upperBound <= 20, "thickness",
                "\(thickness.lowerBound) to \(thickness.upperBound) mm", "between 0.1 and 20 mm")
        }
        try require((0...1).contains(painted), "share of painted lesions", "\(painted)", "between 0 and 1")
        try require((0...1).contains(balance), "balance", "\(balance)", "between 0 and 1")
        try require((0...1).contains(lesionShare), "lesion share", "\(lesionShare)", "between 0 and 1")
        try require((0...1).contains(hardShare), "share of hard places", "\(hardShare)", "between 0 and 1")
        let shares = [phantomShare ?? 0, singleShare ?? 0]
        try require(
            shares.allSatisfy { (0...1).contains($0) } && shares[0] + shares[1] <= 1,
            "share of phantoms and of single slices", "\(shares[0]) and \(shares[1])",
            "between 0 and 1 each, and no more than 1 together")
    }

    /// Whether `check` finds nothing wrong.
    var isSound: Bool {
        do throws(TrainingError) {
            try check()
            return true
        } catch {
            return false
        }
    }
}

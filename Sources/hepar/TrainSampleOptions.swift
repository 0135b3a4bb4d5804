import ArgumentParser
import Training

/// Options of `hepar train` about how samples are drawn and altered.
struct TrainSampleOptions: ParsableArguments {
    @Option(help: "Rows and columns of a sample, a multiple of 16.")
    var crop = 320

    @Flag(inversion: .prefixedNo, help: "Mirror half of the samples left to right.")
    var flip = true

    @Option(help: "Zoom samples in their plane by a ratio of low,high, such as 0.8,1.25.")
    var scale: String?

    @Option(help: "Turn samples in their plane by up to this many degrees either way.")
    var rotation = 0.0

    @Option(help: "Add or take off up to this many HU, with a small change of contrast.")
    var intensityShift = 0.0

    @Option(help: "Add noise of a standard deviation up to this many HU.")
    var noise = 0.0

    @Flag(help: "Smooth half of the samples a little.")
    var blur = false

    @Flag(name: .customLong("z-reverse"), help: "Reverse the order of slices in half of the samples.")
    var zReverse = false

    @Option(
        parsing: .unconditional,
        help: "Raise values below a number of HU drawn from low,high to it, as a narrower window would.")
    var windowFloor: String?

    @Option(
        help: "Move values within the window by a random rising curve, by up to this many HU, in half of the samples.")
    var contrast = 0.0

    @Option(help: "Give half of the stacks another distance between slices: low,high in mm, such as 1,10.")
    var thickness: String?

    @Option(help: "Share of the samples, of those not aimed at a real lesion, with lesions painted into the liver.")
    var painted = 0.0

    @Option(help: "0 draws all slices equally often, 1 all cases; between is between.")
    var balance = 0.0

    @Option(help: "Share of the samples that are centred near a lesion; stage lesion only.")
    var lesionShare = 0.0

    @Option(
        help: "A model file of the same stage: where it is wrong on the cases, --hard-share of the samples are drawn.")
    var hardModel: String?

    @Option(help: "Share of the samples that are drawn where --hard-model is wrong.")
    var hardShare = 0.3

    @Option(help: "Share of the samples that come from phantoms. (default: as their number says)")
    var phantomShare: Double?

    @Option(help: "Share of the samples that come from single slices. (default: as their number says)")
    var singleShare: Double?

    /// How samples are drawn and altered, checked.
    func options(batch: Int) throws -> SamplingOptions {
        let options = SamplingOptions(
            crop: crop, batch: batch, flip: flip, scale: try scale.map { try numberRange($0, "--scale") },
            rotation: rotation, shift: intensityShift, noise: noise, blur: blur, zReverse: zReverse,
            windowFloor: try windowFloor.map { try numberRange($0, "--window-floor") }, contrast: contrast,
            thickness: try thickness.map { try numberRange($0, "--thickness") }, painted: painted, balance: balance,
            lesionShare: lesionShare,
            hardShare: hardModel == nil ? 0 : hardShare, phantomShare: phantomShare, singleShare: singleShare)
        try options.check()
        return options
    }

    /// What decides about the result, by option.
    var facts: [String: String] {
        [
            "--crop": "\(crop)", "--flip": "\(flip)", "--scale": scale ?? "off", "--rotation": "\(rotation)",
            "--intensity-shift": "\(intensityShift)", "--noise": "\(noise)", "--blur": "\(blur)",
            "--z-reverse": "\(zReverse)", "--window-floor": windowFloor ?? "off", "--contrast": "\(contrast)",
            "--thickness": thickness ?? "off", "--painted": "\(painted)",
            "--balance": "\(balance)",
            "--lesion-share": "\(lesionShare)",
            "--hard-share": hardModel == nil ? "off" : "\(hardShare)",
            "--phantom-share": phantomShare.map { "\($0)" } ?? "by number",
            "--single-share": singleShare.map { "\($0)" } ?? "by number",
        ]
    }
}

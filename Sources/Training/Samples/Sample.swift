internal import Compute
internal import Glibc
internal import Imaging

/// Everything that was drawn for one sample: where its pixels come from and how they are altered.
struct Sample: Equatable, Sendable {
    /// The number of its case.
    let item: Int
    /// The slices of its case that it stacks; the middle one gives the labels.
    let stack: [SliceBlend]
    /// Where its pixels lie in a slice.
    let place: Placement
    /// Added to all values, in HU, and the share by which contrast grows.
    let shift, gain: Float
    /// Standard deviation of the noise, in HU, whether neighbours share it, and what it is drawn from.
    let noise: Float
    let isGrained: Bool
    let noiseSeed: UInt64
    /// The weight of each neighbour, along x and then along y, of a pixel that is smoothed; 0 leaves it sharp.
    let blur: Float
    /// Lower values are raised to this, in HU.
    let floor: Float
    /// How values within the window are moved; nil leaves them.
    let curve: ContrastCurve?
    /// Lesions that are painted into the liver.
    let lesions: [PaintedLesion]

    /// The largest change of contrast for each HU of the largest shift.
    static let gainPerHU = 0.0025
}

extension Sample {
    /// Draws a sample.
    ///
    /// - Parameters:
    ///   - item: the case's number.
    ///   - slice: the centre slice.
    ///   - source: the case.
    ///   - slices: slices in a stack, odd.
    ///   - aimsAtLesion: whether the crop is centred near one of the slice's lesion pixels.
    ///   - hard: a pixel of the slice that the crop is centred near, where the sample is drawn for it.
    ///   - options: what may be altered, and how much.
    ///   - window: the model's window.
    ///   - random: what is drawn from.
    init(
        item: Int, slice: Int, of source: TrainingCase, slices: Int, aimsAtLesion: Bool,
        near hard: SIMD2<Float>? = nil, options: SamplingOptions, window: ClosedRange<Double>, random: inout SplitMix64
    ) {
        self.item = item
        let reach = slices / 2
        // Single slices have no neighbours.
        var stack = (-reach...reach).map { offset in
            SliceBlend(source.kind == .singleSlices ? slice : slice + offset, count: source.ct.shape.z)
        }
        if let thickness = options.thickness, source.kind != .singleSlices, random.unit() < 0.5 {
            stack = SliceBlend.stack(
                around: slice, reach: reach, of: source, thickness: thickness, random: &random)
        }
        self.stack = options.zReverse && random.unit() < 0.5 ? stack.reversed() : stack
        let isPainted =
            options.painted > 0 && source.kind == .scan && !aimsAtLesion && hard == nil
            && random.unit() < options.painted
        lesions = isPainted ? PaintedLesion.draw(in: slice, of: source, random: &random) : []
        let aim = lesions.first.map { SIMD2($0.centre.x, $0.centre.y) / SIMD2<Float>(source.pixelSpacing) }
        place = Placement(
            slice: slice, of: source, aimsAtLesion: aimsAtLesion, near: hard ?? aim, options: options, random: &random)
        shift = Float(options.shift * random.uniform(-1...1))
        gain = Float(options.shift * Self.gainPerHU * random.uniform(-1...1))
        noise = Float(options.noise * random.unit())
        isGrained = random.unit() < 0.5
        noiseSeed = random.next()
        let smoothing = random.uniform(0...0.25)
        blur = options.blur && random.unit() < 0.5 ? Float(smoothing) : 0
        curve =
            options.contrast > 0 && random.unit() < 0.5
            ? ContrastCurve(window: window, strength: options.contrast, random: &random) : nil
        floor = Float(options.windowFloor.map { random.uniform($0) } ?? window.lowerBound)
    }
}

/// Where the pixels of a square crop lie in a slice: pixel (column, row) is at `origin + column · across + row · down`.
struct Placement: Equatable, Sendable {
    /// In pixels of the slice, (0, 0) being the centre of its first.
    let origin, across, down: SIMD2<Float>

    /// A crop around `centre`, in pixels from the slice's corner.
    ///
    /// - Parameters:
    ///   - zoom: above 1 magnifies.
    ///   - angle: radians.
    ///   - isFlipped: mirrors left to right.
    init(centre: SIMD2<Double>, crop: Int, zoom: Double, angle: Double, isFlipped: Bool) {
        let side = isFlipped ? -1.0 : 1
        let across = SIMD2(cos(angle), sin(angle)) * (side / zoom)
        let down = SIMD2(-sin(angle), cos(angle)) / zoom
        let toFirst = 0.5 - Double(crop) / 2
        origin = SIMD2<Float>(centre - 0.5 + toFirst * (across + down))
        self.across = SIMD2<Float>(across)
        self.down = SIMD2<Float>(down)
    }

    /// Draws zoom, angle, mirroring and the crop's centre: near a lesion pixel or a pixel that is given, or so that the crop lies within the
    /// slice's region, or the region within the crop.
    init(
        slice: Int, of source: TrainingCase, aimsAtLesion: Bool, near aim: SIMD2<Float>? = nil,
        options: SamplingOptions, random: inout SplitMix64
    ) {
        let isFlipped = random.unit() < 0.5 && options.flip
        let draws = (random.unit(), random.uniform(-1...1))
        let zoom = options.scale.map { $0.lowerBound * pow($0.upperBound / $0.lowerBound, draws.0) } ?? 1
        let angle = options.rotation * draws.1 * .pi / 180
        let side = Double(options.crop) / zoom

        func between(_ range: Range<Int>) -> (Double, Double) {
            let (a, b) = (Double(range.lowerBound) + side / 2, Double(range.upperBound) - side / 2)
            return (min(a, b), max(a, b))
        }
        let region = source.regions[slice]
        let (low, high) = (between(region.x), between(region.y))
        var centre = SIMD2(random.uniform(low.0...low.1), random.uniform(high.0...high.1))
        let lesion = aimsAtLesion ? source.lesionPixel(in: slice, random: &random) : nil
        if let pixel = aim.map(SIMD2<Double>.init) ?? lesion.map({ SIMD2(Double($0.x), Double($0.y)) }) {
            let (x, y) = (between(0..<source.ct.shape.x), between(0..<source.ct.shape.y))
            let jitter = SIMD2(random.uniform(-side / 4...side / 4), random.uniform(-side / 4...side / 4))
            let wanted = pixel + 0.5 + jitter
            centre = SIMD2(min(max(wanted.x, x.0), x.1), min(max(wanted.y, y.0), y.1))
        }
        // On the slice's own pixels where nothing is zoomed or turned: no interpolation then.
        if zoom == 1, angle == 0 { centre.round(.toNearestOrAwayFromZero) }
        self.init(centre: centre, crop: options.crop, zoom: zoom, angle: angle, isFlipped: isFlipped)
    }
}

extension TrainingCase {
    /// Distance of pixels along x and y, in mm.
    var pixelSpacing: SIMD2<Double> { SIMD2(ct.spacing.x, ct.spacing.y) }

    /// One of a slice's lesion pixels; nil where it has none.
    func lesionPixel(in slice: Int, random: inout SplitMix64) -> (x: Int, y: Int)? {
        let count = lesionPixels[slice]
        guard count > 0 else { return nil }
        var before = Int(random.unit() * Double(count))
        let width = labels.shape.x
        let slice = labels.voxels[slice * width * labels.shape.y..<(slice + 1) * width * labels.shape.y]
        return slice.withUnsafeBufferPointer { slice in
            for index in slice.indices where slice[index] == Label.lesion {
                if before == 0 { return (index % width, index / width) }
                before -= 1
            }
            return nil
        }
    }
}

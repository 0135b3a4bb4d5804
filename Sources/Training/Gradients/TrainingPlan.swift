import Engine
internal import Inference

/// A convolution with the batch norm and PReLU that follow it, and where all it reads and writes lies.
struct TrainingUnit {
    let convolution: TrainedConvolution
    /// Where batch norm's weights and shifts and PReLU's slopes lie in the parameters.
    let normWeight, normBias, slopes: Int
    /// Where the running mean and variance lie in the averages.
    let mean, variance: Int

    let plain: BlockedTensor
    let replicated: BlockedTensor?
    /// What the convolution gives; on the way back its gradient.
    let z: BlockedTensor
    /// After batch norm and PReLU, and with the shortcut if there is one.
    let y: BlockedTensor
    let shortcut: BlockedTensor?
    let pooled: BlockedTensor?

    /// The gradient by `y`.
    let gradient: BlockedTensor
    /// The gradient by `pooled`, which on the way back is added to `gradient` first.
    let pooledGradient: BlockedTensor?
    /// The gradient by `plain`, and what is added to it: a shortcut's gradient.
    let plainGradient, added: BlockedTensor?
    /// The gradient by the replicated source: at full resolution, and gathered.
    let raisedGradient, gathered: BlockedTensor?

    /// Where the unit's vectors for batch norm begin: ``NormVectors``.
    let vectors: Int
}

/// Where everything lies in the workspace, for batches of one size.
///
/// All activations are kept for the way back: what each convolution gave, and what came of it. The gradient by a
/// convolution's result takes the place of the result. Other gradients use the same memory in turn.
struct TrainingPlan {
    let images, height, width: Int
    let input: BlockedTensor
    private(set) var units: [TrainingUnit] = []
    let head: TrainedConvolution
    let headBias: Int
    /// The logits, then the probabilities, then the gradient by the logits.
    let logits: BlockedTensor
    let scratch: [Int]
    let sharedScratch: Int
    /// Sums and transformed tiles of ``WeightGradient``.
    let gradientSums, gradientTiles: Int
    /// Partial sums of batch norm: three vectors for each strip of each channel block of each image.
    let partials: Int
    /// Floats in all the units' vectors for batch norm.
    let vectorFloats: Int
    let floats: Int

    /// Images that are worked on together, so that a plane that was just written is still in a cache when it is read.
    private static let groupBytes = 4 << 20

    init(
        _ architecture: Architecture, layout parameters: ParameterLayout, convolutions: [TrainedConvolution],
        images: Int, height: Int, width: Int, kernels: TrainingKernels, threads: Int
    ) {
        self.images = images
        self.height = height
        self.width = width
        let lanes = kernels.lanes
        var layout = WorkspaceLayout(lanes: lanes)
        func tensor(_ channels: Int, _ level: Int) -> BlockedTensor {
            layout.tensor(channels: channels, height: height >> level, width: width >> level, images: images)
        }
        let levels = Architecture.levels
        let channels = (0..<levels).map(architecture.channels(at:))
        func shape(_ channels: Int, _ level: Int) -> (channels: Int, height: Int, width: Int) {
            (channels, height >> level, width >> level)
        }
        let inner = layout.overlapping((0..<levels).map { shape(channels[$0], $0) }, images: images)
        let even = layout.overlapping([0, 2, 4].map { shape(channels[$0], $0) }, images: images)
        let odd = layout.overlapping([1, 3].map { shape(channels[$0], $0) }, images: images)
        let results = [even[0], odd[0], even[1], odd[1], even[2]]
        let pooledGradients = layout.overlapping((1..<levels).map { shape(channels[$0 - 1], $0) }, images: images)
        // At full resolution these are the largest gradients; where images go one by one they share one image's memory.
        let raised = (0..<levels - 1).map { level in
            let bytes = channels[level] * (height >> level) * (width >> level) * 4
            return layout.overlapping(
                [shape(channels[level + 1], level)], images: images, isShared: Self.groupBytes / bytes <= 1)[0]
        }

        input = tensor(architecture.slices, 0)
        let offsets = Dictionary(
            (parameters.parameters + parameters.averages).map { ($0.name, $0.range.lowerBound) },
            uniquingKeysWith: { first, _ in first })
        var units: [TrainingUnit] = []
        var vectorFloats = 0
        func add(
            _ name: String, plain: BlockedTensor, replicated: BlockedTensor? = nil, shortcut: BlockedTensor?,
            pooled: BlockedTensor?, gradient: BlockedTensor, pooledGradient: BlockedTensor?,
            plainGradient: BlockedTensor?, added: BlockedTensor?, raisedGradient: BlockedTensor? = nil,
            gathered: BlockedTensor? = nil, level: Int
        ) {
            units.append(
                TrainingUnit(
                    convolution: convolutions[units.count], normWeight: offsets["\(name).norm.weight"]!,
                    normBias: offsets["\(name).norm.bias"]!, slopes: offsets["\(name).act.weight"]!,
                    mean: offsets["\(name).norm.running_mean"]!, variance: offsets["\(name).norm.running_var"]!,
                    plain: plain, replicated: replicated, z: tensor(channels[level], level),
                    y: tensor(channels[level], level), shortcut: shortcut, pooled: pooled, gradient: gradient,
                    pooledGradient: pooledGradient, plainGradient: plainGradient, added: added,
                    raisedGradient: raisedGradient, gathered: gathered, vectors: vectorFloats))
            vectorFloats += NormVectors.count * channels[level].roundedUp(to: lanes)
        }

        var skips: [BlockedTensor] = []
        var skipGradients: [BlockedTensor] = []
        var pooled: BlockedTensor?
        for block in architecture.encoder {
            let level = block.level
            let isLowest = level == levels - 1
            let gradient = isLowest ? results[level] : tensor(channels[level], level)
            let source = pooled ?? input
            let next = isLowest ? nil : tensor(channels[level], level + 1)
            for index in 0..<block.convolutions {
                let isLast = index == block.convolutions - 1
                add(
                    block.unitName(index), plain: index == 0 ? source : units[units.count - 1].y,
                    shortcut: isLast && block.hasShortcut ? source : nil, pooled: isLast ? next : nil,
                    gradient: isLast ? gradient : inner[level],
                    pooledGradient: isLast && !isLowest ? pooledGradients[level] : nil,
                    plainGradient: index > 0 ? inner[level] : level > 0 ? pooledGradients[level - 1] : nil,
                    added: index == 0 && block.hasShortcut ? gradient : nil, level: level)
            }
            skips.append(units[units.count - 1].y)
            skipGradients.append(gradient)
            pooled = next
        }
        for block in architecture.decoder {
            let level = block.level
            let lower = units[units.count - 1].y
            for index in 0..<block.convolutions {
                let isLast = index == block.convolutions - 1
                add(
                    block.unitName(index), plain: index == 0 ? skips[level] : units[units.count - 1].y,
                    replicated: index == 0 ? lower : nil, shortcut: isLast ? skips[level] : nil, pooled: nil,
                    gradient: isLast ? results[level] : inner[level], pooledGradient: nil,
                    plainGradient: index == 0 ? skipGradients[level] : inner[level],
                    added: index == 0 ? results[level] : nil, raisedGradient: index == 0 ? raised[level] : nil,
                    gathered: index == 0 ? results[level + 1] : nil, level: level)
            }
        }
        head = convolutions[units.count]
        headBias = offsets["head.bias"]!
        logits = tensor(architecture.classes, 0)
        self.vectorFloats = vectorFloats

        let layers = convolutions.flatMap(\.layers)
        let threadScratch = layers.reduce(0) { max($0, $1.schedule.threadScratch) }
        scratch = (0..<threads).map { _ in layout.reserve(threadScratch) }
        sharedScratch = layout.reserve(layers.reduce(0) { max($0, $1.schedule.sharedScratch) })
        gradientSums = layout.reserve(
            convolutions.reduce(0) { max($0, WeightGradient.sumFloats($1, lanes: lanes)) })
        gradientTiles = layout.reserve(
            convolutions.reduce(0) { max($0, WeightGradient.tileFloats($1, lanes: lanes, threads: threads)) })
        partials = layout.reserve(
            units.reduce(0) { max($0, images * $1.z.blocks * strips(height: $1.z.height) * 3 * lanes) })
        floats = layout.floats
        self.units = units
    }

    /// The images of a tensor's group.
    func groups(of tensor: BlockedTensor) -> [Range<Int>] {
        let bytes = tensor.blocks * tensor.height * tensor.width * tensor.lanes * 4
        let size = max(1, Self.groupBytes / bytes)
        return stride(from: 0, to: images, by: size).map { $0..<min($0 + size, images) }
    }
}

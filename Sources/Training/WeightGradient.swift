internal import CKernels
internal import Inference

/// The gradient of a convolution's weights, summed over the images of a batch by Winograd's method F(4x4, 3x3).
///
/// All threads work on one block of tiles after the other: first they transform its inputs and gradients, then each
/// takes products of some components and channels. What is summed in which order does not depend on the threads.
struct WeightGradient {
    let convolution: TrainedConvolution
    let plain: BlockedTensor
    let replicated: BlockedTensor?
    /// The gradient by the convolution's output; 0 beyond the plane.
    let gradient: BlockedTensor
    /// Where the sums begin in the workspace: [component][channel][vector][lane].
    let sums: Int
    /// Where transformed tiles begin.
    let tiles: Int
    private let lanes: Int
    private let blocks, vectors, plainBlocks: Int

    /// Transformed tiles of a block, inputs and gradients, in bytes: they should stay in the third-level cache.
    private static let blockBytes = 4 << 20
    private static let mostTiles = 512

    init(
        _ convolution: TrainedConvolution, plain: BlockedTensor, replicated: BlockedTensor?, gradient: BlockedTensor,
        sums: Int, tiles: Int, lanes: Int
    ) {
        self.convolution = convolution
        self.plain = plain
        self.replicated = replicated
        self.gradient = gradient
        self.sums = sums
        self.tiles = tiles
        self.lanes = lanes
        let layer = convolution.forward.winograd
        (blocks, vectors, plainBlocks) = (layer.blocks, layer.vectors, layer.plainBlocks)
    }

    private static func blockTiles(_ convolution: TrainedConvolution, lanes: Int) -> Int {
        let vectors = convolution.forward.winograd.blocks + convolution.forward.winograd.vectors
        return max(8, min(mostTiles, blockBytes / (TrainingKernels.components * vectors * lanes * 4)))
    }

    /// From one component of the transformed tiles to the next: one cache line more than they take, or all components
    /// would fall into the same sets of the cache.
    private static func componentStride(_ vectors: Int, tiles: Int, lanes: Int) -> Int {
        vectors * tiles * lanes + 16
    }

    /// Floats of the sums.
    static func sumFloats(_ convolution: TrainedConvolution, lanes: Int) -> Int {
        let layer = convolution.forward.winograd
        return TrainingKernels.components * layer.blocks * lanes * layer.vectors * lanes
    }

    /// Floats of the transformed tiles.
    static func tileFloats(_ convolution: TrainedConvolution, lanes: Int) -> Int {
        let layer = convolution.forward.winograd
        let tiles = blockTiles(convolution, lanes: lanes)
        return TrainingKernels.components
            * (componentStride(layer.blocks, tiles: tiles, lanes: lanes)
                + componentStride(layer.vectors, tiles: tiles, lanes: lanes))
    }

    private var sumComponentStride: Int { blocks * lanes * vectors * lanes }

    /// Sets the sums to 0.
    func begin(_ worker: inout Worker, _ context: TrainingContext) {
        worker.share(TrainingKernels.components) { component in
            (context.workspace + sums + component * sumComponentStride).update(repeating: 0, count: sumComponentStride)
        }
    }

    /// Adds the products of some images.
    func add(images: Range<Int>, _ worker: inout Worker, _ context: TrainingContext) {
        let cut = TileBlocks(
            outputs: TrainingKernels.tile, height: gradient.height, width: gradient.width, images: images,
            size: Self.blockTiles(convolution, lanes: lanes))
        let inputStride = Self.componentStride(blocks, tiles: cut.size, lanes: lanes)
        let gradientStride = Self.componentStride(vectors, tiles: cut.size, lanes: lanes)
        let inputTiles = context.workspace + tiles
        let gradientTiles = inputTiles + TrainingKernels.components * inputStride
        for block in 0..<cut.blocks {
            let range = cut.tiles(of: block)
            // Few channels are shared out in parts of the block's tiles.
            let parts = max(1, min(range.count / 8, 8 / (blocks + vectors)))
            worker.share((blocks + vectors) * parts) { item in
                let (part, channel) = (item / (blocks + vectors), item % (blocks + vectors))
                let lower = range.lowerBound + range.count * part / parts
                let upper = range.lowerBound + range.count * (part + 1) / parts
                let before = lower - range.lowerBound
                if channel < blocks {
                    let target = inputTiles + (channel * cut.size + before) * lanes
                    transformInput(cut, lower..<upper, channel, to: target, stride: inputStride, context)
                } else {
                    let vector = channel - blocks
                    let target = gradientTiles + (vector * cut.size + before) * lanes
                    transformGradient(cut, lower..<upper, vector, to: target, stride: gradientStride, context)
                }
            }
            worker.share(TrainingKernels.components * blocks) { item in
                let (component, channelBlock) = (item / blocks, item % blocks)
                // Component 2 of either axis has nothing from a replicated source.
                if channelBlock >= plainBlocks && (component / 6 == 2 || component % 6 == 2) { return }
                var job = ck_tile_products(
                    inputs: inputTiles + component * inputStride + channelBlock * cut.size * lanes,
                    gradients: gradientTiles + component * gradientStride, vector_stride: cut.size * lanes,
                    vectors: vectors, tiles: range.count,
                    sums: context.workspace + sums + component * sumComponentStride
                        + channelBlock * lanes * vectors * lanes,
                    channel_stride: vectors * lanes)
                context.kernels.operations.tile_products(&job)
            }
        }
    }

    private func transformInput(
        _ cut: TileBlocks, _ range: Range<Int>, _ channelBlock: Int, to target: UnsafeMutablePointer<Float>,
        stride: Int, _ context: TrainingContext
    ) {
        let isReplicated = channelBlock >= plainBlocks
        let source = isReplicated ? replicated! : plain
        let sourceBlock = isReplicated ? channelBlock - plainBlocks : channelBlock
        let pitch = isReplicated ? TrainingKernels.tile / 2 : TrainingKernels.tile
        let kernel = context.kernels.convolution.input(TrainingKernels.tile, replicated: isReplicated)
        cut.forEachRun(in: range) { run in
            var job = ck_input(
                source: context.workspace
                    + source.offset(image: run.image, block: sourceBlock, y: run.row * pitch - 1, x: run.column * pitch - 1),
                row_stride: source.rowStride, tiles: target + run.before * lanes, component_stride: stride,
                count: run.count)
            kernel(&job)
        }
    }

    private func transformGradient(
        _ cut: TileBlocks, _ range: Range<Int>, _ vector: Int, to target: UnsafeMutablePointer<Float>, stride: Int,
        _ context: TrainingContext
    ) {
        cut.forEachRun(in: range) { run in
            var job = ck_gradient_tiles(
                source: context.workspace
                    + gradient.offset(
                        image: run.image, block: vector, y: run.row * TrainingKernels.tile,
                        x: run.column * TrainingKernels.tile),
                row_stride: gradient.rowStride, tiles: target + run.before * lanes, component_stride: stride,
                count: run.count)
            context.kernels.operations.gradient_tiles(&job)
        }
    }

    /// Writes the gradients of the weights.
    func finish(_ worker: inout Worker, _ context: TrainingContext) {
        let (inputs, outputs) = (convolution.inputs, convolution.outputs)
        let target = context.gradients + convolution.offset
        worker.share(blocks * vectors) { item in
            let (block, vector) = (item / vectors, item % vectors)
            let isPlain = block < plainBlocks
            let first = isPlain ? block * lanes : convolution.plain + (block - plainBlocks) * lanes
            let channels = min(lanes, (isPlain ? convolution.plain : inputs) - first)
            withUnsafeTemporaryAllocation(byteCount: 9 * lanes * 4, alignment: 64) { memory in
                let taps = memory.baseAddress!.bindMemory(to: Float.self, capacity: 9 * lanes)
                for lane in 0..<channels {
                    var job = ck_filter_gradients(
                        components: context.workspace + sums + ((block * lanes + lane) * vectors + vector) * lanes,
                        component_stride: sumComponentStride, taps: taps)
                    context.kernels.operations.filter_gradients(&job)
                    for output in 0..<min(lanes, outputs - vector * lanes) {
                        let filter = target + ((vector * lanes + output) * inputs + first + lane) * 9
                        for tap in 0..<9 { filter[tap] = taps[tap * lanes + output] }
                    }
                }
            }
        }
    }
}

internal import CKernels
import Engine
internal import Inference

/// The gradient of a convolution's weights, summed over the images of a batch by Winograd's method F(4x4, 3x3).
///
/// Where the sums are small, there are several of them, each of every n-th block of tiles: a thread takes a sum and works
/// through its blocks, which stay in its second-level cache. Where they are large, all threads work on one block after the
/// other: first they transform its inputs and gradients, then each takes products of some components and channels. So
/// what is summed in which order does not depend on the threads.
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
    /// How many sums there are; 1 where they are large.
    private let parts: Int

    /// Sums of a convolution that there are several of, in bytes, and how many then.
    private static let smallSumBytes = 1 << 20
    private static let smallSums = 8
    /// Transformed tiles, inputs and gradients, of a thread's own block, and of a common one, which should stay in the
    /// third-level cache.
    private static let ownBytes = 448 << 10
    private static let sharedBytes = 4 << 20
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
        parts = Self.parts(convolution, lanes: lanes)
    }

    private static func parts(_ convolution: TrainedConvolution, lanes: Int) -> Int {
        sums(convolution, lanes: lanes) * 4 <= smallSumBytes ? smallSums : 1
    }

    private static func blockTiles(_ convolution: TrainedConvolution, lanes: Int) -> Int {
        let vectors = convolution.forward.winograd.blocks + convolution.forward.winograd.vectors
        let bytes = parts(convolution, lanes: lanes) > 1 ? ownBytes : sharedBytes
        return max(8, min(mostTiles, bytes / (TrainingKernels.components * vectors * lanes * 4)))
    }

    /// From one component of the transformed tiles to the next: one cache line more than they take, or all components
    /// would fall into the same sets of the cache.
    private static func componentStride(_ vectors: Int, tiles: Int, lanes: Int) -> Int {
        vectors * tiles * lanes + 16
    }

    private static func sums(_ convolution: TrainedConvolution, lanes: Int) -> Int {
        let layer = convolution.forward.winograd
        return TrainingKernels.components * layer.blocks * lanes * layer.vectors * lanes
    }

    private static func tiles(_ convolution: TrainedConvolution, lanes: Int) -> Int {
        let layer = convolution.forward.winograd
        let tiles = blockTiles(convolution, lanes: lanes)
        return TrainingKernels.components
            * (componentStride(layer.blocks, tiles: tiles, lanes: lanes)
                + componentStride(layer.vectors, tiles: tiles, lanes: lanes))
    }

    /// Floats of all sums.
    static func sumFloats(_ convolution: TrainedConvolution, lanes: Int) -> Int {
        sums(convolution, lanes: lanes) * parts(convolution, lanes: lanes)
    }

    /// Floats of all transformed tiles.
    static func tileFloats(_ convolution: TrainedConvolution, lanes: Int, threads: Int) -> Int {
        tiles(convolution, lanes: lanes) * (parts(convolution, lanes: lanes) > 1 ? threads : 1)
    }

    private var sumComponentStride: Int { blocks * lanes * vectors * lanes }

    /// Where the sums of `part` begin in the workspace.
    private func sums(of part: Int) -> Int { sums + part * TrainingKernels.components * sumComponentStride }

    /// Sets the sums to 0.
    func begin(_ worker: inout Worker, _ context: TrainingContext) {
        let count = Self.sumFloats(convolution, lanes: lanes) / TrainingKernels.components
        worker.share(TrainingKernels.components) { part in
            (context.workspace + sums + part * count).update(repeating: 0, count: count)
        }
    }

    /// Where a block's transformed tiles lie.
    private struct Tiles {
        let inputs, gradients: UnsafeMutablePointer<Float>
        let inputStride, gradientStride: Int
    }

    /// Adds the products of some images.
    func add(images: Range<Int>, _ worker: inout Worker, _ context: TrainingContext) {
        let cut = TileBlocks(
            outputs: TrainingKernels.tile, height: gradient.height, width: gradient.width, images: images,
            size: Self.blockTiles(convolution, lanes: lanes), threads: parts)
        let offset = parts > 1 ? worker.thread * Self.tiles(convolution, lanes: lanes) : 0
        let inputStride = Self.componentStride(blocks, tiles: cut.size, lanes: lanes)
        let inputs = context.workspace + tiles + offset
        let target = Tiles(
            inputs: inputs, gradients: inputs + TrainingKernels.components * inputStride, inputStride: inputStride,
            gradientStride: Self.componentStride(vectors, tiles: cut.size, lanes: lanes))
        if parts > 1 {
            worker.share(parts) { part in
                for block in stride(from: part, to: cut.blocks, by: parts) {
                    let range = cut.tiles(of: block)
                    for channel in 0..<blocks + vectors {
                        transform(cut, range, before: 0, channel, to: target, context)
                    }
                    for item in 0..<TrainingKernels.components * blocks {
                        multiply(item, cut, range.count, target, sums: sums(of: part), context)
                    }
                }
            }
        } else {
            addTogether(cut, target, &worker, context)
        }
    }

    private func addTogether(_ cut: TileBlocks, _ target: Tiles, _ worker: inout Worker, _ context: TrainingContext) {
        let channels = blocks + vectors
        for block in 0..<cut.blocks {
            let range = cut.tiles(of: block)
            // Few channels are shared out in parts of the block's tiles.
            let parts = max(1, min(range.count / 8, 8 / channels))
            worker.share(channels * parts) { item in
                let part = item / channels
                let lower = range.lowerBound + range.count * part / parts
                let upper = range.lowerBound + range.count * (part + 1) / parts
                transform(
                    cut, lower..<upper, before: lower - range.lowerBound, item % channels, to: target, context)
            }
            worker.share(TrainingKernels.components * blocks) { item in
                multiply(item, cut, range.count, target, sums: sums, context)
            }
        }
    }

    /// Transforms some tiles of one vector of channels: of the inputs, or after those of the gradients.
    private func transform(
        _ cut: TileBlocks, _ range: Range<Int>, before: Int, _ channel: Int, to tiles: Tiles,
        _ context: TrainingContext
    ) {
        if channel < blocks {
            let target = tiles.inputs + (channel * cut.size + before) * lanes
            transformInput(cut, range, channel, to: target, stride: tiles.inputStride, context)
        } else {
            let target = tiles.gradients + ((channel - blocks) * cut.size + before) * lanes
            transformGradient(cut, range, channel - blocks, to: target, stride: tiles.gradientStride, context)
        }
    }

    /// Adds the products of one component and channel block.
    private func multiply(
        _ item: Int, _ cut: TileBlocks, _ count: Int, _ tiles: Tiles, sums: Int, _ context: TrainingContext
    ) {
        let (component, channelBlock) = (item / blocks, item % blocks)
        // Component 2 of either axis has nothing from a replicated source.
        if channelBlock >= plainBlocks && (component / 6 == 2 || component % 6 == 2) { return }
        var job = ck_tile_products(
            inputs: tiles.inputs + component * tiles.inputStride + channelBlock * cut.size * lanes,
            gradients: tiles.gradients + component * tiles.gradientStride, vector_stride: cut.size * lanes,
            vectors: vectors, tiles: count,
            sums: context.workspace + sums + component * sumComponentStride + channelBlock * lanes * vectors * lanes,
            channel_stride: vectors * lanes)
        context.kernels.operations.tile_products(&job)
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
                    + source.offset(
                        image: run.image, block: sourceBlock, y: run.row * pitch - 1, x: run.column * pitch - 1),
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
        if parts > 1 {
            worker.share(TrainingKernels.components) { component in
                let total = context.workspace + sums + component * sumComponentStride
                for part in 1..<parts {
                    let more = context.workspace + sums(of: part) + component * sumComponentStride
                    for index in 0..<sumComponentStride { total[index] += more[index] }
                }
            }
        }
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

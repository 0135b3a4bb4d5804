internal import CKernels

/// One convolution of a plan, on some of its images: what every thread of the team runs.
public struct WinogradConvolution {
    /// What one convolution reads and writes.
    public struct Operands: Sendable {
        let plain: BlockedTensor
        /// Half as high and wide; its channels come after those of `plain`.
        let replicated: BlockedTensor?
        let output: BlockedTensor
        /// Added to the output, as many channels as it has.
        let shortcut: BlockedTensor?
        /// The output's 2x2 maxima.
        let pooled: BlockedTensor?

        /// Operands whose shapes fit: the caller's promise.
        public init(
            plain: BlockedTensor, replicated: BlockedTensor? = nil, output: BlockedTensor,
            shortcut: BlockedTensor? = nil, pooled: BlockedTensor? = nil
        ) {
            self.plain = plain
            self.replicated = replicated
            self.output = output
            self.shortcut = shortcut
            self.pooled = pooled
        }
    }

    let layer: WinogradLayer
    let schedule: WinogradSchedule
    let operands: Operands
    let images: Range<Int>
    let kernels: Kernels
    let workspace: UnsafeMutablePointer<Float>
    /// Where scratch memory of each thread begins, and of all together.
    let scratch: [Int]
    let sharedScratch: Int

    /// A convolution of `images` of the operands.
    public init(
        layer: WinogradLayer, schedule: WinogradSchedule, operands: Operands, images: Range<Int>, kernels: Kernels,
        workspace: UnsafeMutablePointer<Float>, scratch: [Int], sharedScratch: Int
    ) {
        self.layer = layer
        self.schedule = schedule
        self.operands = operands
        self.images = images
        self.kernels = kernels
        self.workspace = workspace
        self.scratch = scratch
        self.sharedScratch = sharedScratch
    }

    private var lanes: Int { kernels.lanes }

    /// Does this thread's part, and returns when all have done theirs.
    public func run(_ worker: inout Worker) {
        let blocks = blocks(of: schedule.ownTiles, threads: worker.threads)
        if schedule.isShared(tiles: blocks.count, threads: worker.threads) {
            runTogether(blocks: self.blocks(of: schedule.sharedTiles), &worker)
        } else {
            runOwn(blocks: blocks, &worker)
        }
    }

    private func blocks(of size: Int, threads: Int = 1) -> TileBlocks {
        TileBlocks(
            outputs: layer.outputs, height: operands.output.height, width: operands.output.width, images: images,
            size: size,
            threads: threads)
    }

    /// Each thread transforms, multiplies and finishes blocks of its own.
    private func runOwn(blocks: TileBlocks, _ worker: inout Worker) {
        let input = workspace + scratch[worker.thread]
        let products = input + layer.components * schedule.ownStride
        var inputs = Prefetch()
        var outputs = Prefetch()
        // With few blocks, one that is claimed ahead would be one that another thread waits for.
        let looksAhead = blocks.blocks > 4 * worker.threads
        var next = worker.claim(below: blocks.blocks)
        while let block = next {
            let tiles = blocks.tiles(of: block)
            for channelBlock in 0..<layer.blocks {
                transform(blocks, tiles, channelBlock, to: input, stride: schedule.ownStride)
            }
            inputs.clear()
            if looksAhead {
                next = worker.claim(below: blocks.blocks)
                if let next { addInputs(blocks, blocks.tiles(of: next), to: &inputs) }
            }
            inputs.spread(over: layer.panels * layer.components)
            for panel in 0..<layer.panels {
                outputs.clear()
                addOutputs(blocks, tiles, panel, to: &outputs)
                outputs.spread(over: layer.components)
                multiply(
                    blocks, tiles, panel, input: input, stride: schedule.ownStride, to: products,
                    productStride: schedule.ownProductStride, &inputs, &outputs)
                finish(blocks, tiles, panel, products: products, stride: schedule.ownProductStride)
            }
            if !looksAhead { next = worker.claim(below: blocks.blocks) }
        }
        worker.endPhase(of: blocks.blocks)
    }

    /// All threads work on one block after the other: first on its channels, then on its panels of output channels.
    private func runTogether(blocks: TileBlocks, _ worker: inout Worker) {
        let input = workspace + sharedScratch
        let products = workspace + scratch[worker.thread]
        var inputs = Prefetch()
        var outputs = Prefetch()
        for block in 0..<blocks.blocks {
            let tiles = blocks.tiles(of: block)
            let sources = parts(of: tiles, items: layer.blocks, threads: worker.threads)
            worker.share(layer.blocks * sources.count) { item in
                let part = sources[item / layer.blocks]
                transform(
                    blocks, part, item % layer.blocks, to: input + (part.lowerBound - tiles.lowerBound) * lanes,
                    stride: schedule.sharedStride)
            }
            let targets = parts(of: tiles, items: layer.panels, threads: worker.threads)
            worker.share(layer.panels * targets.count) { item in
                let (part, panel) = (targets[item % targets.count], item / targets.count)
                outputs.clear()
                addOutputs(blocks, part, panel, to: &outputs)
                outputs.spread(over: layer.components)
                multiply(
                    blocks, part, panel, input: input + (part.lowerBound - tiles.lowerBound) * lanes,
                    stride: schedule.sharedStride, to: products, productStride: schedule.sharedProductStride, &inputs,
                    &outputs)
                finish(blocks, part, panel, products: products, stride: schedule.sharedProductStride)
            }
        }
    }

    /// Cuts a block that all threads work on, where there are fewer `items` to share out than keep them busy.
    private func parts(of tiles: Range<Int>, items: Int, threads: Int) -> [Range<Int>] {
        let wanted = min((2 * threads + items - 1) / items, tiles.count / kernels.groupTiles)
        guard wanted > 1 else { return [tiles] }
        let size = ((tiles.count + wanted - 1) / wanted).roundedUp(to: kernels.groupTiles)
        return stride(from: tiles.lowerBound, to: tiles.upperBound, by: size).map {
            $0..<min($0 + size, tiles.upperBound)
        }
    }

    /// The input transform of some tiles, one channel block.
    private func transform(
        _ blocks: TileBlocks, _ tiles: Range<Int>, _ channelBlock: Int, to input: UnsafeMutablePointer<Float>,
        stride: Int
    ) {
        let source = source(of: channelBlock)
        let kernel = kernels.input(layer.outputs, replicated: channelBlock >= layer.plainBlocks)
        blocks.forEachRun(in: tiles) { run in
            var job = ck_input(
                source: workspace + source.firstPixel(of: run), row_stride: source.tensor.rowStride,
                tiles: input + (channelBlock * blocks.size + run.before) * lanes, component_stride: stride,
                count: run.count)
            kernel(&job)
        }
    }

    /// The matrix products of one panel of output channels.
    private func multiply(
        _ blocks: TileBlocks, _ tiles: Range<Int>, _ panel: Int, input: UnsafeMutablePointer<Float>, stride: Int,
        to products: UnsafeMutablePointer<Float>, productStride: Int, _ inputs: inout Prefetch,
        _ outputs: inout Prefetch
    ) {
        inputs.withPointer { inputs in
            outputs.withPointer { outputs in
                var job = ck_products(
                    tiles: input, tile_component_stride: stride, tile_block_stride: blocks.size * lanes,
                    weights: layer.weights(of: panel), products: products, product_component_stride: productStride,
                    product_vector_stride: blocks.size * lanes, side: layer.outputs + 2, tile_count: tiles.count,
                    vectors: layer.vectors(of: panel), blocks: layer.blocks, plain_blocks: layer.plainBlocks,
                    ahead: (inputs, outputs))
                kernels.products(&job)
            }
        }
    }

    /// The output transform of one panel of output channels, with all that follows it.
    private func finish(
        _ blocks: TileBlocks, _ tiles: Range<Int>, _ panel: Int, products: UnsafeMutablePointer<Float>, stride: Int
    ) {
        let kernel = kernels.output(layer.outputs)
        for vector in 0..<layer.vectors(of: panel) {
            let block = panel * layer.panelVectors + vector
            let shortcut = shortcut(for: block)
            blocks.forEachRun(in: tiles) { run in
                let (y, x) = (run.row * layer.outputs, run.column * layer.outputs)
                var job = ck_output(
                    products: products + (vector * blocks.size + run.before) * lanes, component_stride: stride,
                    count: run.count, bias: layer.epilogue.base + block * lanes,
                    slopes: layer.epilogue.base + (layer.vectors + block) * lanes,
                    output: workspace + operands.output.offset(image: run.image, block: block, y: y, x: x),
                    row_stride: operands.output.rowStride, shortcut: nil, shortcut_row_stride: 0, pooled: nil,
                    pooled_row_stride: 0, rows: operands.output.height - y, columns: operands.output.width - x)
                if let shortcut {
                    job.shortcut = UnsafePointer(
                        workspace + shortcut.offset(image: run.image, block: block, y: y, x: x))
                    job.shortcut_row_stride = shortcut.rowStride
                }
                if let pooled = operands.pooled {
                    job.pooled = workspace + pooled.offset(image: run.image, block: block, y: y / 2, x: x / 2)
                    job.pooled_row_stride = pooled.rowStride
                }
                kernel(&job)
            }
        }
    }

    /// What is added to an output block. A shortcut from fewer channels than the output has adds nothing to the rest.
    private func shortcut(for block: Int) -> BlockedTensor? {
        guard let shortcut = operands.shortcut, block < shortcut.blocks else { return nil }
        return shortcut
    }

    /// Where one channel block of the input comes from.
    private struct Source {
        let tensor: BlockedTensor
        let block: Int
        /// Pixels from one tile's patch to the next's.
        let pitch: Int

        func firstPixel(of run: TileBlocks.Run) -> Int {
            tensor.offset(image: run.image, block: block, y: run.row * pitch - 1, x: run.column * pitch - 1)
        }
    }

    private func source(of channelBlock: Int) -> Source {
        if channelBlock >= layer.plainBlocks, let replicated = operands.replicated {
            return Source(tensor: replicated, block: channelBlock - layer.plainBlocks, pitch: layer.outputs / 2)
        }
        return Source(tensor: operands.plain, block: channelBlock, pitch: layer.outputs)
    }

    /// The pixels that the input transform of some tiles will read.
    private func addInputs(_ blocks: TileBlocks, _ tiles: Range<Int>, to list: inout Prefetch) {
        for channelBlock in 0..<layer.blocks {
            let source = source(of: channelBlock)
            blocks.forEachRun(in: tiles) { run in
                let first = workspace + source.firstPixel(of: run)
                for row in 0..<source.pitch + 2 {
                    list.add(first + row * source.tensor.rowStride, floats: (run.count * source.pitch + 2) * lanes)
                }
            }
        }
    }

    /// The pixels that the output transform of some tiles will write or add.
    private func addOutputs(_ blocks: TileBlocks, _ tiles: Range<Int>, _ panel: Int, to list: inout Prefetch) {
        for vector in 0..<layer.vectors(of: panel) {
            let block = panel * layer.panelVectors + vector
            let shortcut = shortcut(for: block)
            blocks.forEachRun(in: tiles) { run in
                let x = run.column * layer.outputs
                let floats = run.count * layer.outputs * lanes
                func add(_ tensor: BlockedTensor, y: Int, x: Int, floats: Int) {
                    list.add(workspace + tensor.offset(image: run.image, block: block, y: y, x: x), floats: floats)
                }
                for y in run.row * layer.outputs..<min((run.row + 1) * layer.outputs, operands.output.height) {
                    add(operands.output, y: y, x: x, floats: floats)
                    if let shortcut, shortcut.offset != operands.output.offset {
                        add(shortcut, y: y, x: x, floats: floats)
                    }
                    if let pooled = operands.pooled, y % 2 == 0 { add(pooled, y: y / 2, x: x / 2, floats: floats / 2) }
                }
            }
        }
    }
}

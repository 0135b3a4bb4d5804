internal import Compute
import Engine

/// The network over channel blocks: Winograd's method, with direct kernels for the first and the last convolution.
struct BlockedNetwork: Sendable {
    private let architecture: Architecture
    private let kernels: Kernels
    private let team: ThreadTeam
    private let first: FirstLayer
    /// All convolutions between the first and the head, in the order of the network.
    private let layers: [WinogradLayer]
    private let head: HeadLayer
    private let schedules: [WinogradSchedule]

    /// Tiles at the first of the deep levels from which on there is nothing to gain from more images: those of an image
    /// of 256 x 256. At width 64 several images of 128 x 128 take a sixth less time together.
    private static let deepTiles = 36
    /// Bytes of the weights of the deep levels.
    private let deepWeightBytes: Int

    /// Rows that a thread computes at a time in the first and the last convolution.
    private static let strip = 8

    init(
        _ tensors: [String: Tensor], architecture: Architecture, set: InstructionSet, team: ThreadTeam
    ) throws(ModelError) {
        let kernels = Kernels(set)
        self.architecture = architecture
        self.kernels = kernels
        self.team = team
        first = FirstLayer(try Convolution(0, of: architecture.encoder[0], tensors), kernels: kernels)
        let encoder = architecture.encoder.map { (block: $0, isDecoder: false) }
        let decoder = architecture.decoder.map { (block: $0, isDecoder: true) }
        var layers: [WinogradLayer] = []
        var deepWeightBytes = 0
        for (block, isDecoder) in encoder + decoder {
            for index in 0..<block.convolutions where index > 0 || isDecoder || block.level > 0 {
                let convolution = try Convolution(index, of: block, tensors)
                layers.append(
                    WinogradLayer(
                        convolution, plain: isDecoder && index == 0 ? block.outputs : convolution.inputs,
                        outputs: Self.tileOutputs(level: block.level), kernels: kernels, team: team))
                if block.level >= BlockedPlan.deepLevel { deepWeightBytes += layers[layers.count - 1].weightBytes }
            }
        }
        self.layers = layers
        self.deepWeightBytes = deepWeightBytes
        head = HeadLayer(Convolution(headOf: architecture, tensors), kernels: kernels)
        schedules = layers.map { WinogradSchedule($0, kernels) }
    }

    /// Which of the two methods a level uses.
    ///
    /// F(6x6) needs 1.8 multiplications a pixel and F(4x4) 2.3, but on the small planes of the two lowest levels (64 x 64
    /// and 32 x 32 for 512 x 512) tiles of six reach beyond the plane by as much as they save. Their weights, nine tenths
    /// of the network's, would take 1.8 times the memory, and their rounding errors are three times as large.
    static func tileOutputs(level: Int) -> Int { level >= 3 ? 4 : 6 }

    var weightBytes: Int { layers.reduce(first.weightBytes + head.weightBytes) { $0 + $1.weightBytes } }

    /// How a run of the given size is laid out.
    func plan(batch: Int, height: Int, width: Int) -> BlockedPlan {
        let padded = architecture.slices * (Self.strip + 2) * (width + 2).roundedUp(to: 16)
        return BlockedPlan(
            architecture, height: height, width: width, images: group(batch: batch, height: height, width: width),
            lanes: kernels.lanes, threads: team.threads,
            threadScratch: schedules.reduce(padded) { max($0, $1.threadScratch) },
            sharedScratch: schedules.reduce(0) { max($0, $1.sharedScratch) })
    }

    /// How many images go through the deep levels together.
    ///
    /// Where the deep levels' weights are larger than any cache, they come from memory once for all these images; with
    /// enough tiles in one image that is hidden behind the arithmetic. Each image more needs memory of its own for what
    /// its decoder reads.
    private func group(batch: Int, height: Int, width: Int) -> Int {
        guard deepWeightBytes > 64 << 20 else { return 1 }
        let shift = BlockedPlan.deepLevel
        let tiles = TileBlocks(
            outputs: Self.tileOutputs(level: shift), height: height >> shift, width: width >> shift, images: 0..<1,
            size: 1
        ).count
        let wanted = min(batch, (Self.deepTiles + tiles - 1) / tiles)
        let groups = (batch + wanted - 1) / wanted
        return (batch + groups - 1) / groups
    }

    /// Computes logits; see ``Network/run(planes:batch:height:width:logits:)``.
    func run(
        planes: [UnsafePointer<Float>], batch: Int, plan: BlockedPlan, logits: UnsafeMutablePointer<Float>,
        workspace: UnsafeMutablePointer<Float>
    ) {
        nonisolated(unsafe) let (planes, logits, workspace) = (planes, logits, workspace)
        let tickets = Worker.Tickets()
        team.run { thread in
            var worker = Worker(thread: thread, team: team, tickets: tickets)
            for start in stride(from: 0, to: batch, by: plan.images) {
                let images = 0..<min(plan.images, batch - start)
                for image in images {
                    let slices = planes.dropFirst((start + image) * architecture.slices).prefix(architecture.slices)
                    runFirst(&worker, Array(slices), plan, image, workspace)
                    run(plan.encoder, image..<image + 1, &worker, plan, workspace)
                }
                run(plan.deep, images, &worker, plan, workspace)
                for image in images {
                    run(plan.decoder, image..<image + 1, &worker, plan, workspace)
                    let count = architecture.classes * plan.height * plan.width
                    runHead(&worker, plan, image, workspace, logits + (start + image) * count)
                }
            }
        }
    }

    private func run(
        _ steps: [BlockedPlan.Step], _ images: Range<Int>, _ worker: inout Worker, _ plan: BlockedPlan,
        _ workspace: UnsafeMutablePointer<Float>
    ) {
        for step in steps {
            WinogradConvolution(
                layer: layers[step.layer], schedule: schedules[step.layer], operands: step.operands, images: images,
                kernels: kernels, workspace: workspace, scratch: plan.scratch, sharedScratch: plan.sharedScratch
            ).run(&worker)
        }
    }

    /// The first convolution: strips of rows are copied to planes with a border of zeros, then convolved.
    private func runFirst(
        _ worker: inout Worker, _ slices: [UnsafePointer<Float>], _ plan: BlockedPlan, _ image: Int,
        _ workspace: UnsafeMutablePointer<Float>
    ) {
        let (height, width) = (plan.height, plan.width)
        let rowStride = (width + 2).roundedUp(to: 16)
        let planeStride = (Self.strip + 2) * rowStride
        let padded = workspace + plan.scratch[worker.thread]
        let output = plan.firstOutput
        worker.share((height + Self.strip - 1) / Self.strip) { strip in
            let rows = strip * Self.strip..<min(height, (strip + 1) * Self.strip)
            for (index, slice) in slices.enumerated() {
                for y in rows.lowerBound - 1...rows.upperBound {
                    let row = padded + index * planeStride + (y + 1 - rows.lowerBound) * rowStride
                    guard (0..<height).contains(y) else {
                        row.update(repeating: 0, count: width + 2)
                        continue
                    }
                    row[0] = 0
                    (row + 1).update(from: slice + y * width, count: width)
                    row[width + 1] = 0
                }
            }
            for y in rows {
                first.runRow(
                    kernels, source: padded + (y - rows.lowerBound) * rowStride, rowStride: rowStride,
                    planeStride: planeStride, output: workspace + output.offset(image: image, block: 0, y: y, x: 0),
                    blockStride: output.blockStride, columns: width)
            }
        }
    }

    /// The last convolution.
    private func runHead(
        _ worker: inout Worker, _ plan: BlockedPlan, _ image: Int, _ workspace: UnsafeMutablePointer<Float>,
        _ logits: UnsafeMutablePointer<Float>
    ) {
        let input = plan.headInput
        worker.share((plan.height + Self.strip - 1) / Self.strip) { strip in
            for y in strip * Self.strip..<min(plan.height, (strip + 1) * Self.strip) {
                head.runRow(
                    kernels, source: workspace + input.offset(image: image, block: 0, y: y - 1, x: -1),
                    rowStride: input.rowStride, blockStride: input.blockStride, logits: logits + y * plan.width,
                    planeStride: plan.height * plan.width, columns: plan.width)
            }
        }
    }
}

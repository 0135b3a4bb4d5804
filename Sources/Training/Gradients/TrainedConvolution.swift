internal import CKernels
import Engine
internal import Inference

/// A convolution whose weights change with every batch: forward, and the gradients by its inputs and its weights.
struct TrainedConvolution {
    /// Weights that are packed anew for each batch, and how threads share the work with them.
    struct Layer {
        let winograd: WinogradLayer
        let schedule: WinogradSchedule
    }

    /// Where the weights lie in the parameters; shape (outputs, inputs, 3, 3).
    let offset: Int
    /// All channels read, and of those the ones that are not replicated; channels written.
    let inputs, plain, outputs: Int
    let forward: Layer
    /// From gradients by the output to those by the plain inputs, and by the replicated ones at full resolution.
    let backPlain, backReplicated: Layer?
    private let lanes: Int

    init(offset: Int, inputs: Int, plain: Int, outputs: Int, needsInputGradient: Bool, kernels: TrainingKernels) {
        func layer(channels: Int, plain: Int, replicated: Int = 0) -> Layer {
            let layer = WinogradLayer(
                channels: channels, plain: plain, replicated: replicated, outputs: TrainingKernels.tile,
                kernels: kernels.convolution)
            return Layer(winograd: layer, schedule: WinogradSchedule(layer, kernels.convolution))
        }
        self.offset = offset
        self.inputs = inputs
        self.plain = plain
        self.outputs = outputs
        lanes = kernels.lanes
        forward = layer(channels: outputs, plain: plain, replicated: inputs - plain)
        backPlain = needsInputGradient ? layer(channels: plain, plain: outputs) : nil
        backReplicated = inputs > plain ? layer(channels: inputs - plain, plain: outputs) : nil
    }

    /// All packed weights.
    var layers: [Layer] { [forward] + [backPlain, backReplicated].compactMap { $0 } }

    /// How many parts the packing of the weights has.
    var packingParts: Int { layers.reduce(0) { $0 + $1.winograd.blocks } }

    /// Packs the weights of one channel block of one layer.
    func pack(part: Int, _ context: TrainingContext) {
        var block = part
        if block < forward.winograd.blocks { return packForward(block: block, context) }
        block -= forward.winograd.blocks
        if let backPlain {
            if block < backPlain.winograd.blocks {
                return packBackward(backPlain, block: block, first: 0, count: plain, context)
            }
            block -= backPlain.winograd.blocks
        }
        if let backReplicated {
            packBackward(backReplicated, block: block, first: plain, count: inputs - plain, context)
        }
    }

    private func packForward(block: Int, _ context: TrainingContext) {
        let isPlain = block < forward.winograd.plainBlocks
        let first = isPlain ? block * lanes : plain + (block - forward.winograd.plainBlocks) * lanes
        for lane in 0..<max(0, min(lanes, (isPlain ? plain : inputs) - first)) {
            for vector in 0..<forward.winograd.vectors {
                let filter = (vector * lanes * inputs + first + lane) * 9
                pack(
                    forward, row: block * lanes + lane, vector: vector, filter: filter, laneStride: inputs * 9,
                    tapStride: 1, count: outputs - vector * lanes, context)
            }
        }
    }

    /// The gradient by the input is a convolution with every filter turned by half a turn, inputs and outputs exchanged.
    private func packBackward(_ layer: Layer, block: Int, first: Int, count: Int, _ context: TrainingContext) {
        for lane in 0..<max(0, min(lanes, outputs - block * lanes)) {
            for vector in 0..<layer.winograd.vectors {
                let filter = ((block * lanes + lane) * inputs + first + vector * lanes) * 9 + 8
                pack(
                    layer, row: block * lanes + lane, vector: vector, filter: filter, laneStride: 9, tapStride: -1,
                    count: count - vector * lanes, context)
            }
        }
    }

    private func pack(
        _ layer: Layer, row: Int, vector: Int, filter: Int, laneStride: Int, tapStride: Int, count: Int,
        _ context: TrainingContext
    ) {
        let target = layer.winograd.packed(row: row, vector: vector)
        var job = ck_filters(
            filters: context.parameters + offset + filter, lane_stride: laneStride, tap_stride: tapStride,
            count: min(lanes, count), components: target.start, component_stride: target.componentStride)
        context.kernels.operations.filters(&job)
    }

    /// Runs one of the layers.
    func run(
        _ layer: Layer, _ operands: WinogradConvolution.Operands, images: Range<Int>, _ worker: inout Worker,
        _ context: TrainingContext
    ) {
        WinogradConvolution(
            layer: layer.winograd, schedule: layer.schedule, operands: operands, images: images,
            kernels: context.kernels.convolution, workspace: context.workspace, scratch: context.scratch,
            sharedScratch: context.sharedScratch
        ).run(&worker)
    }
}

internal import CKernels
internal import Compute

/// A 3x3 convolution, its weights transformed and packed for Winograd's method.
struct WinogradLayer: Sendable {
    /// Pixels a side that one tile gives: 4 or 6.
    let outputs: Int
    /// Channel blocks of the source that is read as it is.
    let plainBlocks: Int
    /// All channel blocks: those of a source that is replicated 2x2 on the way come last.
    let blocks: Int
    /// Vectors of output channels.
    let vectors: Int
    /// Vectors of output channels in one panel of weights.
    let panelVectors: Int
    /// [panel][component][channel][vector][lane]
    let weights: FloatMemory
    /// Bias of each output channel, then slopes: [vector][lane] each.
    let epilogue: FloatMemory
    private let lanes: Int

    /// Products a tile needs for each pair of channels.
    var components: Int { (outputs + 2) * (outputs + 2) }
    /// Panels of weights.
    var panels: Int { (vectors + panelVectors - 1) / panelVectors }
    /// Bytes of the packed weights.
    var weightBytes: Int { weights.count * 4 }

    /// Vectors of output channels in `panel`; the last may have fewer.
    func vectors(of panel: Int) -> Int { min(panelVectors, vectors - panel * panelVectors) }

    /// The first weight of `panel`.
    func weights(of panel: Int) -> UnsafePointer<Float> {
        UnsafePointer(weights.base + panel * panelVectors * lanes * components * blocks * lanes)
    }

    /// Transforms and packs.
    ///
    /// - Parameters:
    ///   - convolution: the folded convolution.
    ///   - plain: how many of its input channels come from the source that is read as it is; the rest are replicated.
    ///   - outputs: pixels a side that one tile gives: 4 or 6.
    init(_ convolution: Convolution, plain: Int, outputs: Int, kernels: Kernels, team: ThreadTeam) {
        let lanes = kernels.lanes
        self.lanes = lanes
        self.outputs = outputs
        plainBlocks = (plain + lanes - 1) / lanes
        blocks = plainBlocks + (convolution.inputs - plain + lanes - 1) / lanes
        vectors = (convolution.outputs + lanes - 1) / lanes
        panelVectors = min(vectors, kernels.panelVectors)
        let components = (outputs + 2) * (outputs + 2)
        weights = FloatMemory(zeroed: vectors * lanes * components * blocks * lanes)
        epilogue = FloatMemory(zeroed: 2 * vectors * lanes)
        for output in 0..<convolution.outputs {
            epilogue.base[output] = convolution.bias[output]
            epilogue.base[vectors * lanes + output] = convolution.slopes?[output] ?? 1
        }

        let (layer, blocks) = (self, blocks)
        team.forEach(layer.panels * blocks) { item in
            let panel = item / blocks
            let block = item % blocks
            for lane in 0..<lanes {
                let isPlain = block < layer.plainBlocks
                let channel = isPlain ? block * lanes + lane : plain + (block - layer.plainBlocks) * lanes + lane
                guard channel < (isPlain ? plain : convolution.inputs) else { continue }
                layer.pack(convolution, channel: channel, panel: panel, row: block * lanes + lane)
            }
        }
    }

    /// Packs the filters from one input channel to the output channels of one panel.
    private func pack(_ convolution: Convolution, channel: Int, panel: Int, row: Int) {
        let columns = vectors(of: panel) * lanes
        let first = panel * panelVectors * lanes
        let target = UnsafeMutablePointer(mutating: weights(of: panel)) + row * columns
        let componentStride = blocks * lanes * columns
        withUnsafeTemporaryAllocation(of: Float.self, capacity: components) { transformed in
            convolution.weights.withUnsafeBufferPointer { filters in
                for column in 0..<min(columns, convolution.outputs - first) {
                    let filter = filters.baseAddress! + ((first + column) * convolution.inputs + channel) * 9
                    ck_winograd_weights(filter, outputs, transformed.baseAddress)
                    for component in 0..<components {
                        target[component * componentStride + column] = transformed[component]
                    }
                }
            }
        }
    }
}

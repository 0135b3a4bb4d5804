internal import CKernels
public import Compute

/// A 3x3 convolution, its weights transformed and packed for Winograd's method.
public struct WinogradLayer: Sendable {
    /// Pixels a side that one tile gives: 4 or 6.
    let outputs: Int
    /// Channel blocks of the source that is read as it is.
    public let plainBlocks: Int
    /// All channel blocks: those of a source that is replicated 2x2 on the way come last.
    public let blocks: Int
    /// Vectors of output channels.
    public let vectors: Int
    /// Vectors of output channels in one panel of weights.
    let panelVectors: Int
    /// [panel][component][channel][vector][lane]
    let weights: FloatMemory
    /// Bias of each output channel, then slopes: [vector][lane] each.
    public let epilogue: FloatMemory
    private let lanes: Int

    /// Products a tile needs for each pair of channels.
    var components: Int { (outputs + 2) * (outputs + 2) }
    /// Panels of weights.
    var panels: Int { (vectors + panelVectors - 1) / panelVectors }
    /// Bytes of the packed weights.
    public var weightBytes: Int { weights.count * 4 }

    /// Vectors of output channels in `panel`; the last may have fewer.
    func vectors(of panel: Int) -> Int { min(panelVectors, vectors - panel * panelVectors) }

    /// The first weight of `panel`.
    func weights(of panel: Int) -> UnsafePointer<Float> {
        UnsafePointer(weights.base + panel * panelVectors * lanes * components * blocks * lanes)
    }

    /// Room for the weights of a convolution whose output is what it sums up: no bias, no PReLU.
    ///
    /// - Parameters:
    ///   - channels: output channels.
    ///   - plain: input channels that come from the source that is read as it is.
    ///   - replicated: those after them, from a source that is replicated.
    ///   - outputs: pixels a side that one tile gives: 4 or 6.
    public init(channels: Int, plain: Int, replicated: Int, outputs: Int, kernels: Kernels) {
        lanes = kernels.lanes
        self.outputs = outputs
        plainBlocks = (plain + lanes - 1) / lanes
        blocks = plainBlocks + (replicated + lanes - 1) / lanes
        vectors = (channels + lanes - 1) / lanes
        panelVectors = min(vectors, kernels.panelVectors)
        weights = FloatMemory(zeroed: vectors * lanes * (outputs + 2) * (outputs + 2) * blocks * lanes)
        epilogue = FloatMemory(zeroed: 2 * vectors * lanes)
        for index in 0..<vectors * lanes { epilogue.base[vectors * lanes + index] = 1 }
    }

    /// Where the packed weights of one input channel and one vector of output channels lie: component 0, and how many
    /// floats on the next component is.
    ///
    /// - Parameter row: the input channel, counted in whole blocks.
    public func packed(row: Int, vector: Int) -> (start: UnsafeMutablePointer<Float>, componentStride: Int) {
        let panel = vector / panelVectors
        let columns = vectors(of: panel) * lanes
        let start = UnsafeMutablePointer(mutating: weights(of: panel)) + row * columns
        return (start + vector % panelVectors * lanes, blocks * lanes * columns)
    }

    /// Transforms and packs.
    ///
    /// - Parameters:
    ///   - convolution: the folded convolution.
    ///   - plain: how many of its input channels come from the source that is read as it is; the rest are replicated.
    ///   - outputs: pixels a side that one tile gives: 4 or 6.
    ///   - kernels: those that will run it, whose vectors decide the packing.
    ///   - team: the threads that share the work.
    public init(_ convolution: Convolution, plain: Int, outputs: Int, kernels: Kernels, team: ThreadTeam) {
        self.init(
            channels: convolution.outputs, plain: plain, replicated: convolution.inputs - plain, outputs: outputs,
            kernels: kernels)
        for output in 0..<convolution.outputs {
            epilogue.base[output] = convolution.bias[output]
            epilogue.base[vectors * lanes + output] = convolution.slopes?[output] ?? 1
        }

        let (layer, blocks, lanes) = (self, blocks, lanes)
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

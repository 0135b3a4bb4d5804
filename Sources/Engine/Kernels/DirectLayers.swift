internal import CKernels

/// The first convolution: from the caller's planes to channel blocks.
public struct FirstLayer: Sendable {
    /// Input planes.
    let planes: Int
    /// Vectors of output channels, and of those the most that one pass computes.
    let vectors, panelVectors: Int
    /// [panel][plane][3][3][vector][lane]
    private let weights: FloatMemory
    /// Bias, then slopes: [vector][lane] each.
    private let epilogue: FloatMemory
    private let lanes: Int

    /// Bytes of the packed weights.
    public var weightBytes: Int { weights.count * 4 }

    /// Packs the weights for the kernels that will run it.
    public init(_ convolution: Convolution, kernels: Kernels) {
        lanes = kernels.lanes
        planes = convolution.inputs
        vectors = (convolution.outputs + lanes - 1) / lanes
        panelVectors = min(vectors, kernels.panelVectors)
        weights = FloatMemory(zeroed: vectors * lanes * 9 * planes)
        epilogue = FloatMemory(zeroed: 2 * vectors * lanes)
        for output in 0..<convolution.outputs {
            let panel = output / (panelVectors * lanes)
            let first = panel * panelVectors
            let columns = min(panelVectors, vectors - first) * lanes
            for tap in 0..<9 * planes {
                weights.base[first * lanes * 9 * planes + tap * columns + output - first * lanes] =
                    convolution.weights[output * 9 * planes + tap]
            }
            epilogue.base[output] = convolution.bias[output]
            epilogue.base[vectors * lanes + output] = convolution.slopes?[output] ?? 1
        }
    }

    /// Computes one output row.
    ///
    /// - Parameters:
    ///   - source: the pixel above and left of the row's first one, in planes with a border of zeros.
    ///   - output: the row's first pixel, in the first channel block.
    public func runRow(
        _ kernels: Kernels, source: UnsafePointer<Float>, rowStride: Int, planeStride: Int,
        output: UnsafeMutablePointer<Float>, blockStride: Int, columns: Int
    ) {
        for first in stride(from: 0, to: vectors, by: panelVectors) {
            var job = ck_first(
                source: source, row_stride: rowStride, plane_stride: planeStride, planes: planes,
                weights: weights.base + first * lanes * 9 * planes, bias: epilogue.base + first * lanes,
                slopes: epilogue.base + (vectors + first) * lanes, vectors: min(panelVectors, vectors - first),
                output: output + first * blockStride, vector_stride: blockStride, columns: columns)
            kernels.first(&job)
        }
    }
}

/// The last convolution: from channel blocks to the caller's planes of logits.
public struct HeadLayer: Sendable {
    let classes: Int
    let blocks: Int
    /// Classes that one pass computes; the kernel takes at most three.
    private let passes: [Range<Int>]
    /// [pass][block][3][3][class][lane]
    private let weights: FloatMemory
    private let bias: FloatMemory
    private let lanes: Int

    /// Bytes of the packed weights.
    public var weightBytes: Int { weights.count * 4 }

    /// Packs the weights for the kernels that will run it.
    public init(_ convolution: Convolution, kernels: Kernels) {
        lanes = kernels.lanes
        classes = convolution.outputs
        blocks = (convolution.inputs + lanes - 1) / lanes
        passes = stride(from: 0, to: classes, by: 3).map { [classes] in $0..<min($0 + 3, classes) }
        weights = FloatMemory(zeroed: classes * blocks * 9 * lanes)
        bias = FloatMemory(zeroed: classes)
        for pass in passes {
            let target = weights.base + pass.lowerBound * blocks * 9 * lanes
            for output in pass {
                bias.base[output] = convolution.bias[output]
                for channel in 0..<convolution.inputs {
                    for tap in 0..<9 {
                        let row = channel / lanes * 9 + tap
                        target[(row * pass.count + output - pass.lowerBound) * lanes + channel % lanes] =
                            convolution.weights[(output * convolution.inputs + channel) * 9 + tap]
                    }
                }
            }
        }
    }

    /// Computes one row of logits.
    ///
    /// - Parameters:
    ///   - source: the pixel above and left of the row's first one, in the first channel block.
    ///   - logits: the row's first pixel, in the first class's plane.
    public func runRow(
        _ kernels: Kernels, source: UnsafePointer<Float>, rowStride: Int, blockStride: Int,
        logits: UnsafeMutablePointer<Float>, planeStride: Int, columns: Int
    ) {
        for pass in passes {
            var job = ck_head(
                source: source, row_stride: rowStride, block_stride: blockStride, blocks: blocks,
                weights: weights.base + pass.lowerBound * blocks * 9 * lanes, bias: bias.base + pass.lowerBound,
                outputs: pass.count, output: logits + pass.lowerBound * planeStride, plane_stride: planeStride,
                columns: columns)
            kernels.head(&job)
        }
    }
}

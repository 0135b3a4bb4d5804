internal import CKernels
import Compute
import Engine
internal import Inference

/// The kernels of one instruction set: those of the convolution and those that only training needs.
///
/// `@unchecked Sendable`: the tables are constant.
struct TrainingKernels: @unchecked Sendable {
    /// Those of the convolution.
    let convolution: Kernels
    /// Channels in a vector.
    let lanes: Int
    /// Pixels a side of a tile, of all convolutions in training. F(4x4) rather than F(6x6): its rounding errors are a
    /// third, and a gradient has passed through 24 layers twice.
    static let tile = 4
    /// Products a tile needs for each pair of channels.
    static let components = 36

    let operations: ck_training_kernels

    init(_ set: InstructionSet) {
        let table =
            switch set {
            case .avx512: ck_training_kernels_avx512()
            case .avx2: ck_training_kernels_avx2()
            case .portable: ck_training_kernels_portable()
            }
        guard let table else { preconditionFailure("this CPU cannot run the kernels of \(set)") }
        convolution = Kernels(set)
        lanes = convolution.lanes
        operations = table.pointee
    }
}

/// What every pass of a batch needs at hand.
struct TrainingContext {
    let kernels: TrainingKernels
    /// Activations, gradients and scratch memory.
    let workspace: UnsafeMutablePointer<Float>
    /// Where each thread's scratch memory begins, and that of all together.
    let scratch: [Int]
    let sharedScratch: Int
    /// Images of the batch.
    let images: Int
    let parameters: UnsafePointer<Float>
    let averages: UnsafeMutablePointer<Float>
    let gradients: UnsafeMutablePointer<Float>
}

/// Rows that are worked on at a time; even, so that pooling finds its pairs.
let stripRows = 16

/// The rows of one strip of a plane.
func rows(ofStrip strip: Int, height: Int) -> Range<Int> {
    strip * stripRows..<min(height, (strip + 1) * stripRows)
}

/// Strips of a plane.
func strips(height: Int) -> Int { (height + stripRows - 1) / stripRows }

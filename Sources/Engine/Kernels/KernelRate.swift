internal import CKernels
public import Compute

/// Runs single kernels, so that a benchmark can say how far the network is from what the CPU can do.
public enum KernelRate {
    /// Keeps every thread's multiply-add units busy from registers alone.
    ///
    /// - Parameters:
    ///   - set: vector instructions, which this CPU must have.
    ///   - rounds: how long: each round is 12 vector multiply-adds a thread.
    /// - Returns: the floating-point operations done, two a multiply-add and lane.
    public static func multiplyAdd(_ set: InstructionSet, rounds: Int, team: ThreadTeam) -> Double {
        let lanes = Kernels(set).lanes
        let sinks = FloatMemory(zeroed: team.threads * 64)
        team.run { thread in
            let sink = sinks.base + thread * 64
            switch set {
            case .avx512: ck_peak_avx512(rounds, sink)
            case .avx2: ck_peak_avx2(rounds, sink)
            case .portable: ck_peak_portable(rounds, sink)
            }
        }
        return 2 * Double(lanes * Int(ck_peak_chains)) * Double(rounds) * Double(team.threads)
    }

    /// The matrix products of one block of tiles of a convolution by F(4x4, 3x3), as each thread meets them in the
    /// network: its own tiles in its second-level cache, weights shared by all.
    public final class Products: Sendable {
        /// Input and output channels.
        public static let channels = 128
        /// Tiles in each thread's block.
        public static let tiles = 24

        private static let components = 36
        private let kernels: Kernels
        private let input, output: [FloatMemory]
        private let weights: FloatMemory

        /// Memory for `threads` threads, all ones.
        public init(_ set: InstructionSet, threads: Int) {
            kernels = Kernels(set)
            func ones(_ count: Int) -> FloatMemory {
                let memory = FloatMemory(zeroed: count)
                memory.base.update(repeating: 1, count: count)
                return memory
            }
            input = (0..<threads).map { _ in ones(Self.components * Self.componentStride) }
            output = (0..<threads).map { _ in ones(Self.components * Self.componentStride) }
            weights = ones(Self.components * Self.channels * Self.channels)
        }

        /// Floats of one component; a cache line more than it has, as in the network.
        private static let componentStride = channels * tiles + 16

        /// Computes a block on every thread of `team`, which has as many threads as there is memory for.
        ///
        /// - Returns: the floating-point operations done.
        public func run(team: ThreadTeam) -> Double {
            precondition(team.threads == input.count, "a block for each thread")
            let lanes = kernels.lanes
            let panel = kernels.panelVectors * lanes
            team.run { thread in
                for first in stride(from: 0, to: Self.channels, by: panel) {
                    var job = ck_products()
                    job.tiles = UnsafePointer(input[thread].base)
                    job.tile_component_stride = Self.componentStride
                    job.tile_block_stride = Self.tiles * lanes
                    job.weights = UnsafePointer(weights.base + Self.components * Self.channels * first)
                    job.products = output[thread].base
                    job.product_component_stride = Self.componentStride
                    job.product_vector_stride = Self.tiles * lanes
                    job.side = 6
                    job.tile_count = Self.tiles
                    job.vectors = kernels.panelVectors
                    job.blocks = Self.channels / lanes
                    job.plain_blocks = job.blocks
                    kernels.products(&job)
                }
            }
            let products = Double(Self.components * Self.tiles * Self.channels * Self.channels)
            return 2 * products * Double(team.threads)
        }
    }
}

public import Compute
import Synchronization

/// How a network computes its convolutions. All give the same logits up to rounding.
public enum Algorithm: String, CaseIterable, Sendable {
    /// Plain loops with sums in double precision: the twin that the others are tested against.
    case reference
    /// Patches copied to a matrix (im2col), then OpenBLAS.
    case gemm
}

/// A network that is ready to run: batch norm folded, weights packed once and shared by all callers.
///
/// Several threads may call ``run(planes:batch:height:width:logits:)`` at once; they take turns, because each run has
/// all threads of the team. The memory for activations belongs to the network, is kept for the next run of the same
/// size, and is replaced when the size changes.
public final class Network: Sendable {
    /// Size of the network.
    public let architecture: Architecture
    /// How convolutions are computed.
    public let algorithm: Algorithm

    /// Channels of the first level.
    public var width: Int { architecture.width }
    /// Adjacent axial slices that make one input.
    public var slices: Int { architecture.slices }
    /// Logits a pixel.
    public var classes: Int { architecture.classes }

    private let planar: PlanarNetwork
    private let workspace = Mutex<FloatMemory?>(nil)

    /// Prepares a model for running.
    ///
    /// - Parameters:
    ///   - model: a checked model.
    ///   - algorithm: how convolutions are computed.
    ///   - team: the threads that compute; networks may share them.
    /// - Throws: ``ModelError/notFinite(name:index:)`` where folding the batch norm overflows single precision.
    public init(_ model: ModelFile, algorithm: Algorithm = .gemm, team: ThreadTeam) throws(ModelError) {
        architecture = model.architecture
        self.algorithm = algorithm
        planar = try PlanarNetwork(model.tensors, architecture: architecture, algorithm: algorithm, team: team)
    }

    /// Prepares tensors that need no description, as from training or a test.
    ///
    /// - Throws: an error that names the tensor which is missing, extra, of a wrong shape or not finite.
    public init(tensors: [String: Tensor], algorithm: Algorithm = .gemm, team: ThreadTeam) throws(ModelError) {
        architecture = try Architecture(of: tensors)
        self.algorithm = algorithm
        planar = try PlanarNetwork(tensors, architecture: architecture, algorithm: algorithm, team: team)
    }

    /// Computes the logits of the centre slices.
    ///
    /// - Parameters:
    ///   - planes: `batch` times `slices` pointers, one input's slices after the other's; each to height x width floats
    ///     in -1 ... 1, x fastest. Neighbouring inputs may point to the same planes.
    ///   - batch: how many inputs there are, at least 1. An input's logits do not depend on the others.
    ///   - height: rows, a multiple of 16.
    ///   - width: columns, a multiple of 16.
    ///   - logits: room for batch x classes x height x width floats, x fastest.
    public func run(
        planes: [UnsafePointer<Float>], batch: Int, height: Int, width: Int, logits: UnsafeMutablePointer<Float>
    ) {
        precondition(batch >= 1 && planes.count == batch * slices, "one plane for each slice of each input")
        precondition(height > 0 && height % 16 == 0 && width > 0 && width % 16 == 0, "height and width in 16s")
        nonisolated(unsafe) let (planes, logits) = (planes, logits)
        workspace.withLock { memory in
            let needed = planar.workspaceFloats(height: height, width: width)
            if memory?.count != needed {
                memory = nil
                memory = FloatMemory(zeroed: needed)
            }
            guard let memory else { return }
            planar.run(
                planes: planes, batch: batch, height: height, width: width, logits: logits, workspace: memory.base)
        }
    }

    /// Bytes of the weights and of the memory that a run of the given size needs, without the caller's own planes and
    /// logits.
    public func memoryBytes(batch: Int, height: Int, width: Int) -> Int {
        4 * (planar.weightFloats + planar.workspaceFloats(height: height, width: width))
    }
}

public import Compute
import Engine
import Synchronization

/// How a network computes its convolutions. All give the same logits up to rounding.
public enum Algorithm: String, CaseIterable, Codable, Sendable {
    /// Plain loops with sums in double precision: the twin that the others are tested against.
    case reference
    /// Patches copied to a matrix (im2col), then OpenBLAS.
    case gemm
    /// Winograd's method F(6x6, 3x3) and F(4x4, 3x3) with kernels of our own: the fast one.
    case winograd
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

    private enum Engine: Sendable {
        case planar(PlanarNetwork)
        case blocked(BlockedNetwork)
    }

    private let engine: Engine
    private let workspace = Mutex<Workspace?>(nil)

    /// Memory of the last run, and what it was laid out for.
    private struct Workspace {
        let shape: [Int]
        let memory: FloatMemory
    }

    /// Prepares a model for running.
    ///
    /// - Parameters:
    ///   - model: a checked model.
    ///   - algorithm: how convolutions are computed.
    ///   - instructions: vector instructions of the `winograd` algorithm, which this CPU must have; nil takes the best.
    ///   - team: the threads that compute; networks may share them.
    /// - Throws: ``ModelError/notFinite(name:index:)`` where folding the batch norm overflows single precision.
    public convenience init(
        _ model: ModelFile, algorithm: Algorithm = .winograd, instructions: InstructionSet? = nil, team: ThreadTeam
    ) throws(ModelError) {
        try self.init(
            model.tensors, architecture: model.architecture, algorithm: algorithm, instructions: instructions,
            team: team)
    }

    /// Prepares tensors that need no description, as from training or a test.
    ///
    /// - Throws: an error that names the tensor which is missing, extra, of a wrong shape or not finite.
    public convenience init(
        tensors: [String: Tensor], algorithm: Algorithm = .winograd, instructions: InstructionSet? = nil,
        team: ThreadTeam
    ) throws(ModelError) {
        try self.init(
            tensors, architecture: try Architecture(of: tensors), algorithm: algorithm, instructions: instructions,
            team: team)
    }

    private init(
        _ tensors: [String: Tensor], architecture: Architecture, algorithm: Algorithm, instructions: InstructionSet?,
        team: ThreadTeam
    ) throws(ModelError) {
        self.architecture = architecture
        self.algorithm = algorithm
        switch algorithm {
        case .reference, .gemm:
            engine = .planar(
                try PlanarNetwork(tensors, architecture: architecture, algorithm: algorithm, team: team))
        case .winograd:
            let set = instructions ?? .best(width: architecture.width)
            engine = .blocked(try BlockedNetwork(tensors, architecture: architecture, set: set, team: team))
        }
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
            switch engine {
            case .planar(let network):
                network.run(
                    planes: planes, batch: batch, height: height, width: width, logits: logits,
                    workspace: Self.memory(
                        network.workspaceFloats(height: height, width: width), shape: [height, width], &memory))
            case .blocked(let network):
                let plan = network.plan(batch: batch, height: height, width: width)
                network.run(
                    planes: planes, batch: batch, plan: plan, logits: logits,
                    workspace: Self.memory(plan.floats, shape: [plan.images, height, width], &memory))
            }
        }
    }

    /// Memory for `floats` floats: what was there last time if it had the same shape, else new, all 0. Borders of tensors
    /// are never written, and must be 0: so memory cannot be used for another shape.
    private static func memory(
        _ floats: Int, shape: [Int], _ workspace: inout Workspace?
    ) -> UnsafeMutablePointer<Float> {
        if let workspace, workspace.shape == shape { return workspace.memory.base }
        workspace = nil
        let memory = FloatMemory(zeroed: floats)
        workspace = Workspace(shape: shape, memory: memory)
        return memory.base
    }

    /// Bytes of the weights and of the memory that a run of the given size needs, without the caller's own planes and
    /// logits.
    public func memoryBytes(batch: Int, height: Int, width: Int) -> Int {
        switch engine {
        case .planar(let network):
            4 * (network.weightFloats + network.workspaceFloats(height: height, width: width))
        case .blocked(let network):
            network.weightBytes + 4 * network.plan(batch: batch, height: height, width: width).floats
        }
    }
}

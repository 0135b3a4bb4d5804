public import CKernels
public import Compute

extension InstructionSet {
    fileprivate var table: UnsafePointer<ck_kernels>? {
        switch self {
        case .avx512: ck_kernels_avx512()
        case .avx2: ck_kernels_avx2()
        case .portable: ck_kernels_portable()
        }
    }
}

/// The kernels of one instruction set.
///
/// `@unchecked Sendable`: the table is constant.
public struct Kernels: @unchecked Sendable {
    /// An input transform.
    public typealias Input = @convention(c) (UnsafePointer<ck_input>?) -> Void
    /// An output transform.
    public typealias Output = @convention(c) (UnsafePointer<ck_output>?) -> Void

    /// Channels in a vector.
    public let lanes: Int
    /// The most vectors of output channels that one pass over the tiles computes.
    let panelVectors: Int
    /// Tiles that the matrix kernel holds in registers.
    let groupTiles: Int
    let products: @convention(c) (UnsafePointer<ck_products>?) -> Void
    let first: @convention(c) (UnsafePointer<ck_first>?) -> Void
    let head: @convention(c) (UnsafePointer<ck_head>?) -> Void
    private let table: UnsafePointer<ck_kernels>

    /// Those of a set that this CPU has.
    public init(_ set: InstructionSet) {
        guard let table = set.table, let products = table.pointee.products, let first = table.pointee.first,
            let head = table.pointee.head
        else { preconditionFailure("this CPU cannot run the kernels of \(set)") }
        self.table = table
        self.products = products
        self.first = first
        self.head = head
        lanes = table.pointee.lanes
        panelVectors = table.pointee.panel_vectors
        groupTiles = table.pointee.group_tiles
    }

    /// The input transform for tiles of `outputs` x `outputs` pixels.
    public func input(_ outputs: Int, replicated: Bool) -> Input {
        switch (outputs, replicated) {
        case (4, false): table.pointee.input_4
        case (4, true): table.pointee.input_replicated_4
        case (_, false): table.pointee.input_6
        case (_, true): table.pointee.input_replicated_6
        }
    }

    /// The output transform for tiles of `outputs` x `outputs` pixels.
    func output(_ outputs: Int) -> Output { outputs == 4 ? table.pointee.output_4 : table.pointee.output_6 }
}

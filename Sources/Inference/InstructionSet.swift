package import CKernels

/// Vector instructions that the fast kernels are written for.
public enum InstructionSet: String, CaseIterable, Sendable {
    /// 512-bit vectors: x86-64 servers with AVX-512F, VL, DQ and BW.
    case avx512
    /// 256-bit vectors with fused multiply-add: x86-64 since about 2013.
    case avx2
    /// 128-bit vectors, for every CPU.
    case portable

    /// Whether this CPU has it.
    public var isAvailable: Bool { table != nil }

    /// The fastest set that this CPU has, for a network of the given base width.
    ///
    /// A width that leaves half of the 16 lanes empty at the first level is better off with 8 lanes.
    public static func best(width: Int) -> InstructionSet {
        let wanted: [InstructionSet] = (1...8).contains(width % 16) ? [.avx2, .avx512] : [.avx512, .avx2]
        return wanted.first(where: \.isAvailable) ?? .portable
    }

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
package struct Kernels: @unchecked Sendable {
    package typealias Input = @convention(c) (UnsafePointer<ck_input>?) -> Void
    package typealias Output = @convention(c) (UnsafePointer<ck_output>?) -> Void

    /// Channels in a vector.
    package let lanes: Int
    /// The most vectors of output channels that one pass over the tiles computes.
    let panelVectors: Int
    /// Tiles that the matrix kernel holds in registers.
    let groupTiles: Int
    let products: @convention(c) (UnsafePointer<ck_products>?) -> Void
    let first: @convention(c) (UnsafePointer<ck_first>?) -> Void
    let head: @convention(c) (UnsafePointer<ck_head>?) -> Void
    private let table: UnsafePointer<ck_kernels>

    package init(_ set: InstructionSet) {
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
    package func input(_ outputs: Int, replicated: Bool) -> Input {
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

internal import CKernels

/// Vector instructions that the fast kernels are written for.
public enum InstructionSet: String, CaseIterable, Sendable {
    /// 512-bit vectors: x86-64 servers with AVX-512F, VL, DQ and BW.
    case avx512
    /// 256-bit vectors with fused multiply-add: x86-64 since about 2013.
    case avx2
    /// 128-bit vectors, for every CPU.
    case portable

    /// Whether this CPU has it.
    public var isAvailable: Bool {
        switch self {
        case .avx512: ck_kernels_avx512() != nil
        case .avx2: ck_kernels_avx2() != nil
        case .portable: true
        }
    }

    /// The fastest set that this CPU has, for a network of the given base width.
    ///
    /// A width that leaves half of the 16 lanes empty at the first level is better off with 8 lanes.
    public static func best(width: Int) -> InstructionSet {
        let wanted: [InstructionSet] = (1...8).contains(width % 16) ? [.avx2, .avx512] : [.avx512, .avx2]
        return wanted.first(where: \.isAvailable) ?? .portable
    }
}

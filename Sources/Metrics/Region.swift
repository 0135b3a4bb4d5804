import Imaging

/// Which labels a score is about.
enum Region {
    /// Label 1 or more: the liver with its lesions.
    case liver
    /// Label 2.
    case lesion

    /// Marks the members among eight neighbouring voxels.
    ///
    /// - Parameter eight: eight labels, the first in the lowest byte.
    /// - Returns: the highest bit of each byte that holds a member's label; all else 0.
    @inline(__always) func flags(_ eight: UInt64) -> UInt64 {
        let low: UInt64 = 0x7F7F_7F7F_7F7F_7F7F
        switch self {
        case .liver: return (((eight & low) &+ low) | eight) & ~low
        case .lesion:
            let other = eight ^ 0x0202_0202_0202_0202  // 0 in the bytes that are 2
            return ~(((other & low) &+ low) | other) & ~low
        }
    }

    /// Whether a voxel of this label belongs to the region.
    func contains(_ label: UInt8) -> Bool {
        switch self {
        case .liver: label >= Label.liver
        case .lesion: label == Label.lesion
        }
    }
}

/// Eight labels from `x` on, the first in the lowest byte; 0 for those at `end` or beyond.
@inline(__always) func eightLabels(_ row: UnsafePointer<UInt8>, _ x: Int, end: Int) -> UInt64 {
    if x + 8 <= end { return UInt64(littleEndian: UnsafeRawPointer(row + x).loadUnaligned(as: UInt64.self)) }
    var word: UInt64 = 0
    for index in x..<max(x, end) { word |= UInt64(row[index]) << UInt64(8 * (index - x)) }
    return word
}

internal import Compute
import Imaging

/// A mask of one bit a voxel on a box of a volume: an eighth of the memory, and 64 voxels to an instruction.
///
/// Rows are whole words; bit i of word w is x = 64 w + i from the box's start. One row before and after each slice, and
/// one slice before and after all, are kept at 0, so that neighbours can be asked for anywhere.
struct BitMask {
    /// Voxels along each axis.
    let shape: Shape
    /// Words a row.
    let rowWords: Int
    private(set) var words: [UInt64]

    private init(shape: Shape) {
        self.shape = shape
        rowWords = (shape.x + 63) / 64
        words = [UInt64](repeating: 0, count: rowWords * (shape.y + 2) * (shape.z + 2))
    }

    /// The first word of row (y, z); -1 and the axis's length are allowed.
    @inline(__always) func row(_ y: Int, _ z: Int) -> Int { ((z + 1) * (shape.y + 2) + y + 1) * rowWords }

    /// Packs the voxels of `region` in `box` of a volume.
    init(_ volume: Volume<UInt8>, region: Region, box: Box, team: ThreadTeam) {
        self.init(shape: box.shape)
        let mask = self  // geometry alone: its words are not read below
        volume.voxels.withUnsafeBufferPointer { voxels in
            words.withUnsafeMutableBufferPointer { words in
                nonisolated(unsafe) let words = words
                team.forEach(mask.shape.z) { z in
                    guard let start = voxels.baseAddress else { return }
                    for y in 0..<mask.shape.y {
                        let first = volume.shape.index(0, y + box.y.lowerBound, z + box.z.lowerBound)
                        let row = mask.row(y, z)
                        for word in 0..<mask.rowWords {
                            words[row + word] = pack(
                                start + first, region, box.x.lowerBound + 64 * word, box.x.upperBound)
                        }
                    }
                }
            }
        }
    }

    /// The voxels that have one outside the mask among their 18 neighbours (those that share a face or an edge). All
    /// that lies outside the box, and so outside the volume, is outside the mask.
    func surface(team: ThreadTeam) -> BitMask {
        var result = BitMask(shape: shape)
        words.withUnsafeBufferPointer { words in
            result.words.withUnsafeMutableBufferPointer { output in
                nonisolated(unsafe) let output = output
                team.forEach(shape.z) { z in
                    for y in 0..<shape.y {
                        let here = row(y, z)
                        for word in 0..<rowWords where words[here + word] != 0 {
                            var inner = withSideNeighbours(words, here, word)
                            for face in [row(y - 1, z), row(y + 1, z), row(y, z - 1), row(y, z + 1)] {
                                inner &= withSideNeighbours(words, face, word)
                            }
                            inner &= words[row(y - 1, z - 1) + word] & words[row(y + 1, z - 1) + word]
                            inner &= words[row(y - 1, z + 1) + word] & words[row(y + 1, z + 1) + word]
                            output[here + word] = words[here + word] & ~inner
                        }
                    }
                }
            }
        }
        return result
    }

    /// Bits whose voxel and both neighbours along x are in the mask.
    @inline(__always)
    private func withSideNeighbours(_ words: UnsafeBufferPointer<UInt64>, _ row: Int, _ word: Int) -> UInt64 {
        let bits = words[row + word]
        let before = word > 0 ? words[row + word - 1] >> 63 : 0
        let after = word + 1 < rowWords ? words[row + word + 1] << 63 : 0
        return bits & (bits << 1 | before) & (bits >> 1 | after)
    }

    /// Whether any of the 16 columns from `first`, a multiple of 16, has a voxel in the mask.
    func hasVoxels(inColumns first: Int) -> Bool {
        let wanted: UInt64 = 0xFFFF << UInt64(first & 63)
        return stride(from: first / 64, to: words.count, by: rowWords).contains { words[$0] & wanted != 0 }
    }
}

/// 64 voxels of a row from `x` on as bits; 0 for those at `end` or beyond.
@inline(__always)
private func pack(_ row: UnsafePointer<UInt8>, _ region: Region, _ x: Int, _ end: Int) -> UInt64 {
    var word: UInt64 = 0
    for group in 0..<8 {
        let flags = region.flags(eightLabels(row, x + 8 * group, end: end)) >> 7
        // The multiplication moves the lowest bit of byte i to bit i of the highest byte.
        word |= ((flags &* 0x0102_0408_1020_4080) >> 56) << UInt64(8 * group)
    }
    return word
}

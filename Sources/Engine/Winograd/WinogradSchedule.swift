/// How the threads share a convolution, by what fits into which cache. It changes the order of the work, never its
/// result.
///
/// Sizes are for servers with 1 MiB of second-level cache a core and some 16 to 32 MiB of third-level cache; they are
/// flat: half or double costs a few hundredths.
public struct WinogradSchedule: Sendable {
    /// Tiles in a block that one thread computes, and in one that all threads compute together.
    let ownTiles, sharedTiles: Int
    /// Floats from one component of the transformed input to the next, in a thread's own block and in a common one.
    let ownStride, sharedStride: Int
    /// The same for the products.
    let ownProductStride, sharedProductStride: Int
    private let components: Int
    private let weightBytes: Int

    /// Weights above this size are streamed from memory once for a common block of many tiles; smaller ones stay in
    /// the third-level cache, and each thread works on blocks of its own, which stay in its second-level cache.
    private static let ownWeightBytes = 6 << 20
    /// Transformed input and products of a thread's own block.
    private static let ownBytes = 448 << 10
    /// Transformed input of a common block.
    private static let sharedBytes = 12 << 20
    private static let mostOwnTiles = 36
    private static let mostSharedTiles = 120

    /// The sizes for one layer.
    public init(_ layer: WinogradLayer, _ kernels: Kernels) {
        let lanes = kernels.lanes
        components = layer.components
        weightBytes = layer.weightBytes
        /// The most tiles that fit, in whole register tiles.
        func tiles(fitting bytes: Int, vectors: Int, most: Int) -> Int {
            let tileBytes = layer.components * vectors * lanes * 4
            let groups = max(1, bytes / tileBytes / kernels.groupTiles)
            return min(most, groups * kernels.groupTiles)
        }
        /// One cache line more than they take, or all components would fall into the same sets of the cache.
        func stride(vectors: Int, tiles: Int) -> Int { vectors * tiles * lanes + 16 }

        ownTiles = tiles(
            fitting: Self.ownBytes, vectors: layer.blocks + layer.panelVectors, most: Self.mostOwnTiles)
        sharedTiles = tiles(fitting: Self.sharedBytes, vectors: layer.blocks, most: Self.mostSharedTiles)
        ownStride = stride(vectors: layer.blocks, tiles: ownTiles)
        sharedStride = stride(vectors: layer.blocks, tiles: sharedTiles)
        ownProductStride = stride(vectors: layer.panelVectors, tiles: ownTiles)
        sharedProductStride = stride(vectors: layer.panelVectors, tiles: sharedTiles)
    }

    /// Whether the threads work on one block together: also where there are too few tiles to share out.
    func isShared(tiles: Int, threads: Int) -> Bool { weightBytes > Self.ownWeightBytes || tiles < 16 * threads }

    /// Floats of scratch memory that each thread needs.
    public var threadScratch: Int { components * max(ownStride + ownProductStride, sharedProductStride) }

    /// Floats of scratch memory that the threads need together.
    public var sharedScratch: Int { components * sharedStride }
}

/// The tiles of a layer's output, for some images, cut into blocks.
///
/// Tiles are numbered row by row, image after image. How they are cut changes the order of the work, never its result.
public struct TileBlocks: Sendable {
    /// Neighbouring tiles of one row of tiles.
    public struct Run: Equatable, Sendable {
        /// Which image.
        public let image: Int
        /// Row of tiles, and the first tile in it.
        public let row, column: Int
        /// How many tiles.
        public let count: Int
        /// Tiles of the block that come before.
        public let before: Int
    }

    /// Tiles across and down one image.
    public let across, down: Int
    /// The images whose tiles they are.
    public let images: Range<Int>
    /// How many blocks there are.
    public let blocks: Int
    /// Tiles in the largest block; others have one less.
    public let size: Int

    /// All tiles.
    public var count: Int { across * down * images.count }

    /// Cuts evenly.
    ///
    /// - Parameters:
    ///   - outputs: pixels a side that a tile gives.
    ///   - size: the most tiles in a block.
    ///   - threads: how many take blocks. Few blocks are made a multiple of it, so that none waits for another.
    public init(outputs: Int, height: Int, width: Int, images: Range<Int>, size: Int, threads: Int = 1) {
        self.images = images
        across = (width + outputs - 1) / outputs
        down = (height + outputs - 1) / outputs
        let count = across * down * images.count
        let needed = (count + size - 1) / size
        blocks = min(count, needed < 8 * threads ? needed.roundedUp(to: threads) : needed)
        self.size = (count + blocks - 1) / blocks
    }

    /// The tiles of a block.
    public func tiles(of block: Int) -> Range<Int> { count * block / blocks..<count * (block + 1) / blocks }

    /// Calls `body` for each run of `tiles`.
    public func forEachRun(in tiles: Range<Int>, _ body: (Run) -> Void) {
        var tile = tiles.lowerBound
        while tile < tiles.upperBound {
            let row = tile / across
            let column = tile - row * across
            let length = min(across - column, tiles.upperBound - tile)
            let image = row / down
            body(
                Run(
                    image: images.lowerBound + image, row: row - image * down, column: column, count: length,
                    before: tile - tiles.lowerBound))
            tile += length
        }
    }
}

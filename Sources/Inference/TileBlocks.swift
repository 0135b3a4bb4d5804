/// The tiles of a layer's output, for some images, cut into blocks.
///
/// Tiles are numbered row by row, image after image. How they are cut changes the order of the work, never its result.
struct TileBlocks {
    /// Neighbouring tiles of one row of tiles.
    struct Run: Equatable {
        let image: Int
        /// Row of tiles, and the first tile in it.
        let row, column: Int
        let count: Int
        /// Tiles of the block that come before.
        let before: Int
    }

    /// Tiles across and down one image.
    let across, down: Int
    let images: Range<Int>
    /// Tiles in a block; the last may have fewer.
    let size: Int

    /// All tiles.
    var count: Int { across * down * images.count }
    /// How many blocks there are.
    var blocks: Int { (count + size - 1) / size }

    /// Cuts evenly.
    ///
    /// - Parameters:
    ///   - outputs: pixels a side that a tile gives.
    ///   - size: the most tiles in a block.
    ///   - least: blocks that there must be, if there are as many tiles.
    init(outputs: Int, height: Int, width: Int, images: Range<Int>, size: Int, least: Int = 1) {
        self.images = images
        across = (width + outputs - 1) / outputs
        down = (height + outputs - 1) / outputs
        let count = across * down * images.count
        let blocks = min(count, max(least, (count + size - 1) / size))
        self.size = (count + blocks - 1) / blocks
    }

    /// The tiles of a block.
    func tiles(of block: Int) -> Range<Int> { block * size..<min(count, (block + 1) * size) }

    /// Calls `body` for each run of `tiles`.
    func forEachRun(in tiles: Range<Int>, _ body: (Run) -> Void) {
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

import Testing

@testable import Inference

@Suite struct TileBlocksTests {
    /// Every tile of every image is in one run of one block.
    @Test(arguments: [(32, 48, 1, 12), (16, 16, 3, 5), (240, 512, 2, 24), (2, 2, 1, 48), (34, 20, 5, 7)], [4, 6])
    func coverEachTileOnce(shape: (height: Int, width: Int, images: Int, size: Int), outputs: Int) {
        let blocks = TileBlocks(
            outputs: outputs, height: shape.height, width: shape.width, images: 3..<3 + shape.images, size: shape.size)
        var seen = [Int](repeating: 0, count: blocks.count)
        for block in 0..<blocks.blocks {
            let tiles = blocks.tiles(of: block)
            #expect(tiles.count <= shape.size && !tiles.isEmpty)
            var before = 0
            blocks.forEachRun(in: tiles) { run in
                #expect(run.before == before)
                #expect(run.column + run.count <= blocks.across)
                before += run.count
                for column in run.column..<run.column + run.count {
                    seen[((run.image - 3) * blocks.down + run.row) * blocks.across + column] += 1
                }
            }
            #expect(before == tiles.count)
        }
        #expect(seen.allSatisfy { $0 == 1 })
    }

    @Test func makesABlockForEachThread() {
        let blocks = TileBlocks(outputs: 6, height: 36, width: 36, images: 0..<1, size: 48, least: 4)
        #expect((blocks.blocks, blocks.size) == (4, 9))
        let few = TileBlocks(outputs: 6, height: 6, width: 12, images: 0..<1, size: 48, least: 4)
        #expect((few.blocks, few.size) == (2, 1))
    }
}

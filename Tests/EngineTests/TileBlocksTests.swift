import Engine
import Testing

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

    @Test func makesAsManyBlocksForEachThread() {
        func blocks(_ length: Int, size: Int, threads: Int) -> [Int] {
            let blocks = TileBlocks(
                outputs: 6, height: 36, width: length, images: 0..<1, size: size, threads: threads)
            return (0..<blocks.blocks).map { blocks.tiles(of: $0).count }
        }
        #expect(blocks(36, size: 48, threads: 4) == [9, 9, 9, 9])
        #expect(blocks(36, size: 12, threads: 2) == [9, 9, 9, 9])
        #expect(blocks(36, size: 12, threads: 1) == [12, 12, 12])
        #expect(blocks(60, size: 12, threads: 3) == [10, 10, 10, 10, 10, 10])
        #expect(blocks(66, size: 18, threads: 4) == [16, 17, 16, 17])
        #expect(blocks(6, size: 12, threads: 8) == [1, 1, 1, 1, 1, 1])
    }
}

import Compute
import Imaging
import Testing

@testable import Segmentation

@Suite struct SliceStacksTests {
    /// Every value of every stack, against METHOD's words: slices z-2 ... z+2 with the edges repeated, clipped, mapped
    /// onto [-1, 1], padded with -1 at the right and bottom.
    @Test(arguments: [1, 2, 3, 5])
    func areTheMethodsStacks(batch: Int) {
        var random = SplitMix64(seed: 3)
        let shape = Shape(37, 30, 7)
        let voxels = random.floats(shape.count, in: -400...400)
        let volume = Volume(shape: shape, spacing: SIMD3(1, 1, 1), voxels: voxels)
        let box = Box(x: 3..<36, y: 4..<21, z: 1..<7)
        let team = ThreadTeam(threads: 2)
        let stacks = SliceStacks(of: volume, box: box, window: -40...160, slices: 5, batch: batch)
        #expect(stacks.width == 48)
        #expect(stacks.height == 32)
        for first in stride(from: 1, to: 7, by: batch) {
            let centres = first..<min(7, first + batch)
            let planes = stacks.stacks(centredOn: centres, team: team)
            #expect(planes.count == centres.count * 5)
            var wrong = 0
            for (index, plane) in planes.enumerated() {
                let z = min(max(centres.lowerBound + index / 5 + index % 5 - 2, 0), 6)
                for y in 0..<stacks.height {
                    for x in 0..<stacks.width {
                        let inside = y < 17 && x < 33
                        let hu = inside ? min(max(volume[x + 3, y + 4, z], -40), 160) : -40
                        if plane[y * stacks.width + x] != (hu - 60) / 100 { wrong += 1 }
                    }
                }
            }
            #expect(wrong == 0)
        }
    }
}

import Compute
import TestSupport
import Testing

@testable import Imaging

/// What holds for the components of any volume.
@Suite struct ComponentPropertyTests {
    private func volume(share: Double, shape: Shape = Shape(15, 10, 7)) -> Volume<UInt8> {
        var random = SplitMix64(seed: UInt64(share * 1_000))
        return Volume(
            shape: shape, spacing: SIMD3(1, 1, 1), voxels: (0..<shape.count).map { _ in random.unit() < share ? 1 : 0 })
    }

    private func components(_ volume: Volume<UInt8>) -> [Component] {
        connectedComponents(of: volume, where: { $0 == 1 }, team: .one)
    }

    /// Each voxel with the number of its component, 0 for none.
    private func numbered(_ volume: Volume<UInt8>) -> Volume<Int> {
        var numbers = Volume<Int>(shape: volume.shape, spacing: volume.spacing, filledWith: 0)
        for (index, component) in components(volume).enumerated() {
            for run in component.runs {
                for x in run.xStart..<run.xEnd { numbers[Int(x), Int(run.y), Int(run.z)] = index + 1 }
            }
        }
        return numbers
    }

    @Test(arguments: [0.0, 0.1, 0.3, 0.6, 1])
    func eachMemberIsInOneOfThem(share: Double) {
        let volume = volume(share: share)
        let found = components(volume)
        #expect(found.reduce(0) { $0 + $1.voxelCount } == volume.voxels.count { $0 == 1 })
        // That the counts add up and every member has a number leaves no voxel for two of them.
        #expect(zip(numbered(volume).voxels, volume.voxels).allSatisfy { ($0 > 0) == ($1 == 1) })
        for component in found {
            #expect(component.voxelCount == component.runs.reduce(0) { $0 + $1.count })
            #expect(component.voxelCount <= component.box.shape.count)
        }
    }

    /// Laid in any other way the volume falls into the same parts.
    @Test(arguments: [0.2, 0.32, 0.5])
    func axesDoNotMatter(share: Double) {
        let volume = volume(share: share)
        let plain = numbered(volume)
        for (order, flips) in allAxisChanges {
            let turned = numbered(volume.permuted(order: order, flips: flips))
            let expected = plain.permuted(order: order, flips: flips)
            // The numbers follow the order of voxels; what belongs together does not.
            let pairs = Set(zip(turned.voxels, expected.voxels).map { [$0, $1] })
            #expect(pairs.count == Set(plain.voxels).count, "\(order) \(flips)")
            #expect(Set(turned.voxels).count == Set(plain.voxels).count)
        }
    }

    /// One more voxel is a part of its own, or joins what its six neighbours belong to.
    @Test func oneMoreVoxelJoinsItsNeighbours() {
        var volume = volume(share: 0.3)
        var random = SplitMix64(seed: 2)
        for _ in 0..<200 {
            let index = Int(random.next() % UInt64(volume.shape.count))
            guard volume.voxels[index] == 0 else { continue }
            let before = numbered(volume)
            let (x, y, z) = (
                index % volume.shape.x, index / volume.shape.x % volume.shape.y, index / volume.shape.x / volume.shape.y
            )
            var neighbours = Set<Int>()
            for (a, b, c) in [(x - 1, y, z), (x + 1, y, z), (x, y - 1, z), (x, y + 1, z), (x, y, z - 1), (x, y, z + 1)]
            where a >= 0 && b >= 0 && c >= 0 && a < volume.shape.x && b < volume.shape.y && c < volume.shape.z {
                neighbours.insert(before[a, b, c])
            }
            neighbours.remove(0)
            let count = Set(before.voxels).subtracting([0]).count
            volume.voxels[index] = 1
            #expect(components(volume).count == count + 1 - neighbours.count)
        }
    }
}

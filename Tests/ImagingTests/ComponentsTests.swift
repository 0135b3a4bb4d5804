import Compute
import Testing

@testable import Imaging

@Suite struct ComponentsTests {
    @Test(
        arguments: [0.05, 0.25, 0.31, 0.5, 0.9], [Shape(17, 9, 6), Shape(1, 12, 11), Shape(40, 1, 5), Shape(9, 8, 1)])
    func theyAreThoseOfAFloodFill(share: Double, shape: Shape) {
        var random = SplitMix64(seed: UInt64(share * 1000))
        let volume = Volume<UInt8>(
            shape: shape, spacing: SIMD3(1, 1, 1),
            voxels: (0..<shape.count).map { _ in random.unit() < share ? UInt8(1 + random.next() % 2) : 0 })
        let expected = floodFill(volume) { $0 > 0 }
        for threads in [1, 2] {
            let found = connectedComponents(of: volume, where: { $0 > 0 }, team: ThreadTeam(threads: threads))
            #expect(found.map { voxels(of: $0, in: shape) } == expected)
            #expect(found.map(\.voxelCount) == expected.map(\.count))
            for component in found { #expect(component.box == box(of: voxels(of: component, in: shape), in: shape)) }
        }
    }

    @Test func longRunsOfOneLabelArePassedWhole() {
        // Rows of 64 with runs that begin and end at every offset from a multiple of 8.
        let shape = Shape(64, 64, 2)
        var volume = Volume<UInt8>(shape: shape, spacing: SIMD3(1, 1, 1), filledWith: 0)
        for y in 0..<64 { for x in y / 2..<64 - y / 3 { volume[x, y, y % 2] = x % 20 < 12 ? 1 : 2 } }
        let team = ThreadTeam(threads: 2)
        for isMember: (UInt8) -> Bool in [{ $0 > 0 }, { $0 == 2 }, { $0 == 0 }, { _ in true }, { _ in false }] {
            let found = connectedComponents(of: volume, where: isMember, team: team)
            #expect(found.map { voxels(of: $0, in: shape) } == floodFill(volume, isMember))
        }
    }

    @Test func runsAreMaximalAndInScanOrder() {
        let volume = Volume<UInt8>(
            shape: Shape(5, 2, 2), spacing: SIMD3(1, 1, 1),
            voxels: [1, 2, 0, 1, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0])
        let found = connectedComponents(of: volume, where: { $0 > 0 }, team: ThreadTeam(threads: 1))
        #expect(
            found.map(\.runs) == [
                [
                    Run(xStart: 0, xEnd: 2, y: 0, z: 0), Run(xStart: 1, xEnd: 2, y: 1, z: 0),
                    Run(xStart: 1, xEnd: 2, y: 1, z: 1),
                ],
                [Run(xStart: 3, xEnd: 4, y: 0, z: 0), Run(xStart: 3, xEnd: 5, y: 1, z: 0)],
            ])
        #expect(found.map(\.box) == [Box(x: 0..<2, y: 0..<2, z: 0..<2), Box(x: 3..<5, y: 0..<2, z: 0..<1)])
    }
}

/// Indices of a component's voxels, in scan order.
private func voxels(of component: Component, in shape: Shape) -> [Int] {
    component.runs.flatMap { run in (run.xStart..<run.xEnd).map { shape.index(Int($0), Int(run.y), Int(run.z)) } }
}

private func box(of voxels: [Int], in shape: Shape) -> Box {
    let xs = voxels.map { $0 % shape.x }
    let ys = voxels.map { $0 / shape.x % shape.y }
    let zs = voxels.map { $0 / (shape.x * shape.y) }
    func range(_ values: [Int]) -> Range<Int> { (values.min() ?? 0)..<(values.max() ?? 0) + 1 }
    return Box(x: range(xs), y: range(ys), z: range(zs))
}

/// Components by a stack of voxels, in the order of their first voxel; each in scan order.
private func floodFill(_ volume: Volume<UInt8>, _ isMember: (UInt8) -> Bool) -> [[Int]] {
    let shape = volume.shape
    var seen = volume.voxels.map { !isMember($0) }
    var components: [[Int]] = []
    for start in 0..<shape.count where !seen[start] {
        var component: [Int] = []
        var stack = [start]
        seen[start] = true
        while let voxel = stack.popLast() {
            component.append(voxel)
            let (x, y, z) = (voxel % shape.x, voxel / shape.x % shape.y, voxel / (shape.x * shape.y))
            for (dx, dy, dz) in [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)] {
                let (a, b, c) = (x + dx, y + dy, z + dz)
                guard (0..<shape.x).contains(a), (0..<shape.y).contains(b), (0..<shape.z).contains(c) else { continue }
                let next = shape.index(a, b, c)
                guard !seen[next] else { continue }
                seen[next] = true
                stack.append(next)
            }
        }
        components.append(component.sorted())
    }
    return components
}

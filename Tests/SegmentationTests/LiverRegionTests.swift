import Compute
import Imaging
import Testing

@testable import Segmentation

@Suite struct LiverRegionTests {
    private let team = ThreadTeam(threads: 2)
    private static let coarseSpacing = SIMD3(2, 2, 2.5)

    /// Two boxes on stage 1's grid that hang together by a corner row, so that the region is no box.
    private func component(_ coarse: Shape) throws -> Component {
        var mask = Volume<UInt8>(shape: coarse, spacing: Self.coarseSpacing, filledWith: 0)
        let (x, y, z) = (coarse.x / 3, coarse.y / 3, max(1, coarse.z / 3))
        for k in z..<min(2 * z + 1, coarse.z) {
            for j in y..<2 * y { for i in x..<2 * x { mask[i, j, k] = 1 } }
            for j in 2 * y..<2 * y + 2 { mask[x, j, k] = 1 }
        }
        return try #require(connectedComponents(of: mask, where: { $0 == 1 }, team: team).first)
    }

    /// Where the answer is taken: exactly the voxels whose nearest voxel of stage 1 lies within the reach of the
    /// component, by a search of all pairs.
    @Test(arguments: [SIMD3(0.7, 0.7, 1.5), SIMD3(0.9, 0.8, 5), SIMD3(2, 2, 2.5), SIMD3(3, 3, 3)], [0.0, 6])
    func takesWhatLiesWithinTheReach(spacing: SIMD3<Double>, reach: Double) throws {
        let shape = Shape(61, 47, 23)
        let coarse = resampledShape(shape, from: spacing, to: Self.coarseSpacing)
        let liver = try component(coarse)
        let members = liver.runs.flatMap { run in
            (run.xStart..<run.xEnd).map { SIMD3(Double($0), Double(run.y), Double(run.z)) * Self.coarseSpacing }
        }
        let region = try #require(
            LiverRegion(
                around: liver, coarse: coarse, coarseSpacing: Self.coarseSpacing, shape: shape, spacing: spacing,
                margin: 32, reach: reach, team: team))
        var taken = Volume<UInt8>(shape: shape, spacing: spacing, filledWith: 0)
        for z in region.box.z {
            for y in region.box.y {
                var row = [UInt8](repeating: 1, count: region.box.x.count)
                row.withUnsafeMutableBufferPointer {
                    region.clear($0.baseAddress!, row: y - region.box.y.lowerBound, slice: z - region.box.z.lowerBound)
                }
                for (x, value) in zip(region.box.x, row) { taken[x, y, z] = value }
            }
        }
        func isNear(_ x: Int, _ y: Int, _ z: Int) -> Bool {
            let place = (0..<3).map { axis in
                let at = (Double([x, y, z][axis]) + 0.5) * spacing[axis] / Self.coarseSpacing[axis]
                return Double(min(Int(at), coarse[axis] - 1)) * Self.coarseSpacing[axis]
            }
            let here = SIMD3(place[0], place[1], place[2])
            return members.contains { (($0 - here) * ($0 - here)).sum() <= reach * reach + 1e-9 }
        }
        var wrong = 0
        for z in 0..<shape.z {
            for y in 0..<shape.y {
                for x in 0..<shape.x where (taken[x, y, z] == 1) != isNear(x, y, z) { wrong += 1 }
            }
        }
        #expect(wrong == 0)
    }

    /// The network sees 32 mm more in the plane, and the reach below and above.
    @Test func theBoxIsGrownWithinTheVolume() throws {
        let coarse = Shape(64, 64, 20)
        var mask = Volume<UInt8>(shape: coarse, spacing: Self.coarseSpacing, filledWith: 0)
        for z in 5..<8 { for y in 30..<40 { for x in 10..<20 { mask[x, y, z] = 1 } } }
        let liver = try #require(connectedComponents(of: mask, where: { $0 == 1 }, team: team).first)
        let region = try #require(
            LiverRegion(
                around: liver, coarse: coarse, coarseSpacing: Self.coarseSpacing, shape: coarse,
                spacing: Self.coarseSpacing, margin: 32, reach: 6, team: team))
        #expect(region.box == Box(x: 0..<36, y: 14..<56, z: 3..<10))
        let whole = region.whole(coarse)
        #expect(whole.box == Box(x: 0..<64, y: 0..<64, z: 3..<10))
        var row = [UInt8](repeating: 1, count: 64)
        row.withUnsafeMutableBufferPointer { whole.clear($0.baseAddress!, row: 0, slice: 0) }
        #expect(row.allSatisfy { $0 == 1 })
    }
}

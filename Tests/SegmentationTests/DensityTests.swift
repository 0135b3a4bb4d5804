import Compute
import Imaging
import Testing

@testable import Segmentation

/// Hounsfield units of liver and lesions, against plain loops.
@Suite struct DensityTests {
    private let team = ThreadTeam(threads: 1)

    @Test func meanMedianAndDeviationAreThoseOfTheVoxels() throws {
        var scan = Volume<Float>(shape: Shape(6, 2, 1), spacing: SIMD3(1, 1, 1), filledWith: -1000)
        // At (1, 1): 40, 41, 50, 61.
        for (x, hu) in [40, 41, 50, 61].enumerated() { scan[1 + x, 1, 0] = Float(hu) }
        let run = Run(xStart: 0, xEnd: 4, y: 0, z: 0)
        let density = try #require(Density(of: [run], from: SIMD3(1, 1, 0), in: scan))
        #expect(density.meanHU == 48 && density.medianHU == 41 && density.voxels == 4)
        // Differences from 48: -8, -7, 2, 13.
        #expect(abs(density.deviationHU - (286.0 / 4).squareRoot()) < 1e-12)
        #expect(Density(of: [], from: .zero, in: scan) == nil)
    }

    /// What no CT stores is measured all the same, and gives numbers that JSON can hold.
    @Test func valuesOutsideOfAllScalesAreNumbers() throws {
        let values: [Float] = [-3e38, 3e38, 3e38]
        let scan = Volume<Float>(shape: Shape(3, 1, 1), spacing: SIMD3(1, 1, 1), voxels: values)
        let density = try #require(Density(of: [Run(xStart: 0, xEnd: 3, y: 0, z: 0)], from: .zero, in: scan))
        #expect(density.meanHU.isFinite && density.deviationHU.isFinite && density.medianHU == 3071)
    }

    /// A blob with holes of lesion: what is kept has no other voxel within the rim; the scan's edge is none, the box's is.
    @Test(
        arguments: [SIMD3(1.0, 1, 1), SIMD3(0.7, 0.9, 2.5), SIMD3(0.8, 0.8, 5)], [0.0, 1, 2, 3])
    func theCoreIsWhatIsFarFromEverythingElse(spacing: SIMD3<Double>, rim: Double) throws {
        let scan = Shape(22, 20, 14)
        // At the scan's edge in x and z, inside it in y.
        let box = Box(x: 0..<18, y: 2..<18, z: 4..<14)
        var labels = Volume<UInt8>(shape: box.shape, spacing: spacing, filledWith: Label.background)
        var random = SplitMix64(seed: 11)
        for z in 0..<10 {
            for y in 0..<16 {
                for x in 0..<18 {
                    let place = SIMD3(Double(x) / 15, Double(y - 8) / 9, Double(z - 6) / 6)
                    if (place * place).sum() < 1 {
                        labels[x, y, z] = random.next() % 200 == 0 ? Label.lesion : Label.liver
                    }
                }
            }
        }
        let liver = try #require(connectedComponents(of: labels, where: { $0 > 0 }, team: team).first)
        var kept = Volume<UInt8>(shape: box.shape, spacing: spacing, filledWith: 0)
        for run in core(of: Label.liver, in: liver, labels: labels, box: box, scan: scan, rim: rim) {
            for x in run.xStart..<run.xEnd { kept[Int(x), Int(run.y), Int(run.z)] = 1 }
        }
        let expected = plainCore(labels, box: box, scan: scan, rim: rim)
        #expect(kept.voxels == expected.voxels)
        #expect(expected.voxels.contains(1) && (rim == 0 || expected.voxels != labels.voxels))
    }

    /// The same by asking each voxel for all others near it.
    private func plainCore(_ labels: Volume<UInt8>, box: Box, scan: Shape, rim: Double) -> Volume<UInt8> {
        let (shape, spacing) = (labels.shape, labels.spacing)
        var kept = Volume<UInt8>(shape: shape, spacing: spacing, filledWith: 0)
        let reach = (0..<3).map { Int(rim / spacing[$0]) }
        for z in 0..<shape.z {
            for y in 0..<shape.y {
                for x in 0..<shape.x where labels[x, y, z] == Label.liver {
                    var isCore = true
                    for dz in -reach[2]...reach[2] {
                        for dy in -reach[1]...reach[1] {
                            for dx in -reach[0]...reach[0] {
                                let step = SIMD3(Double(dx), Double(dy), Double(dz)) * spacing
                                guard (step * step).sum() <= rim * rim else { continue }
                                let at = (x: x + dx, y: y + dy, z: z + dz)
                                let isInScan =
                                    (0..<scan.x).contains(box.x.lowerBound + at.x)
                                    && (0..<scan.y).contains(box.y.lowerBound + at.y)
                                    && (0..<scan.z).contains(box.z.lowerBound + at.z)
                                let isInBox =
                                    (0..<shape.x).contains(at.x) && (0..<shape.y).contains(at.y)
                                    && (0..<shape.z).contains(at.z)
                                if isInScan, !isInBox || labels[at.x, at.y, at.z] != Label.liver { isCore = false }
                            }
                        }
                    }
                    if isCore { kept[x, y, z] = 1 }
                }
            }
        }
        return kept
    }
}

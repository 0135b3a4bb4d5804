import Compute
import Imaging
import Testing

@testable import Segmentation

@Suite struct PlausibilityTests {
    private let plausible = LiverFacts(millilitres: 1500, meanHU: 110, isAtBorder: false, nextMillilitres: 3)

    private func codes(_ change: (inout LiverFacts) -> Void) -> [String] {
        var facts = plausible
        change(&facts)
        return facts.findings.map(\.code)
    }

    @Test func aUsualLiverNeedsNoReview() {
        #expect(plausible.findings.isEmpty)
        #expect(codes { $0.millilitres = 400 } == [] && codes { $0.millilitres = 4000 } == [])
        #expect(codes { $0.meanHU = nil } == [])
    }

    @Test func eachThingThatCannotBeIsSaid() {
        #expect(codes { $0.millilitres = 399 } == ["liver_small"])
        #expect(codes { $0.millilitres = 4001 } == ["liver_large"])
        #expect(codes { $0.meanHU = 55 } == ["liver_density_unusual"])
        #expect(codes { $0.meanHU = 200 } == ["liver_density_unusual"])
        #expect(codes { $0.isAtBorder = true } == ["liver_at_border"])
        #expect(codes { $0.nextMillilitres = 51 } == ["several_livers"])
        let all = LiverFacts(millilitres: 1, meanHU: 0, isAtBorder: true, nextMillilitres: 99).findings
        #expect(all.count == 4 && all.allSatisfy { $0.severity == .warning && $0.message.hasSuffix(".") })
    }

    /// A liver of 3 x 2 voxels with one lesion voxel at (5, 5, 2) of a scan of 2 x 2 x 5 mm, and another of one voxel.
    private func facts(at corner: (x: Int, y: Int, z: Int), voxelShare: Double = 1) throws -> LiverFacts {
        let spacing = SIMD3(2.0, 2, 5)
        var labels = Volume<UInt8>(shape: Shape(5, 2, 1), spacing: spacing, filledWith: Label.background)
        for (x, y) in [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (4, 0)] { labels[x, y, 0] = Label.liver }
        labels[1, 1, 0] = Label.lesion
        let probabilities = SliceProbabilities(rowStarts: [0, 0, 1], columns: [1], values: [0.9])
        let ruled = applyRules(
            LesionStageResult(labels: labels, lesionProbabilities: [probabilities]), threshold: 0.8,
            team: ThreadTeam(threads: 1))
        var scan = Volume<Float>(
            shape: Shape(12, 12, 4), spacing: spacing, voxelShare: voxelShare,
            voxels: [Float](repeating: -1000, count: 12 * 12 * 4))
        for y in 0..<2 { for x in 0..<3 { scan[corner.x + x, corner.y + y, corner.z] = 100 + Float(10 * x) } }
        scan[corner.x + 1, corner.y + 1, corner.z] = 30
        let box = Box(
            x: corner.x..<corner.x + 5, y: corner.y..<corner.y + 2, z: corner.z..<corner.z + 1)
        let liver = try #require(ruled.liver)
        let core = core(of: Label.liver, in: liver, labels: ruled.labels, box: box, scan: scan.shape, rim: 0)
        let density = Density(of: core, from: SIMD3(corner.x, corner.y, corner.z), in: scan)
        return LiverFacts(ruled, liver: liver, in: box, of: scan, meanHU: density?.meanHU)
    }

    @Test func factsAreThoseOfTheLiverThatWasKept() throws {
        let inside = try facts(at: (5, 5, 2))
        #expect(abs(inside.millilitres - 6 * 0.02) < 1e-12)
        #expect(abs(inside.nextMillilitres - 0.02) < 1e-12)
        // 100, 110, 120 and 100, 120: the lesion's 30 HU do not count.
        #expect(inside.meanHU == 110)
        #expect(!inside.isAtBorder)
    }

    /// On a slanted grid a voxel is smaller than the box of its edges.
    @Test func millilitresOfASlantedGrid() throws {
        let slanted = try facts(at: (5, 5, 2), voxelShare: 0.94)
        #expect(abs(slanted.millilitres - 6 * 0.02 * 0.94) < 1e-12)
        #expect(abs(slanted.nextMillilitres - 0.02 * 0.94) < 1e-12)
    }

    @Test(arguments: [(0, 5, 2), (5, 0, 2), (5, 10, 2), (5, 5, 0), (5, 5, 3)])
    func bordersOfTheScanAreSeen(corner: (Int, Int, Int)) throws {
        #expect(try facts(at: corner).isAtBorder)
    }
}

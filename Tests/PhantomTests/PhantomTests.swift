import Compute
import Imaging
import Testing

@testable import Phantom

/// One phantom of coarse voxels, made once: the whole field of view in a fraction of a second.
private let coarse = PhantomOptions(seed: 7, shape: Shape(90, 90, 56), spacing: SIMD3(4, 4, 4), lesions: 3)
private let team = ThreadTeam(threads: 2)
private let phantom = makePhantom(coarse, team: team)

@Suite struct PhantomTests {
    /// 64-bit FNV-1a.
    private func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    @Test(arguments: [1, 3])
    func sameBytesWhateverTheThreads(threads: Int) {
        let again = makePhantom(coarse, team: ThreadTeam(threads: threads))
        #expect(again.ct.voxels == phantom.ct.voxels)
        #expect(again.reference.voxels == phantom.reference.voxels)
    }

    /// The bytes of one small phantom. Whoever changes the anatomy changes these numbers on purpose; a change of
    /// compiler or machine must not.
    @Test func bytesOfASeed() {
        let small = makePhantom(
            PhantomOptions(seed: 42, shape: Shape(37, 29, 20), spacing: SIMD3(9, 8, 10)), team: team)
        let ct = small.ct.voxels.withUnsafeBytes(hash)
        let reference = small.reference.voxels.withUnsafeBytes(hash)
        #expect(ct == 11_350_927_656_387_251_980, "the CT's bytes have hash \(ct)")
        #expect(reference == 11_635_683_006_230_122_711, "the reference's bytes have hash \(reference)")
    }

    @Test func anotherSeedIsAnotherPatient() {
        var options = coarse
        options.seed = 8
        let other = makePhantom(options, team: team)
        let same = zip(other.reference.voxels, phantom.reference.voxels).count { $0 == $1 && $0 > 0 }
        let liver = phantom.reference.voxels.count { $0 > 0 }
        #expect(same < liver * 95 / 100)
    }

    @Test(arguments: UInt64(1)...6)
    func liverIsPlausible(seed: UInt64) {
        let made = makePhantom(
            PhantomOptions(seed: seed, shape: Shape(120, 110, 80), spacing: SIMD3(3, 3, 3)), team: team)
        let components = connectedComponents(of: made.reference, where: { $0 > 0 }, team: team)
        let liver = components.map(\.voxelCount).max() ?? 0
        let all = components.reduce(0) { $0 + $1.voxelCount }
        let millilitres = Double(all) * made.reference.voxelMillilitres
        #expect((1_000...2_400).contains(millilitres), "\(millilitres) ml of liver")
        #expect(liver * 100 >= all * 99, "the liver falls into \(components.count) pieces")

        let values = sorted(made, label: Label.liver)
        #expect((98...122).contains(values[values.count / 2]), "the median liver has \(values[values.count / 2]) HU")
        let lesions = sorted(made, label: Label.lesion)
        #expect(!lesions.isEmpty)
        if !lesions.isEmpty {
            #expect((38...90).contains(lesions[lesions.count / 2]), "\(lesions[lesions.count / 2]) HU")
        }
    }

    private func sorted(_ phantom: Phantom, label: UInt8) -> [Int16] {
        zip(phantom.ct.voxels, phantom.reference.voxels).filter { $1 == label }.map { $0.0 }.sorted()
    }

    /// Lesions are apart from one another and as many as asked for.
    @Test(arguments: [0, 1, 4, 6])
    func lesionsAreCounted(count: Int) {
        let made = makePhantom(
            PhantomOptions(seed: 3, shape: Shape(180, 160, 100), spacing: SIMD3(1.6, 1.6, 2), lesions: count),
            team: team
        )
        let lesions = connectedComponents(of: made.reference, where: { $0 == Label.lesion }, team: team)
        #expect(lesions.count == count)
    }

    @Test func numberOfLesionsChangesNothingElse() {
        var options = coarse
        options.lesions = 0
        let healthy = makePhantom(options, team: team)
        #expect(healthy.reference.voxels.map { $0 > 0 } == phantom.reference.voxels.map { $0 > 0 })
        let changed = zip(zip(healthy.ct.voxels, phantom.ct.voxels), phantom.reference.voxels)
            .count { $0.0 != $0.1 && $1 == Label.background }
        #expect(changed * 1_000 < healthy.ct.shape.count)
    }

    /// Another grid shows the same patient: the liver's volume in ml and where its middle lies.
    @Test func gridDoesNotChangeTheAnatomy() {
        let fine = makePhantom(
            PhantomOptions(seed: 7, shape: Shape(180, 120, 75), spacing: SIMD3(2, 3, 3), lesions: 3), team: team)
        let (coarseVolume, coarseMiddle) = liver(of: phantom)
        let (fineVolume, fineMiddle) = liver(of: fine)
        #expect(abs(coarseVolume - fineVolume) < 0.02 * fineVolume)
        let apart = coarseMiddle - fineMiddle
        #expect((apart * apart).sum().squareRoot() < 2, "\(coarseMiddle) and \(fineMiddle)")
    }

    /// Millilitres, and the centre of mass in mm from the volume's middle.
    private func liver(of phantom: Phantom) -> (Double, SIMD3<Double>) {
        let volume = phantom.reference
        var sum = SIMD3<Double>.zero
        var count = 0.0
        for z in 0..<volume.shape.z {
            for y in 0..<volume.shape.y {
                for x in 0..<volume.shape.x where volume[x, y, z] > 0 {
                    sum += SIMD3(Double(x), Double(y), Double(z))
                    count += 1
                }
            }
        }
        let shape = SIMD3(Double(volume.shape.x), Double(volume.shape.y), Double(volume.shape.z))
        return (count * volume.voxelMillilitres, (sum / count - (shape - 1) / 2) * volume.spacing)
    }

    /// What a scan of the abdomen holds: air, lung, fat, soft tissue and bone, each with its share.
    @Test func tissuesHaveTheirShares() {
        let voxels = phantom.ct.voxels
        func share(_ range: ClosedRange<Int16>) -> Double {
            Double(voxels.count { range.contains($0) }) / Double(voxels.count)
        }
        #expect((0.25...0.7).contains(share(-1_024 ... -930)), "air \(share(-1_024 ... -930))")
        #expect((0.02...0.2).contains(share(-929 ... -700)), "lung \(share(-929 ... -700))")
        #expect((0.05...0.4).contains(share(-150 ... -60)), "fat \(share(-150 ... -60))")
        #expect((0.1...0.5).contains(share(20...220)), "soft tissue \(share(20...220))")
        #expect((0.003...0.08).contains(share(300...1_500)), "bone \(share(300...1_500))")
    }

    /// Right is right: the liver lies on the low side of x, below the lungs, and the spine at the high side of y.
    @Test func lyingOnTheBackHeadUp() {
        let shape = phantom.ct.shape
        let (_, middle) = liver(of: phantom)
        #expect(middle.x < -20)
        let upper = phantom.ct.voxels[(shape.count / 10 * 9)...].count { $0 < -700 && $0 > -930 }
        let lower = phantom.ct.voxels[..<(shape.count / 10)].count { $0 < -700 && $0 > -930 }
        #expect(upper > 4 * lower)
        var bone = 0
        for z in 0..<shape.z {
            for x in shape.x / 2 - 5..<shape.x / 2 + 5 {
                for y in 0..<shape.y where phantom.ct[x, y, z] > 250 { bone += y > shape.y / 2 ? 1 : -1 }
            }
        }
        #expect(bone > 500)
    }

    /// The least grids that can be asked for.
    @Test(arguments: [Shape(1, 1, 1), Shape(9, 1, 2), Shape(1, 17, 1)])
    func tinyGrids(shape: Shape) {
        let made = makePhantom(PhantomOptions(seed: 1, shape: shape, spacing: SIMD3(0.1, 20, 20)), team: team)
        #expect(made.ct.shape == shape)
        #expect(made.reference.voxels.allSatisfy { $0 <= Label.lesion })
    }

    /// A window too small for the body shows the liver.
    @Test func smallWindowShowsTheLiver() {
        let made = makePhantom(
            PhantomOptions(seed: 5, shape: Shape(64, 64, 24), spacing: SIMD3(1.5, 1.5, 2)), team: team)
        let share = Double(made.reference.voxels.count { $0 > 0 }) / Double(made.ct.shape.count)
        #expect(share > 0.5)
    }
}

import Compute
import Foundation
import Imaging
import Phantom
import TestSupport
import Testing

@testable import Training

@Suite struct LookalikeTests {
    /// A body of a few blobs, other ones for every patient and a little different in every slice.
    private func body(_ patient: Int, side: Int = 64, slices: Int = 6) -> Volume<Int16> {
        var random = SplitMix64(seed: UInt64(patient))
        let waves = (0..<6).map { _ in random.floats(4, in: 0...9) }
        return volume(Shape(side, side, slices)) { x, y, z in
            let (u, v) = ((Float(x) + 0.5) / Float(side), (Float(y) + 0.5) / Float(side))
            let sum = waves.reduce(Float(0)) { $0 + sin($1[0] * u + $1[1] * v + $1[2] + 0.35 * Float(z) * $1[3] / 9) }
            return Int16(70 + 40 * sum)
        }
    }

    private func liver(_ shape: Shape) -> Volume<UInt8> { volume(shape) { x, _, _ in x < shape.x / 2 ? 1 : 0 } }

    /// The same slice at half the resolution, in a narrower window and with noise is found; other patients are not.
    @Test func sameSliceIsRecognised() {
        let fine = Fingerprints(of: float(body(1, side: 128)), team: team)
        var random = SplitMix64(seed: 3)
        var coarse = float(body(1))
        for index in coarse.voxels.indices {
            coarse.voxels[index] = max(0, coarse.voxels[index]) + random.quickNormal() * 8
        }
        #expect(Fingerprints(of: coarse, team: team).slices(alsoIn: fine, team: team) == Array(0..<6))
        #expect(Fingerprints(of: float(body(2)), team: team).slices(alsoIn: fine, team: team).isEmpty)
        // Nothing is like nothing.
        let even = Fingerprints(of: volume(Shape(40, 40, 3)) { _, _, z in Float(z) }, team: team)
        #expect(even.slices(alsoIn: even, team: team).isEmpty)
    }

    /// Phantoms share their plan, and still are patients of their own.
    @Test func phantomsAreDifferentPatients() {
        let prints = (UInt64(1)...4).map { seed in
            let options = PhantomOptions(seed: seed, shape: Shape(90, 90, 40), spacing: SIMD3(4, 4, 4))
            return Fingerprints(of: float(makePhantom(options, team: team).ct), team: team)
        }
        for (index, print) in prints.enumerated() {
            #expect(print.slices(alsoIn: print, team: team) == Array(0..<40))
            for other in prints[..<index] { #expect(print.slices(alsoIn: other, team: team).count < 2) }
        }
    }

    private func float(_ volume: Volume<Int16>) -> Volume<Float> {
        Volume(shape: volume.shape, spacing: volume.spacing, voxels: volume.voxels.map { Float($0) })
    }

    /// A validation patient under another number or name is not learnt from.
    @Test func validationPatientsAreFoundUnderOtherNames() throws {
        try withTemporaryFolder { folder in
            for (name, patient) in [("lits005", 1), ("lits006", 2), ("copy", 1)] {
                let ct = body(patient, side: 128)
                try writeCase(name, in: folder, ct: ct, mask: liver(ct.shape))
            }
            // Slices 0 and 1 of patient 1, two of that patient that the validation case does not have, one of another.
            let known = body(1).voxels.prefix(2 * 64 * 64)
            let others = body(3).voxels.prefix(3 * 64 * 64)
            let shape = Shape(64, 64, 5)
            let ct = Volume(shape: shape, spacing: SIMD3(1, 1, 2), voxels: Array(others + known))
            try writeCase("slices", in: folder, ct: ct, mask: liver(shape))
            try Data(#"{"case": [10001, 10009, 10001, 10009, 10009]}"#.utf8)
                .write(to: folder.appending(path: "slices.json"))
            var lines: [String] = []
            let data = try TrainingData(
                folders: [folder], options: DataOptions(validation: ["lits005"]), team: team,
                report: { lines.append($0) })
            #expect(data.cases.map(\.name) == ["lits006", "slices"])
            #expect(data.skipped.map(\.name) == ["copy"])
            #expect(data.cases.last?.centres == [0, 2])
            #expect(lines.count == 2 && lines[0].contains("copy") && lines[1].contains("3 slices of slices"))
        }
    }

    /// In the shared data the side-car's numbers are not those of the cases' names.
    @Test(.enabled(if: SharedData.file("data/train/msd_slices_ct.nii.gz") != nil, "needs ../shared/data/train"))
    func realPatientsAreFoundUnderOtherNumbers() throws {
        let source = try #require(SharedData.file("data/train"))
        try withTemporaryFolder { folder in
            for name in ["lits036", "msd_slices"] {
                for suffix in ["_ct.nii.gz", "_seg.nii.gz", ".json"] {
                    let file = source.appending(path: name + suffix)
                    guard FileManager.default.fileExists(atPath: file.path) else { continue }
                    try FileManager.default.createSymbolicLink(
                        at: folder.appending(path: name + suffix), withDestinationURL: file)
                }
            }
            let options = DataOptions(validation: ["lits036"])
            let data = try TrainingData(folders: [folder], options: options, team: team, report: { _ in })
            let patients = try #require(try CaseFiles.list([folder]).last?.patients())
            let centres = Set(try #require(data.cases.first).centres)
            let leftOut = Set(patients.indices.filter { !centres.contains($0) }.map { patients[$0] })
            #expect(leftOut == [10_058])
            #expect(patients.indices.allSatisfy { centres.contains($0) == (patients[$0] != 10_058) })
        }
    }
}

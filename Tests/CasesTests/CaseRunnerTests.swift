import Compute
import Foundation
import Imaging
import Inference
import Phantom
import Segmentation
import TestSupport
import Testing

@testable import Cases

/// A whole case, from files to files, with the default model.
@Suite struct CaseRunnerTests {
    let team = ThreadTeam(threads: 2)
    private let options = PhantomOptions(seed: 5, shape: Shape(112, 96, 24), spacing: SIMD3(2, 2, 4), lesions: 3)

    private func segmenter(
        _ algorithm: Algorithm = .winograd, instructions: InstructionSet? = nil, team: ThreadTeam
    ) throws -> Segmenter {
        let folder = SharedData.repository.appending(path: "Models/default")
        return try Segmenter(models: folder, algorithm: algorithm, instructions: instructions, team: team)
    }

    /// Writes the phantom on the axes given and returns its header.
    private func write(_ phantom: Phantom, axes: String, to url: URL) throws -> NIfTIHeader {
        let grid = try phantomAffine(shape: options.shape, spacing: options.spacing, axes: axes)
        let header = NIfTIHeader(shape: grid.storedShape, affine: grid.affine, voxelType: .int16)
        try writeCT(phantom.ct, header: header, to: url, team: team)
        return header
    }

    /// All 48 ways to lay the axes of a volume: the mask is the same mask, permuted.
    @Test func theMaskIsTheSameInAnyAxesOrder() throws {
        let phantom = makePhantom(options, team: team)
        let segmenter = try segmenter(team: team)
        try withTemporaryFolder { folder in
            let ct = folder.appending(path: "ct.nii")
            let mask = folder.appending(path: "mask.nii")
            var first: [UInt8] = []
            for axes in allAxes {
                let header = try write(phantom, axes: axes, to: ct)
                let report = try run(Case(image: ct, mask: mask), with: segmenter, team: team)
                let result = try readLabels(at: mask, team: team)
                #expect(result.header.gridDifference(from: header) == nil)
                #expect(result.header.axes == header.axes)
                if first.isEmpty {
                    first = result.volume.voxels
                    #expect(report.liverVolumeMl > 300)
                    #expect(!report.lesions.isEmpty)
                }
                #expect(result.volume.voxels == first, "\(axes)")
            }
            #expect(allAxes.count == 48)
        }
    }

    /// Every order of the three pairs of directions, and every sign.
    private var allAxes: [String] {
        let pairs = [["L", "R"], ["P", "A"], ["S", "I"]]
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
        return orders.flatMap { order in
            (0..<8).map { signs in order.map { pairs[$0][signs >> $0 & 1] }.joined() }
        }
    }

    @Test func oneAndTwoThreadsGiveTheSameBytes() throws {
        let phantom = makePhantom(options, team: team)
        try withTemporaryFolder { folder in
            let ct = folder.appending(path: "ct.nii.gz")
            _ = try write(phantom, axes: "LPS", to: ct)
            let masks = try [1, 2].map { threads in
                let mask = folder.appending(path: "mask-\(threads).nii.gz")
                let team = ThreadTeam(threads: threads)
                _ = try run(Case(image: ct, mask: mask), with: segmenter(team: team), team: team)
                return try Data(contentsOf: mask)
            }
            #expect(masks[0] == masks[1])
        }
    }

    @Test func theAlgorithmsAgree() throws {
        let phantom = makePhantom(options, team: team)
        try withTemporaryFolder { folder in
            let ct = folder.appending(path: "ct.nii.gz")
            _ = try write(phantom, axes: "RAI", to: ct)
            let masks = try [Algorithm.winograd, .gemm].map { algorithm in
                let mask = folder.appending(path: "mask-\(algorithm).nii.gz")
                _ = try run(Case(image: ct, mask: mask), with: segmenter(algorithm, team: team), team: team)
                return try readLabels(at: mask, team: team).volume.voxels
            }
            // Rounding may turn a voxel whose two best classes are equal to the last bit or two.
            let different = zip(masks[0], masks[1]).count { $0 != $1 }
            #expect(different <= masks[0].count / 10_000)
        }
    }

    /// Vector instructions sum in another order: probabilities differ in their last bits, so a voxel whose two best classes
    /// are equal to those bits may turn. docs/reliability.md has what was measured.
    @Test func theInstructionSetsAgree() throws {
        let phantom = makePhantom(options, team: team)
        try withTemporaryFolder { folder in
            let phantomFile = folder.appending(path: "ct.nii.gz")
            _ = try write(phantom, axes: "RAI", to: phantomFile)
            for ct in [phantomFile, SharedData.file("data/small/example_ct_sm.nii.gz")].compactMap({ $0 }) {
                let sets = InstructionSet.allCases.filter(\.isAvailable)
                let results = try sets.map { set in
                    let mask = folder.appending(path: "mask-\(set).nii.gz")
                    let report = try run(
                        Case(image: ct, mask: mask), with: segmenter(instructions: set, team: team), team: team)
                    return (mask: try readLabels(at: mask, team: team).volume.voxels, lesions: report.lesions)
                }
                for other in results.dropFirst() {
                    let different = zip(results[0].mask, other.mask).count { $0 != $1 }
                    #expect(different <= other.mask.count / 100_000)
                }
                guard ct == phantomFile else { continue }
                // It was the instructions that were asked for: had all runs taken the same, no bit would differ.
                let means = try results.map { try #require($0.lesions.first).meanProbability }
                #expect(Set(means).count == sets.count && means.max()! - means.min()! < 1e-5, "\(means)")
            }
        }
    }

    @Test func aReferenceOfAnotherGridIsRefusedBeforeTheLongPart() throws {
        let phantom = makePhantom(options, team: team)
        let segmenter = try segmenter(team: team)
        try withTemporaryFolder { folder in
            let ct = folder.appending(path: "ct.nii.gz")
            let reference = folder.appending(path: "reference.nii.gz")
            let mask = folder.appending(path: "mask.nii.gz")
            let header = try write(phantom, axes: "LPS", to: ct)
            var affine = header.storedAffine
            affine.origin.z += 0.5
            let moved = NIfTIHeader(shape: header.storedShape, affine: affine, voxelType: .uint8)
            try writeLabels(phantom.reference, like: moved, to: reference, team: team)
            var asked = 0
            #expect(throws: VolumeError.self) {
                _ = try run(Case(image: ct, reference: reference, mask: mask), with: segmenter, team: team) { _ in
                    asked += 1
                }
            }
            #expect(asked == 0)
            #expect(!FileManager.default.fileExists(atPath: mask.path))
        }
    }

    @Test func aCaseStopsBetweenSlicesAndLeavesNoMask() throws {
        struct Stop: Error {}
        let phantom = makePhantom(options, team: team)
        let segmenter = try segmenter(team: team)
        try withTemporaryFolder { folder in
            let ct = folder.appending(path: "ct.nii.gz")
            let mask = folder.appending(path: "mask.nii.gz")
            _ = try write(phantom, axes: "LPS", to: ct)
            var seen: [SliceProgress] = []
            #expect(throws: Stop.self) {
                _ = try run(Case(image: ct, mask: mask), with: segmenter, team: team) { progress in
                    seen.append(progress)
                    if progress.stage == .lesions && progress.done >= 3 { throw Stop() }
                }
            }
            #expect(seen.map(\.fraction) == seen.map(\.fraction).sorted())
            #expect(seen.last?.stage == .lesions)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["ct.nii.gz"])
        }
    }

    @Test func noLiverIsAResult() throws {
        let segmenter = try segmenter(team: team)
        try withTemporaryFolder { folder in
            let ct = folder.appending(path: "ct.nii.gz")
            let mask = folder.appending(path: "mask.nii.gz")
            // A box of fat: tissue, but nothing like a liver.
            var fat = Volume<Int16>(shape: Shape(48, 48, 12), spacing: SIMD3(4, 4, 8), filledWith: -1000)
            for z in 0..<12 { for y in 12..<36 { for x in 12..<36 { fat[x, y, z] = -100 } } }
            let grid = try phantomAffine(shape: fat.shape, spacing: fat.spacing, axes: "LPS")
            let header = NIfTIHeader(shape: grid.storedShape, affine: grid.affine, voxelType: .int16)
            try writeCT(fat, header: header, to: ct, team: team)
            let report = try run(Case(image: ct, mask: mask), with: segmenter, team: team)
            #expect(report.findings.map(\.code) == ["no_liver"] && report.needsReview)
            #expect(report.liverVolumeMl == 0)
            #expect(report.tumourBurden == nil)
            #expect(try readLabels(at: mask, team: team).volume.voxels.allSatisfy { $0 == 0 })
            let json = String(decoding: try JSONEncoder.hepar.encode(report), as: UTF8.self)
            #expect(json.contains("\"tumour_burden\" : null"))
            #expect(json.contains("\"scores\" : null"))
        }
    }

    /// A real scan, if there is one, sits on its liver: another program's mask is the witness.
    @Test(.enabled(if: SharedData.file("data/train/lits005_ct.nii.gz") != nil, "needs the shared folder's real scans"))
    func aRealLiverIsFound() throws {
        let ct = try #require(SharedData.file("data/train/lits005_ct.nii.gz"))
        let reference = try #require(SharedData.file("data/train/lits005_seg.nii.gz"))
        try withTemporaryFolder { folder in
            let mask = folder.appending(path: "mask.nii.gz")
            let report = try run(
                Case(image: ct, reference: reference, mask: mask), with: segmenter(team: team), team: team)
            #expect(report.scores?.liver.dice ?? 0 > 0.95)
        }
    }
}

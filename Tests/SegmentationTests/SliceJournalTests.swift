import Compute
import Foundation
import Imaging
import Inference
import Phantom
import TestSupport
import Testing

@testable import Segmentation

/// Slices kept of a run that was broken off.
@Suite struct SliceJournalTests {
    private struct Broken: Error {}
    private let team = ThreadTeam(threads: 2)

    private func scan(in folder: URL) throws -> CTScan {
        var options = PhantomOptions(seed: 5)
        options.shape = Shape(112, 96, 12)
        options.spacing = SIMD3(2, 2, 8)
        let phantom = makePhantom(options, team: team)
        let grid = try phantomAffine(shape: options.shape, spacing: options.spacing, axes: "RAS")
        let file = folder.appending(path: "ct.nii")
        let header = NIfTIHeader(shape: grid.storedShape, affine: grid.affine, voxelType: .int16)
        try writeCT(phantom.ct, header: header, to: file, team: team)
        return try readCT(at: file, limits: VolumeLimits(), team: team)
    }

    /// Broken off in either stage, and whatever became of the file: the same labels and probabilities, and no finished
    /// slice is computed again.
    @Test func aBrokenRunGoesOn() throws {
        try withTemporaryFolder { folder in
            let models = SharedData.repository.appending(path: "Models/default")
            let segmenter = try Segmenter(models: models, algorithm: .winograd, team: team)
            let scan = try scan(in: folder)
            let options = Segmenter.Options(probabilities: true)
            let whole = try segmenter.segment(scan, options: options) { _ in }
            #expect(whole.lesionMl > 0)
            var stage1 = 0
            for (stage, slice) in [(SliceProgress.Stage.liver, 5), (.lesions, 3)] {
                for damage in [nil, 1, 40] as [Int?] {
                    let file = folder.appending(path: "\(stage)-\(damage ?? 0).journal")
                    #expect(throws: Broken.self) {
                        let journal = SliceJournal(file: file, key: "a")
                        _ = try segmenter.segment(scan, options: options, journal: journal) { progress in
                            if progress.stage == .liver { stage1 = progress.total }
                            if progress.stage == stage && progress.done == slice { throw Broken() }
                        }
                    }
                    if let damage {
                        let bytes = try Data(contentsOf: file)
                        try bytes.dropLast(damage).write(to: file)
                    }
                    let journal = SliceJournal(file: file, key: "a")
                    let resumed = try segmenter.segment(scan, options: options, journal: journal) { _ in }
                    let finished = (stage == .lesions ? stage1 : 0) + slice
                    #expect(journal.restored == finished - (damage == nil ? 0 : 1), "\(stage) \(damage ?? 0)")
                    #expect(resumed.labels.voxels == whole.labels.voxels)
                    #expect(resumed.lesions == whole.lesions)
                    #expect(resumed.lesionProbabilities?.voxels == whole.lesionProbabilities?.voxels)
                    // What was computed anew was kept behind what was there.
                    let third = SliceJournal(file: file, key: "a")
                    let again = try segmenter.segment(scan, options: options, journal: third) { _ in }
                    #expect(third.restored > finished && again.labels.voxels == whole.labels.voxels)
                    third.remove()
                    #expect(!FileManager.default.fileExists(atPath: file.path))
                }
            }
        }
    }

    /// A changed byte, another key, an empty file and rubbish: nothing wrong is taken.
    @Test func whatIsNotItsOwnIsDiscarded() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "journal")
            func records(key: String) -> [[UInt8]] {
                let journal = SliceJournal(file: file, key: key)
                var found: [[UInt8]] = []
                while journal.restore({
                    found.append(Array($0)); return true
                }) {}
                return found
            }
            func write() {
                try? FileManager.default.removeItem(at: file)
                let journal = SliceJournal(file: file, key: "a")
                for value in UInt8(1)...3 { journal.append(Data(repeating: value, count: 10)) }
            }
            write()
            #expect(records(key: "a").map(\.first) == [1, 2, 3])
            #expect(records(key: "b").isEmpty)
            #expect(records(key: "a").isEmpty, "the other key's journal has replaced it")
            write()
            var bytes = try Data(contentsOf: file)
            bytes[64 + 78 + 10] ^= 1
            try bytes.write(to: file)
            #expect(records(key: "a").map(\.first) == [1])
            #expect(try Data(contentsOf: file).count == 64 + 78, "cut where it is wrong")
            for rubbish in [Data(), Data(repeating: 0xFF, count: 300)] {
                try rubbish.write(to: file)
                #expect(records(key: "a").isEmpty)
            }
        }
    }

    /// A journal that cannot be written does no harm.
    @Test func aFolderThatIsGone() {
        let journal = SliceJournal(file: URL(filePath: "/nonexistent/journal"), key: "a")
        #expect(!journal.restore { _ in true })
        journal.append(Data([1]))
        journal.remove()
        #expect(journal.restored == 0)
    }
}

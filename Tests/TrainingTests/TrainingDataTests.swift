import Compute
import Foundation
import Imaging
import Inference
import Phantom
import TestSupport
import Testing

@testable import Training

@Suite struct TrainingDataTests {
    private func read(
        _ folder: URL, _ options: DataOptions = DataOptions(), report: (String) -> Void = { _ in }
    ) throws -> TrainingData {
        try TrainingData(folders: [folder], options: options, team: team, report: report)
    }

    @Test func casesAreFoundByName() throws {
        try withTemporaryFolder { folder in
            try writeCase("b", in: folder)
            try writeCase("a", in: folder, suffix: "nii")
            try Data("text".utf8).write(to: folder.appending(path: "notes.txt"))
            let data = try read(folder)
            #expect(data.cases.map(\.name) == ["a", "b"])
            #expect(data.skipped.isEmpty && data.validationCases.isEmpty)
            #expect(data.cases.allSatisfy { $0.centres == [0, 1, 2, 3] && $0.kind == .scan })
        }
    }

    /// Another order of axes in the file is the same case.
    @Test(arguments: ["RAS", "SLP", "LPI"]) func axesAreCanonical(axes: String) throws {
        try withTemporaryFolder { folder in
            try writeCase("a", in: folder)
            try writeCase("b", in: folder, axes: axes)
            let cases = try read(folder).cases
            #expect(cases[0].ct.voxels == cases[1].ct.voxels)
            #expect(cases[0].labels.voxels == cases[1].labels.voxels)
        }
    }

    /// Validation cases are named and not loaded, and no single slice of their patients is drawn from.
    @Test(arguments: ["LPS", "LPI"]) func validationCasesAreNeverTrainedOn(axes: String) throws {
        try withTemporaryFolder { folder in
            for name in ["lits005", "lits006", "lits036"] { try writeCase(name, in: folder) }
            try writeCase("slices", in: folder, slices: 6, axes: axes)
            // By stored slice; the second file stores the highest slice first.
            try Data(#"{"case": [5, 7, 36, 5, 105, 50], "z": [1, 2, 3, 4, 5, 6]}"#.utf8)
                .write(to: folder.appending(path: "slices.json"))
            for stage in [ModelMetadata.Stage.liver, .lesion] {
                let data = try read(folder, DataOptions(stage: stage, validation: ["lits036", "lits005"]))
                #expect(data.cases.map(\.name) == ["lits006", "slices"])
                #expect(data.validationCases.map(\.name) == ["lits036", "lits005"])
                #expect(data.validationCases[1].ct.lastPathComponent == "lits005_ct.nii.gz")
                #expect(data.validationCases[1].mask.lastPathComponent == "lits005_seg.nii.gz")
                let slices = try #require(data.cases.last)
                #expect(slices.kind == .singleSlices)
                #expect(slices.centres == (axes == "LPS" ? [1, 4, 5] : [0, 1, 4]))
                let source = BatchSource(data, options: SamplingOptions(crop: 16, batch: 10), seed: 1)
                let drawn = (0..<30).flatMap { source.samples(of: $0) }.filter { $0.item == 1 }
                #expect(Set(drawn.flatMap { $0.stack.map(\.nearest) }) == Set(slices.centres))
            }
        }
    }

    /// Each fault is told by the case's name, and the sound case is used.
    @Test func faultyCasesAreSkippedByName() throws {
        try withTemporaryFolder { folder in
            for name in ["cut", "good", "labels", "lonely", "moved", "numbers", "text"] {
                try writeCase(name, in: folder)
            }
            let cut = folder.appending(path: "cut_ct.nii.gz")
            try Data(try Data(contentsOf: cut).dropLast(30)).write(to: cut)
            try FileManager.default.removeItem(at: folder.appending(path: "lonely_seg.nii.gz"))
            // A CT as mask holds 10, 20 and 30.
            try FileManager.default.removeItem(at: folder.appending(path: "labels_seg.nii.gz"))
            try FileManager.default.copyItem(
                at: folder.appending(path: "labels_ct.nii.gz"), to: folder.appending(path: "labels_seg.nii.gz"))
            let other = Shape(20, 18, 5)
            try writeCase(
                "other", in: folder, ct: volume(other) { _, _, z in Int16(z) }, mask: volume(other) { _, _, _ in 1 })
            try FileManager.default.removeItem(at: folder.appending(path: "moved_seg.nii.gz"))
            try FileManager.default.moveItem(
                at: folder.appending(path: "other_seg.nii.gz"), to: folder.appending(path: "moved_seg.nii.gz"))
            try FileManager.default.removeItem(at: folder.appending(path: "other_ct.nii.gz"))
            try Data(#"{"case": [1, 2]}"#.utf8).write(to: folder.appending(path: "numbers.json"))
            try Data(#"{"case": "all"}"#.utf8).write(to: folder.appending(path: "text.json"))

            var lines: [String] = []
            let data = try read(folder) { lines.append($0) }
            #expect(data.cases.map(\.name) == ["good"])
            #expect(data.skipped.map(\.name) == ["cut", "labels", "lonely", "moved", "numbers", "text"])
            let words = ["CT", "30", "no mask", "5", "2 numbers for 4", "JSON"]
            for (skipped, word) in zip(data.skipped, words) {
                #expect(skipped.reason.contains(word), "\(skipped.name): \(skipped.reason)")
            }
            #expect(lines.count == 6 && zip(lines, data.skipped).allSatisfy { $0.hasPrefix($1.name) })
        }
    }

    /// Nothing of a pixel that nobody knows is learnt; where some are, lesion is not told from liver.
    @Test func unknownPixelsStayUnknown() throws {
        let shape = Shape(20, 18, 4)
        try withTemporaryFolder { folder in
            try writeCase(
                "a", in: folder, ct: volume(shape) { _, _, z in Int16(z) },
                mask: volume(shape) { x, _, z in z == 0 ? 0 : x < 4 ? Label.unknown : x < 9 ? 1 : 0 })
            let liver = try read(folder).cases[0]
            #expect(Set(liver.labels.voxels) == [0, 1, Batch.unknown])
            #expect(liver.labels[3, 5, 1] == Batch.unknown && liver.labels[4, 5, 1] == 1)
            let lesion = try read(folder, DataOptions(stage: .lesion)).cases[0]
            #expect(Set(lesion.labels.voxels) == [0, Batch.foreground, Batch.unknown])
            // The region is that of the known liver, grown.
            #expect(lesion.centres == [0, 1, 2, 3])
        }
    }

    /// spacing.json wins over the header, along the file's own axes.
    @Test(arguments: ["LPS", "SLP"]) func spacingsOfTheFolderOverrideHeaders(axes: String) throws {
        try withTemporaryFolder { folder in
            for name in ["a", "b"] { try writeCase(name, in: folder, axes: axes) }
            let stored = axes == "LPS" ? "[0.5, 0.6, 7]" : "[7, 0.5, 0.6]"
            let table = folder.appending(path: "spacing.json")
            try Data("{\"spacing_mm\": {\"a\": \(stored)}}".utf8).write(to: table)
            let cases = try read(folder).cases
            #expect(cases[0].ct.spacing == SIMD3(0.5, 0.6, 7) && cases[0].labels.spacing == SIMD3(0.5, 0.6, 7))
            #expect(abs(cases[1].ct.spacing.z - 2) < 1e-6)
            for fault in [#"{"spacing_mm": {"a": [1, 2]}}"#, #"{"spacing_mm": {"a": [1, 2, 0]}}"#, "text"] {
                try Data(fault.utf8).write(to: table)
                let error = #expect(throws: TrainingError.self) { try read(folder) }
                #expect("\(try #require(error))".contains("spacing.json"))
            }
        }
    }

    /// Several folders are one set of cases; a name that stands in two is refused.
    @Test func foldersAreReadTogether() throws {
        try withTemporaryFolder { first in
            try withTemporaryFolder { second in
                try writeCase("b", in: first)
                try writeCase("a", in: second)
                let data = try TrainingData(
                    folders: [first, second], options: DataOptions(), team: team, report: { _ in })
                #expect(data.cases.map(\.name) == ["a", "b"])
                try writeCase("b", in: second)
                #expect(throws: TrainingError.sameName("b")) {
                    try TrainingData(folders: [first, second], options: DataOptions(), team: team, report: { _ in })
                }
            }
        }
    }

    @Test func nothingUsableIsAnError() throws {
        try withTemporaryFolder { folder in
            #expect(throws: TrainingError.nothingToLearn(skipped: 0)) { try read(folder) }
            try writeCase("a", in: folder)
            try FileManager.default.removeItem(at: folder.appending(path: "a_seg.nii.gz"))
            #expect(throws: TrainingError.nothingToLearn(skipped: 1)) { try read(folder) }
            #expect(throws: TrainingError.nothingToLearn(skipped: 1)) { try read(folder, DataOptions(phantoms: 1)) }
            #expect(throws: TrainingError.folderUnreadable(folder: "none", reason: "it does not exist")) {
                try read(folder.appending(path: "none"))
            }
            #expect(throws: TrainingError.folderUnreadable(folder: "a_ct.nii.gz", reason: "it is not a folder")) {
                try read(folder.appending(path: "a_ct.nii.gz"))
            }
        }
    }

    @Test func namesMustBeInTheFolder() throws {
        try withTemporaryFolder { folder in
            try writeCase("a", in: folder)
            for options in [
                DataOptions(validation: ["b"]), DataOptions(singleSlices: ["b"]), DataOptions(mergedLabels: ["b"]),
            ] {
                #expect {
                    try read(folder, options)
                } throws: {
                    guard case .unknownCase("b", _) = $0 as? TrainingError else { return false }
                    return true
                }
            }
        }
    }

    @Test func badOptionsAreRefused() throws {
        let bad = [
            DataOptions(window: 0...0.5), DataOptions(window: -2_000...0), DataOptions(spacing: SIMD3(1, 0, 1)),
            DataOptions(spacing: SIMD3(.nan, 1, 1)), DataOptions(phantoms: -1),
        ]
        for options in bad { #expect(throws: TrainingError.self) { try options.check() } }
        let badSampling = [
            SamplingOptions(crop: 100), SamplingOptions(crop: 0), SamplingOptions(batch: 0),
            SamplingOptions(scale: 0...1),
            SamplingOptions(rotation: -1), SamplingOptions(shift: .nan), SamplingOptions(noise: .infinity),
            SamplingOptions(balance: 1.1), SamplingOptions(lesionShare: -0.1),
            SamplingOptions(phantomShare: 0.6, singleShare: 0.6),
        ]
        for options in badSampling { #expect(throws: TrainingError.self) { try options.check() } }
        #expect(throws: Never.self) { try SamplingOptions().check() }
        #expect(throws: Never.self) { try DataOptions().check() }
    }

    @Test func stagesHaveTheirClasses() throws {
        let lesion = try smoothCase()
        #expect(Set(lesion.labels.voxels) == [0, 1, 2])
        #expect(lesion.lesionPixels == [0, 0, 160, 160, 160, 0, 0])
        let liver = try smoothCase(options: DataOptions(stage: .liver))
        #expect(liver.labels.voxels == lesion.labels.voxels.map { min($0, 1) })
        #expect(liver.lesionPixels.allSatisfy { $0 == 0 })
        let merged = try smoothCase(options: DataOptions(stage: .lesion, mergedLabels: ["a"]))
        #expect(merged.labels.voxels == lesion.labels.voxels.map { $0 == 0 ? 0 : Batch.foreground })
        #expect(merged.lesionPixels.allSatisfy { $0 == 0 })
        #expect(merged.regions == lesion.regions)
        // In the liver stage a merged mask tells all that is asked.
        let mergedLiver = try smoothCase(options: DataOptions(stage: .liver, mergedLabels: ["a"]))
        #expect(mergedLiver.labels.voxels == liver.labels.voxels)
    }

    /// The lesion stage looks at the liver's slices and three more each way, and at its box and 32 mm around it.
    @Test func lesionStageLooksAroundTheLiver() throws {
        let item = try smoothCase(shape: Shape(90, 80, 16), liver: 5...8)
        #expect(item.centres == Array(2...11))
        #expect(item.regions.allSatisfy { $0 == SliceRegion(x: 0..<62, y: 0..<72) })
        let single = try smoothCase(kind: .singleSlices, shape: Shape(90, 80, 16), liver: 5...8)
        #expect(single.centres == Array(0..<16))
        #expect(single.regions[5] == SliceRegion(x: 0..<62, y: 0..<72))
        #expect(single.regions[4] == SliceRegion(x: 0..<90, y: 0..<80))
        let without = try smoothCase(liver: 100...101)
        #expect(without.centres.isEmpty)
        #expect(try smoothCase(liver: 100...101, options: DataOptions(stage: .liver)).centres.count == 7)
    }

    /// HU beyond the window are kept for 100 HU, so that a shifted image is what a shifted scan would be.
    @Test func valuesAreClippedBeyondTheWindow() throws {
        let shape = Shape(9, 2, 2)
        let ct: Volume<Float> = volume(shape) { x, _, _ in [-1_024, -301, -300, -299.6, 0.4, 0.6, 299, 300, 3_071][x] }
        let item = try TrainingCase(
            name: "a", kind: .scan, ct: ct, mask: volume(shape) { _, _, _ in 1 }, options: DataOptions(), team: team)
        #expect(Array(item.ct.voxels[..<9]) == [-300, -300, -300, -300, 0, 1, 299, 300, 300])
        #expect(item.lowest == -300 && item.highest == 300)
    }

    @Test func casesAreResampled() throws {
        let options = DataOptions(spacing: SIMD3(2, 1.5, 1))
        let scan = try smoothCase(options: options)
        #expect(scan.ct.shape == Shape(31, 31, 14) && scan.ct.spacing == SIMD3(2, 1.5, 1))
        #expect(scan.labels.shape == scan.ct.shape && scan.centres == Array(0..<14))
        // Single slices are not mixed with one another.
        let single = try smoothCase(kind: .singleSlices, options: options)
        #expect(single.ct.shape == Shape(31, 31, 7) && single.ct.spacing == SIMD3(2, 1.5, 2))
    }

    @Test func phantomsAreMixedIn() throws {
        let options = DataOptions(stage: .lesion, window: -100...200, spacing: SIMD3(4, 4, 5), phantoms: 2)
        try withTemporaryFolder { folder in
            let data = try read(folder, options)
            #expect(data.cases.map(\.name) == ["phantom1000000", "phantom1000001"])
            #expect(data.cases.allSatisfy { $0.kind == .phantom && $0.ct.spacing == SIMD3(4, 4, 5) })
            #expect(data.cases.allSatisfy { $0.lowest == -200 && Set($0.labels.voxels).isSuperset(of: [0, 1]) })
            #expect(data.cases[0].ct.voxels != data.cases[1].ct.voxels)
        }
    }

    @Test func phantomsAreVaried() {
        let recipes = (0..<300).map { PhantomRecipe(seed: firstPhantomSeed + $0) }
        let spacings = recipes.map(\.options.spacing)
        for (axis, wanted) in [(0, 0.7...2.0), (2, 1.0...5.0)] {
            let values = spacings.map { $0[axis] }.sorted()
            #expect(values.allSatisfy(wanted.contains))
            #expect(values[0] < wanted.lowerBound * 1.1 && values[299] > wanted.upperBound * 0.9)
        }
        #expect(
            recipes.allSatisfy { (160...288).contains($0.options.shape.x) && (24...64).contains($0.options.shape.z) })
        #expect((30...90).contains(recipes.count { $0.options.lesions == 0 }))
        #expect((30...90).contains(recipes.count { ($0.options.lesions ?? 0) > 6 }))
        #expect((60...190).contains(recipes.count { $0.noise == 0 }) && recipes.contains { $0.noise > 18 })
    }

    /// Real files: two cases and both files of single slices, linked into a folder.
    @Test(.enabled(if: SharedData.file("data/train/lits005_ct.nii.gz") != nil, "needs ../shared/data/train"))
    func realFiles() throws {
        let source = try #require(SharedData.file("data/train"))
        try withTemporaryFolder { folder in
            for name in ["lits000", "lits005", "msd_slices", "negative_slices"] {
                for suffix in ["_ct.nii.gz", "_seg.nii.gz", ".json"] {
                    let file = source.appending(path: name + suffix)
                    guard FileManager.default.fileExists(atPath: file.path) else { continue }
                    try FileManager.default.createSymbolicLink(
                        at: folder.appending(path: name + suffix), withDestinationURL: file)
                }
            }
            let options = DataOptions(
                stage: .lesion, window: -40...160, validation: ["lits005"], singleSlices: ["negative_slices"],
                mergedLabels: ["msd_slices"])
            let data = try read(folder, options)
            #expect(data.skipped.isEmpty)
            #expect(data.cases.map(\.name) == ["lits000", "msd_slices", "negative_slices"])
            #expect(data.cases.map(\.kind) == [.scan, .singleSlices, .singleSlices])
            #expect(Set(data.cases[0].labels.voxels) == [0, 1, 2])
            #expect(Set(data.cases[1].labels.voxels) == [0, Batch.foreground])
            #expect(data.cases[2].labels.voxels.allSatisfy { $0 == 0 })
            #expect(data.cases[2].lowest == -40)
        }
    }
}

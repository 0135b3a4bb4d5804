import Foundation
import Imaging
import TestSupport
import Testing

@testable import Dicom

/// Which of several volumes is taken, what is told of the choice, and whose volumes they are.
@Suite struct ChoiceTests {
    private func series(
        _ number: Int, slices: Int = 12, _ change: (inout SyntheticSlice) -> Void = { _ in }
    ) -> [SyntheticSlice] {
        var template = SyntheticSlice()
        template.series = "1.2.3.4.\(number)"
        template.seriesNumber = number
        change(&template)
        return syntheticSeries(slices: slices, template: template)
    }

    /// Each has more slices than the series that should be taken.
    @Test(arguments: 0..<8)
    func theSeriesThatSuitsIsTakenWhateverItsLength(kind: Int) throws {
        let wanted = series(1) { $0.kernel = "B30f" }
        let other = series(2, slices: 24) { slice in
            switch kind {
            case 0: slice.kernel = "B70f"
            case 1: slice.kernel = "FC51"
            case 2: slice.kernel = "LUNG"
            case 3: slice.description = "Thorax LUNGE 1.0"
            case 4: slice.imageType = "DERIVED\\SECONDARY\\MIP"
            case 5: slice.imageType = "DERIVED\\PRIMARY\\AXIAL\\CT_SOM5 MPR"
            case 6: slice.description = "Abdomen MIP ax"
            default: slice.others = [(0x0028, 0x1054, "LO", "MGML")]
            }
        }
        let run = try ImportRun.of(other + wanted)
        #expect(run.taken?.seriesNumber == 1)
        #expect(run.finding("volume_chosen") == (kind == 7 ? nil : 1))
        let chosen = run.report.findings.first { $0.code == "volume_chosen" }
        #expect(kind == 7 || chosen?.severity == .info)
        #expect(run.report.volumes[1].refusal?.code == (kind == 7 ? "dicom_not_hu" : nil))
        // Asked for, it is taken all the same, unless it is no CT.
        let options = DicomOptions(series: "2")
        if kind == 7 {
            #expect(throws: DicomError.notHU) { try ImportRun.of(other + wanted, options: options) }
        } else {
            #expect(try ImportRun.of(other + wanted, options: options).taken?.slices == 24)
        }
    }

    @Test(arguments: [
        ("ORIGINAL\\PRIMARY\\AXIAL\\MAT_SPECIFIC", ""), ("DERIVED\\PRIMARY\\AXIAL\\EFF_ATOMIC_NUM", "HU"),
        ("ORIGINAL\\PRIMARY\\AXIAL", "PCT"), ("ORIGINAL\\PRIMARY\\AXIAL", "Z_EFF"),
    ])
    func whatIsNotHounsfieldUnitsIsRefused(type: String, unit: String) throws {
        let slices = series(1) { slice in
            slice.imageType = type
            if !unit.isEmpty { slice.others = [(0x0028, 0x1054, "LO", unit)] }
        }
        #expect(throws: DicomError.notHU) { try ImportRun.of(slices) }
    }

    @Test(arguments: ["", "HU", "US"])
    func unitsThatAreOrMayBeHounsfield(unit: String) throws {
        let slices = series(1) { $0.others = [(0x0028, 0x1054, "LO", unit)] }
        #expect(try ImportRun.of(slices).report.findings.isEmpty)
    }

    @Test func axialIsTakenBeforeCoronal() throws {
        let coronal = (0..<24).map { y in
            var slice = SyntheticSlice()
            (slice.series, slice.seriesNumber, slice.instance) = ("1.2.3.4.2", 2, "1.2.3.4.2.\(y)")
            slice.directions = [1, 0, 0, 0, 0, -1]
            slice.position.y += Double(y)
            slice.pixels = [Int](repeating: 1000, count: slice.rows * slice.columns)
            return slice
        }
        let run = try ImportRun.of(coronal + series(3))
        #expect(run.taken?.seriesNumber == 3 && run.report.volumes.map(\.plane) == [.coronal, .axial])
    }

    /// A choice by length alone is a guess, and a person should look at it.
    @Test func aGuessIsAWarning() throws {
        let run = try ImportRun.of(series(1) + series(2, slices: 14))
        let chosen = try #require(run.report.findings.first { $0.code == "volume_chosen" })
        #expect(run.taken?.seriesNumber == 2 && chosen.severity == .warning)
        #expect(chosen.message.contains("Volume 2 was taken of 2") && chosen.message.contains("fewer slices (1)"))
    }

    @Test(arguments: [
        ("B30f", KernelKind.soft), ("B70f", .sharp), ("Br40d\\3", .soft), ("Bl57f", .sharp), ("I31s\\2", .soft),
        ("FC08", .soft), ("FC52", .sharp), ("STANDARD", .soft), ("BONEPLUS", .sharp), ("B", .soft), ("L", .sharp),
        ("", .unknown),
        ("DETAIL", .unknown),
    ])
    func kernels(name: String, expected: KernelKind) { #expect(KernelKind(name, description: "ABDOMEN") == expected) }

    // MARK: Patients and studies

    /// The same series and places, end to end, of two of everything that says whose they are; UIDs need not be valid.
    @Test(arguments: 0..<5)
    func twoOwnersAreTwoVolumes(kind: Int) throws {
        let second = series(1) { slice in
            slice.position.z = 30
            slice.acquisition = 2
            switch kind {
            case 0: slice.study = "1.2.4"
            case 1: slice.patient = "OTHER^NAME"
            case 2: slice.others = [(0x0010, 0x0020, "LO", "OTHER")]
            case 3: slice.study = "NOT-A-UID"
            default: slice.series = "ABC"
            }
        }
        let first = series(1) { if kind == 3 { $0.study = "NO-UID" } else if kind == 4 { $0.series = "ABD" } }
        let run = try ImportRun.of((first + second).shuffled())
        #expect(run.report.volumes.map(\.slices) == [12, 12])
        #expect(run.report.volumes.map(\.study) == (kind == 4 ? [1, 1] : [1, 2]))
        #expect(run.report.volumes.map(\.patient) == ([1, 2].contains(kind) ? [1, 2] : [1, 1]))
        #expect(run.finding("several_studies") == ([0, 3].contains(kind) ? 2 : nil))
        #expect(run.finding("several_patients") == ([1, 2].contains(kind) ? 2 : nil))
        if kind == 0 {
            for study in ["2", "1.2.4"] {
                let other = try ImportRun.of(first + second, options: DicomOptions(study: study))
                #expect(other.report.volumes.map(\.taken) == [false, true])
            }
            #expect(throws: DicomError.studyNotFound(found: 2)) {
                try ImportRun.of(first + second, options: DicomOptions(study: "3"))
            }
        }
        let report = String(decoding: try JSONEncoder().encode(run.report), as: UTF8.self)
        #expect(!report.contains("OTHER") && !report.contains("UID") && !report.contains("ABC"))
    }

    // MARK: References

    /// What would be ambiguous or false in a DICOM mask is told, and no mask is made.
    @Test(arguments: 0..<4)
    func slicesThatCannotBeReferredTo(kind: Int) throws {
        var slices = series(1)
        for index in slices.indices {
            switch kind {
            case 0: slices[index].instance = "1.2.3.4.5"
            case 1: slices[index].instance = "1.2.3.4.\(max(index, 1))"
            case 2: slices[index].instance = ""
            default: slices[index].frameOfReference = "1.2.3.9.\(index)"
            }
        }
        try withTemporaryFolder { folder in
            let files = try write(slices, to: folder)
            let run = try ImportRun(files, in: folder, options: DicomOptions(includeUIDs: true))
            #expect(run.taken?.slices == 12 && run.finding("no_dicom_mask") == 1)
            let labels = LabelMap(
                header: run.scan.header,
                volume: Volume(shape: run.scan.volume.shape, spacing: run.scan.volume.spacing, filledWith: 1))
            let identity = SegmentationIdentity(name: "jobs/1", made: .now, version: "1", model: "m")
            #expect(throws: SegmentationObjectError.noSource) {
                try writeSegmentation(labels, on: run.report, as: identity, to: folder.appending(path: "seg.dcm"))
            }
        }
    }
}

import Compute
import Foundation
import TestSupport
import Testing

@testable import Dicom

/// What became of each file, as a sender is told.
@Suite struct SentInstanceTests {
    private func series(_ number: Int, slices: Int = 12, study: String = "1.2.3") -> [SyntheticSlice] {
        var template = SyntheticSlice()
        (template.series, template.seriesNumber, template.study) = ("1.2.3.4.\(number)", number, study)
        return syntheticSeries(slices: slices, template: template).enumerated().map { z, slice in
            var slice = slice
            slice.instance = "1.2.3.4.\(number).\(z)"
            return slice
        }
    }

    /// Fates by instance, and the error if there was one.
    private func fates(
        _ slices: [SyntheticSlice], junk: Bool = false, options: DicomOptions = DicomOptions()
    ) throws -> (fates: [String: SentInstance.Fate], told: Int, error: DicomError?) {
        try withTemporaryFolder { folder in
            var files = try write(slices, to: folder)
            if junk {
                files.append(folder.appending(path: "junk"))
                try Data("no DICOM".utf8).write(to: files[files.count - 1])
            }
            var told: [[SentInstance]] = []
            var error: DicomError?
            do throws(DicomError) {
                _ = try importDicom(
                    files, work: folder, output: folder.appending(path: "ct.nii"), options: options,
                    team: ThreadTeam(threads: 1), told: { told.append($0) })
            } catch let thrown {
                error = thrown
            }
            let all = try #require(told.first)
            #expect(all.count == files.count)
            return (Dictionary(all.map { ($0.instance, $0.fate) }, uniquingKeysWith: { a, _ in a }), told.count, error)
        }
    }

    @Test func eachFileHasAFate() throws {
        var localizer = series(3, slices: 1)[0]
        localizer.imageType = "ORIGINAL\\PRIMARY\\LOCALIZER"
        var report = series(4, slices: 1)[0]
        (report.modality, report.sopClass) = ("SR", "1.2.840.10008.5.1.4.1.1.88.11")
        // The same slice under another name is in the volume as well.
        var copy = series(1)[3]
        copy.instance = "1.2.3.4.1.99"
        let found = try fates(series(1) + series(2, slices: 11) + [localizer, report, copy], junk: true)
        #expect(found.error == nil && found.told == 1)
        for z in 0..<12 { #expect(found.fates["1.2.3.4.1.\(z)"] == .taken) }
        for z in 0..<11 { #expect(found.fates["1.2.3.4.2.\(z)"] == .otherVolume) }
        #expect(found.fates["1.2.3.4.3.0"] == .noSlice && found.fates["1.2.3.4.4.0"] == .otherKind)
        #expect(found.fates["1.2.3.4.1.99"] == .taken && found.fates[""] == .unreadable)
    }

    @Test func whatIsOfAnotherStudyIsSaidToBe() throws {
        let slices = series(1) + series(2, study: "1.2.99")
        let found = try fates(slices, options: DicomOptions(study: "1.2.99"))
        #expect(found.fates["1.2.3.4.2.5"] == .taken && found.fates["1.2.3.4.1.5"] == .otherStudy)
        let byNumber = try fates(slices, options: DicomOptions(study: "1"))
        #expect(byNumber.fates["1.2.3.4.1.5"] == .taken && byNumber.fates["1.2.3.4.2.5"] == .otherVolume)
    }

    /// Slices of another acquisition than the wanted one were never looked at.
    @Test func anotherAcquisitionIsNotTaken() throws {
        let slices = (1...2).flatMap { acquisition in
            series(1).map { slice in
                var slice = slice
                (slice.acquisition, slice.instance) = (acquisition, "\(slice.instance).\(acquisition)")
                return slice
            }
        }
        let found = try fates(slices, options: DicomOptions(acquisition: 2))
        #expect(found.fates["1.2.3.4.1.5.2"] == .taken && found.fates["1.2.3.4.1.5.1"] == .otherVolume)
    }

    @Test func aRefusedScanTellsAsWell() throws {
        let found = try fates(series(1).filter { $0.instance != "1.2.3.4.1.5" }, junk: true)
        #expect(found.error == .missingSlices(missing: 1, spacingMm: 2.5, largestGapMm: 5) && found.told == 1)
        #expect(found.fates["1.2.3.4.1.4"] == .otherVolume && found.fates[""] == .unreadable)
    }
}

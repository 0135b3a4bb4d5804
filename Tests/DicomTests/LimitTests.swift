import Foundation
import TestSupport
import Testing

@testable import Dicom

/// Inputs made to take long: what is spent grows with the files, not with their square.
@Suite struct LimitTests {
    /// Headers of slices that are in no file.
    private func headers(_ slices: [SyntheticSlice]) throws -> [SliceHeader] {
        try withTemporaryFolder { folder in
            try write(slices, to: folder).flatMap { file -> [SliceHeader] in
                guard case .slices(let slices) = try judge(file, limits: DicomLimits()) else { return [] }
                return slices
            }
        }
    }

    @Test func manySlicesAtOnePosition() throws {
        var slice = syntheticSeries(slices: 1)[0]
        let slices = (0..<200).map { index in
            slice.instance = "1.2.3.4.\(index)"
            return slice
        }
        let expected = DicomError.tooManyAtOnePosition(found: 200, limit: 128)
        #expect(throws: expected) { try ImportRun.of(slices) }
        #expect(expected.isLimit)
        // Refused before a voxel is read.
        let sorted = sortIntoStacks(try headers(slices), limits: DicomLimits()) { _ in
            Issue.record("a slice was read")
            return nil
        }
        #expect(sorted.stacks.count == 1)
    }

    /// A series with too many is left out, another one taken.
    @Test func otherSeriesAreStillTaken() throws {
        var template = SyntheticSlice()
        (template.series, template.seriesNumber) = ("1.2.3.5", 3)
        let many = (0..<129).map { index in
            template.instance = "1.2.3.5.\(index)"
            return template
        }
        let run = try ImportRun.of(syntheticSeries() + many)
        #expect(run.taken?.seriesNumber == 2)
        #expect(run.report.volumes[1].refusal?.code == "dicom_too_many_at_one_position")
    }

    /// Slices at one position are read once each, not once for each pair.
    @Test func eachSliceIsReadOnce() throws {
        let one = syntheticSeries(slices: 10)
        let slices = (0..<30).flatMap { copy in
            one.map { slice in
                var slice = slice
                slice.instance += ".\(copy)"
                return slice
            }
        }
        var reads = 0
        let sorted = sortIntoStacks(try headers(slices), limits: DicomLimits()) { _ in
            reads += 1
            return 1
        }
        #expect(reads == 300 && sorted.doubled == 290 && sorted.stacks.map(\.slices.count) == [10])
    }

    @Test func aReportListsSomeOfManyVolumes() throws {
        let strangers = (0..<250).map { index in
            var slice = SyntheticSlice()
            (slice.series, slice.seriesNumber, slice.study) = ("1.2.3.4.\(index)", 1, "1.2.3.\(index)")
            slice.pixels = [Int](repeating: 0, count: slice.rows * slice.columns)
            return slice
        }
        let run = try ImportRun.of(strangers + syntheticSeries())
        #expect(run.report.volumes.count == 201 && run.taken?.number == 251)
        #expect(run.finding("volumes_not_listed") == 51)
    }

    // MARK: Deflation

    /// A deflated file whose data set holds `zeros` more bytes than one sound slice.
    private func deflated(_ slice: SyntheticSlice, zeros: Int) throws -> [UInt8] {
        var claimed = slice
        claimed.claimedSyntax = "1.2.840.10008.1.2.1.99"
        let meta = claimed.bytes.count - claimed.dataSetBytes.count
        let entry = ZipBuilder.Entry(
            name: "0", bytes: claimed.dataSetBytes + [UInt8](repeating: 0, count: zeros), isDeflated: true)
        let zip = ZipBuilder(entries: [entry]).bytes
        // Behind the local header of 30 bytes and a name of one; before the directory.
        let length = zip[18..<22].reversed().reduce(0) { $0 << 8 | Int($1) }
        return Array(claimed.bytes[..<meta]) + zip[31..<(31 + length)]
    }

    @Test func deflatedFilesThatAreSound() throws {
        let files = try syntheticSeries().map { try deflated($0, zeros: 0) }
        try withTemporaryFolder { folder in
            let urls = try files.enumerated().map { index, bytes in
                let url = folder.appending(path: "\(index)")
                try Data(bytes).write(to: url)
                return url
            }
            let run = try ImportRun(urls, in: folder)
            #expect(run.taken?.transferSyntax == .deflated)
            #expect(try run.bytes == ImportRun.of(syntheticSeries()).bytes)
        }
    }

    /// One bomb, and many small ones that together are one.
    @Test(arguments: [(1, 24 << 20), (12, 3 << 20)])
    func deflatedBombs(count: Int, zeros: Int) throws {
        let files = try syntheticSeries().prefix(count).map { try deflated($0, zeros: zeros) }
        try withTemporaryFolder { folder in
            let urls = try files.enumerated().map { index, bytes in
                let url = folder.appending(path: "\(index)")
                try Data(bytes).write(to: url)
                return url
            }
            let expected = DicomError.deflatedBomb(limit: 100)
            #expect(throws: expected) { try ImportRun(urls, in: folder) }
            #expect(expected.isLimit)
        }
    }

    // MARK: Sentences

    @Test(arguments: [
        (DicomError.tooFewSlices(found: 1, needed: 10), "The volume has 1 slice;"),
        (.tooFewSlices(found: 2, needed: 10), "The volume has 2 slices;"),
        (.missingSlices(missing: 1, spacingMm: 2.5, largestGapMm: 5), "1 slice is missing:"),
        (.phasesNotSeparable(slices: 13, positions: 1), "13 slices at 1 position "),
        (.noCT(files: 1, leftOut: []), "The file is no slice of a CT."),
        (.multiFrame(frames: 1), "A file holds 1 frame "),
        (.unsupportedPixels(bits: 32, samples: 1), "A pixel has 1 sample of 32 bits."),
        (.badSpacing(millimetres: 0), "The spacing is 0 mm or not given."),
    ])
    func numbersInSentences(error: DicomError, beginning: String) {
        #expect(error.description.contains(beginning), "\(error)")
    }
}

import Foundation
import TestSupport
import Testing

@testable import Dicom

/// Files that break a rule of DICOM and that other readers take: their volume is that of the sound series.
@Suite struct AcceptedTests {
    /// Whether a series with a change in each slice, or in some, gives the sound series' volume.
    private func expectSame(
        _ changed: [SyntheticSlice], sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> ImportRun {
        let run = try ImportRun.of(changed)
        #expect(try run.bytes == ImportRun.of(syntheticSeries()).bytes, sourceLocation: sourceLocation)
        return run
    }

    private func series(_ change: (inout SyntheticSlice, Int) -> Void) -> [SyntheticSlice] {
        syntheticSeries().enumerated().map { index, slice in
            var slice = slice
            change(&slice, index)
            return slice
        }
    }

    /// Padding to a block of the disc, zeros or not, and an even or odd number of bytes.
    @Test(arguments: [1, 2, 7, 8, 100, 511, 512, 5000], [0, 0xFF, 0x20])
    func bytesAfterThePixels(count: Int, byte: Int) throws {
        _ = try expectSame(series { slice, _ in slice.trailer = [UInt8](repeating: UInt8(byte), count: count) })
    }

    @Test func pixelsThatBreakOffAreStillFound() throws {
        let files = series { _, _ in }
        try withTemporaryFolder { folder in
            let urls = try write(files, to: folder)
            try Data(files[4].bytes.dropLast(2)).write(to: urls[4])
            #expect(throws: DicomError.truncatedSlice) { try ImportRun(urls, in: folder) }
        }
    }

    /// No signature before the data set, which ends in padding or breaks off.
    @Test(arguments: [0, 512, -2])
    func noSignature(change: Int) throws {
        let slices = series { _, _ in }
        try withTemporaryFolder { folder in
            let urls = try slices.enumerated().map { index, slice in
                let url = folder.appending(path: "\(index)")
                let bytes = slice.dataSetBytes + [UInt8](repeating: 0, count: max(0, change))
                try Data(bytes.dropLast(max(0, -change))).write(to: url)
                return url
            }
            if change < 0 {
                #expect(throws: DicomError.truncatedSlice) { try ImportRun(urls, in: folder) }
            } else {
                #expect(try ImportRun(urls, in: folder).bytes == ImportRun.of(syntheticSeries()).bytes)
            }
        }
    }

    /// Each plain encoding under the name of each other one, and of deflation.
    @Test(
        arguments: ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"],
        ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"])
    func aPlainEncodingUnderAnotherName(syntax: String, claimed: String) throws {
        let run = try expectSame(
            series { slice, _ in
                slice.syntax = syntax
                slice.claimedSyntax = claimed
            })
        #expect(run.taken?.transferSyntax == TransferSyntax(uid: syntax))
    }

    @Test(arguments: ["1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"])
    func plainPixelsUnderTheNameOfACompression(claimed: String) throws {
        #expect(throws: DicomError.wrongSyntax) {
            try ImportRun.of(series { slice, _ in slice.claimedSyntax = claimed })
        }
    }

    /// Each codestream under the name of another one.
    @Test(
        arguments: ["jpeg_lossless", "jpeg_ls", "jpeg_2000_lossless"],
        ["1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"])
    func aCompressionUnderAnotherName(name: String, claimed: String) throws {
        let whole = try Data(contentsOf: SharedData.fixture("dicom/\(name).dcm"))
        let prefix = Data("1.2.840.10008.1.2.4.".utf8)
        let place = try #require(whole.range(of: prefix))
        let own = whole[place.lowerBound..<(place.lowerBound + 22)]
        var bytes = whole
        bytes.replaceSubrange(
            place.lowerBound..<(place.lowerBound + 22),
            with: Data(claimed.utf8) + Data(repeating: 0, count: 22 - claimed.utf8.count))
        guard own != Data(claimed.utf8) else { return }
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "slice.dcm")
            try bytes.write(to: file)
            #expect(throws: DicomError.wrongSyntax) { try decoded(file) }
        }
    }

    @Test(arguments: ["", nil])
    func noModalityButTheClassOfACT(modality: String?) throws {
        _ = try expectSame(series { slice, _ in slice.modality = modality })
        let strangers = series { slice, _ in
            slice.modality = modality
            slice.sopClass = "1.2.840.10008.5.1.4.1.1.128"
        }
        let expected = DicomError.noCT(files: 12, leftOut: [.init(reason: .notCT, files: 12)])
        #expect(throws: expected) { try ImportRun.of(strangers) }
    }

    @Test func aFrameOfReferenceForEachSlice() throws {
        let run = try expectSame(series { slice, index in slice.frameOfReference = "1.2.3.9.\(index)" })
        #expect(run.finding("frames_of_reference_differ") == 12)
    }

    /// Two frames of reference, each of a volume's length, are two places.
    @Test func twoFramesOfReferenceEndToEnd() throws {
        let slices = syntheticSeries(slices: 24).enumerated().map { z, slice in
            var slice = slice
            slice.frameOfReference += ".\(z / 12)"
            return slice
        }
        let run = try ImportRun.of(slices)
        #expect(run.report.volumes.map(\.slices) == [12, 12] && run.finding("part_of_series") == 12)
    }

    @Test(arguments: [true, false])
    func oneSeriesForEachSlice(hasNumbers: Bool) throws {
        let slices = series { slice, index in
            slice.series += ".\(index)"
            slice.seriesNumber = hasNumbers ? 100 + index : nil
        }
        let run = try expectSame(slices)
        #expect(run.report.volumes.count == 1 && run.finding("series_joined") == 12)
        // Not where they are of two studies, or would not make an even stack.
        let studies = slices.enumerated().map { index, slice in
            var slice = slice
            slice.study += ".\(index % 2)"
            return slice
        }
        #expect(throws: DicomError.tooFewSlices(found: 1, needed: 10)) { try ImportRun.of(studies) }
    }

    @Test(arguments: ["1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"])
    func enhancedImagesOfOneFrame(sopClass: String) throws {
        let files = syntheticSeries().map { slice in
            var file = slice
            file.sopClass = sopClass
            file.enhancedFrames = [slice]
            return file
        }
        let run = try expectSame(files.shuffled())
        #expect(run.report.files == 12 && run.taken?.slices == 12)
    }

    @Test func aTypeWrittenAsUnknown() throws {
        _ = try expectSame(series { slice, _ in slice.scalingType = "UN" })
    }

    /// A frame's codestream in several fragments.
    @Test(arguments: ["jpeg_lossless", "jpeg_extended", "jpeg_ls", "jpeg_ls_near_lossless", "jpeg_2000_lossless"])
    func severalFragments(name: String) throws {
        let whole = [UInt8](try Data(contentsOf: SharedData.fixture("dicom/\(name).dcm")))
        // The last item is the frame.
        let marker: [UInt8] = [0xFE, 0xFF, 0x00, 0xE0]
        let items = whole.indices.filter { whole[$0...].starts(with: marker) }
        let start = try #require(items.last)
        let length = whole[(start + 4)..<(start + 8)].reversed().reduce(0) { $0 << 8 | Int($1) }
        let stream = whole[(start + 8)..<(start + 8 + length)]
        func item(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
            marker + withUnsafeBytes(of: UInt32(bytes.count).littleEndian) { Array($0) } + bytes
        }
        // Fragments have even lengths.
        let cut = stream.startIndex + length / 4 * 2
        let split = whole[..<start] + item(stream[..<cut]) + item(stream[cut...]) + whole[(start + 8 + length)...]
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "slice.dcm")
            try Data(split).write(to: file)
            let fixture = SharedData.fixture("dicom/\(name).dcm")
            #expect(try decoded(file) == decoded(fixture))
        }
    }

    private func decoded(_ file: URL) throws -> [Int32]? {
        guard case .slices(let slices) = try judge(file, limits: DicomLimits()) else { return nil }
        return try slices.first?.decoded()
    }

    // MARK: Zips

    @Test(arguments: [
        [0x4D, 0x5A, 0x90, 0x00], [0x1F, 0x8B, 8, 0], [0x37, 0x7A, 0xBC, 0xAF], [0x52, 0x61, 0x72, 0x21],
    ])
    func archivesThatAreNotReadAreNamed(start: [UInt8]) throws {
        #expect(throws: DicomError.otherArchive) {
            try ImportRun.of([], with: ["archive": start + [UInt8](repeating: 0, count: 400)])
        }
        // Beside slices they are files like any other, as a viewer on a patient's disc is.
        let run = try ImportRun.of(syntheticSeries(), with: ["viewer": start])
        #expect(run.leftOut(.notDicom) == 1)
    }

    /// A patient's disc: slices, a viewer and a document, which are zips themselves.
    @Test func aDiscWithAViewer() throws {
        let inner = ZipBuilder(entries: [ZipBuilder.Entry(name: "META-INF/MANIFEST.MF", bytes: [1, 2, 3])]).bytes
        var entries = syntheticSeries().enumerated().map { ZipBuilder.Entry(name: "\($0)", bytes: $1.bytes) }
        entries += ["viewer.jar", "report.docx"].map { ZipBuilder.Entry(name: $0, bytes: inner) }
        try withTemporaryFolder { folder in
            let zip = folder.appending(path: "disc.zip")
            try Data(ZipBuilder(entries: entries).bytes).write(to: zip)
            let run = try ImportRun([zip], in: folder)
            #expect(run.taken?.slices == 12 && run.leftOut(.archive) == 2 && run.finding("archives_left_out") == 2)
            #expect(try run.bytes == ImportRun.of(syntheticSeries()).bytes)
        }
    }
}

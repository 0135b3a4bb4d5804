import Foundation
import TestSupport
import Testing

@testable import Dicom

/// What real archives hold beside one sound series.
@Suite struct TrapTests {
    @Test func strangersAreLeftOutAndCounted() throws {
        var localizer = syntheticSeries(slices: 1)[0]
        localizer.imageType = "ORIGINAL\\PRIMARY\\LOCALIZER"
        var pet = syntheticSeries(slices: 1)[0]
        pet.modality = "PT"
        var capture = syntheticSeries(slices: 1)[0]
        capture.sopClass = "1.2.840.10008.5.1.4.1.1.7"
        var directory = capture
        directory.sopClass = "1.2.840.10008.1.3.10"
        let run = try ImportRun.of(
            syntheticSeries() + [localizer, pet, capture, directory],
            with: [
                "readme.txt": Array("Scan of the abdomen, to be opened with the viewer on this disc.".utf8),
                "empty": [], "short": [8, 0], "damaged": Array(localizer.bytes.prefix(300)),
            ])
        #expect(run.report.files == 20 && run.taken?.slices == 12)
        let counts: [(LeftOutReason, Int)] = [
            (.localizer, 1), (.notCT, 1), (.secondaryCapture, 1), (.directory, 1), (.notDicom, 2), (.emptyFile, 1),
            (.damaged, 1),
        ]
        for (reason, count) in counts { #expect(run.leftOut(reason) == count, "\(reason)") }
        #expect(run.finding("damaged_files") == 2)
    }

    @Test func onlyStrangers() throws {
        let leftOut = [DicomReport.LeftOut(reason: .emptyFile, files: 1)]
        #expect(throws: DicomError.noCT(files: 1, leftOut: leftOut)) { try ImportRun.of([], with: ["empty": []]) }
    }

    @Test func missingSlice() throws {
        var slices = syntheticSeries(slices: 14)
        slices.remove(at: 6)
        let expected = DicomError.missingSlices(missing: 1, spacingMm: 2.5, largestGapMm: 5)
        #expect(throws: expected) { try ImportRun.of(slices) }
    }

    @Test func unevenSlices() throws {
        var slices = syntheticSeries()
        slices[5].position.z += 0.5
        #expect(throws: DicomError.unevenSlices(smallestMm: 2, largestMm: 3)) { try ImportRun.of(slices) }
    }

    @Test func placesRoundedByTheScannerAreEven() throws {
        var slices = syntheticSeries(step: SIMD3(0, 0, 0.625))
        for index in slices.indices { slices[index].position.z = (slices[index].position.z * 10).rounded() / 10 }
        #expect(try ImportRun.of(slices).taken?.slices == 12)
    }

    @Test func tooFewSlices() throws {
        #expect(throws: DicomError.tooFewSlices(found: 9, needed: 10)) { try ImportRun.of(syntheticSeries(slices: 9)) }
    }

    @Test func gantryTilt() throws {
        // The table moves along the patient, the slices lie 10 degrees off.
        var template = SyntheticSlice()
        template.directions = [1, 0, 0, 0, 0.984808, -0.173648]
        do {
            _ = try ImportRun.of(syntheticSeries(template: template))
            Issue.record("a tilted stack was accepted")
        } catch DicomError.gantryTilt(let degrees) {
            #expect(abs(degrees - 10) < 0.01)
        }
    }

    @Test func doubledSlice() throws {
        var copy = syntheticSeries()[4]
        let sameFile = copy
        copy.instance = "9.9"
        copy.instanceNumber = 90
        let run = try ImportRun.of(syntheticSeries() + [copy, sameFile])
        #expect(run.taken?.slices == 12 && run.finding("doubled_slices") == 2)
    }

    @Test func doubledPlaceWithOtherVoxels() throws {
        var copy = syntheticSeries()[4]
        copy.instance = "9.9"
        copy.pixels[0] = 7
        let expected = DicomError.phasesNotSeparable(slices: 13, positions: 12)
        #expect(throws: expected) { try ImportRun.of(syntheticSeries() + [copy]) }
    }

    @Test func severalFrames() throws {
        var slice = syntheticSeries(slices: 1)[0]
        slice.frames = 40
        #expect(throws: DicomError.multiFrame(frames: 40)) { try ImportRun.of([slice]) }
    }

    @Test func truncatedSlice() throws {
        let slices = syntheticSeries()
        try withTemporaryFolder { folder in
            let files = try write(slices, to: folder)
            try Data(slices[3].bytes.dropLast(100)).write(to: files[3])
            #expect(throws: DicomError.truncatedSlice) { try ImportRun(files, in: folder) }
        }
    }

    @Test func fewerPixelsThanRowsAndColumns() throws {
        var slices = syntheticSeries()
        for index in slices.indices { slices[index].rows = 600 }
        #expect(throws: DicomError.truncatedSlice) { try ImportRun.of(slices) }
    }

    @Test func unknownEncodingAndScaling() throws {
        var slices = syntheticSeries()
        slices[0].syntax = "1.2.840.10008.1.2.4.100"
        #expect(throws: DicomError.unsupportedSyntax) { try ImportRun.of(slices) }
        slices = syntheticSeries()
        slices[0].slope = 0
        #expect(throws: DicomError.badScaling) { try ImportRun.of(slices) }
        slices = syntheticSeries()
        slices[11].intercept = .nan
        #expect(throws: DicomError.badNumber(attribute: .intercept)) { try ImportRun.of(slices) }
        slices = syntheticSeries()
        for index in slices.indices { slices[index].spacing = (0, 0) }
        #expect(throws: DicomError.badSpacing(millimetres: 0)) { try ImportRun.of(slices) }
    }
}

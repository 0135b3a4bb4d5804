import Dicom
import Foundation
import Imaging
import Testing

/// Voxels, places and values of sound series.
@Suite struct VolumeTests {
    @Test func voxelsAndPlaces() throws {
        let run = try ImportRun.of(syntheticSeries().shuffled())
        #expect(run.scan.header.storedShape == Shape(16, 12, 12))
        for (x, y, z) in [(0, 0, 0), (15, 0, 3), (4, 11, 7), (15, 11, 11)] {
            #expect(run.hu(x, y, z) == Float(storedValue(x, y, z) - 1024))
        }
        // LPS (-10, -20, 0) is RAS (10, 20, 0); columns are 0.8 mm apart, rows 0.7.
        let expected = Affine(x: [-0.8, 0, 0], y: [0, -0.7, 0], z: [0, 0, 2.5], origin: [10, 20, 0])
        let found = run.scan.header.storedAffine
        for axis in 0..<3 { #expect(distance(found[axis], expected[axis]) < 1e-6) }
        #expect(distance(found.origin, expected.origin) < 1e-6)
        #expect(run.report.findings.isEmpty && run.report.leftOut.isEmpty && run.report.uids == nil)
        let taken = try #require(run.taken)
        #expect(
            taken.spacingMm == [0.8, 0.7, 2.5] && taken.slices == 12 && taken.transferSyntax == .explicitLittleEndian)
        // sform and qform of code 1, units of mm, no text.
        #expect(run.bytes[252] == 1 && run.bytes[254] == 1 && run.bytes[123] == 2)
        #expect(run.bytes[148..<252].allSatisfy { $0 == 0 })
    }

    @Test(arguments: ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
    func everyPlainEncodingIsTheSame(syntax: String) throws {
        var template = SyntheticSlice()
        template.syntax = syntax
        let run = try ImportRun.of(syntheticSeries(template: template))
        let plain = try ImportRun.of(syntheticSeries())
        #expect(run.bytes == plain.bytes)
    }

    /// Feet first, prone, coronal: whatever the directions, each voxel's HU lies where DICOM puts it.
    @Test(arguments: [
        [1, 0, 0, 0, 1, 0], [-1, 0, 0, 0, 1, 0], [-1, 0, 0, 0, -1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1],
        [0.984808, 0.173648, 0, -0.173648, 0.984808, 0], [1, 0, 0, 0, 0.866025, 0.5],
    ])
    func everyOrientation(directions: [Double]) throws {
        let u = SIMD3(directions[0], directions[1], directions[2])
        let v = SIMD3(directions[3], directions[4], directions[5])
        let normal = SIMD3(u.y * v.z - u.z * v.y, u.z * v.x - u.x * v.z, u.x * v.y - u.y * v.x)
        var template = SyntheticSlice()
        template.directions = directions
        // The last file is the lowest along the normal: the order of places decides, not that of files.
        let run = try ImportRun.of(syntheticSeries(step: normal * -2.5, template: template))
        let header = run.scan.header
        for (x, y, z) in [(0, 0, 0), (15, 0, 3), (4, 11, 7), (15, 11, 11)] {
            let lps = template.position + u * (0.8 * Double(x)) + v * (0.7 * Double(y)) - normal * (2.5 * Double(z))
            let ras = lps * SIMD3(-1, -1, 1)
            // Of all voxels the one at that place.
            let affine = header.patientAffine
            let offset = ras - affine.origin
            let index = (0..<3).map { axis in (offset * affine[axis]).sum() / (affine[axis] * affine[axis]).sum() }
            for value in index { #expect(abs(value - value.rounded()) < 1e-3) }
            let place = index.map { Int($0.rounded()) }
            #expect(run.hu(place[0], place[1], place[2]) == Float(storedValue(x, y, z) - 1024))
        }
    }

    @Test(arguments: [-2000, -3024])
    func paddingBecomesAir(padding: Int) throws {
        var template = SyntheticSlice()
        template.isSigned = true
        template.intercept = 0
        template.padding = padding
        var slices = syntheticSeries(template: template)
        slices[3].pixels[0] = padding
        slices[3].pixels[5] = padding
        // Below any measurement, though not declared as padding.
        slices[4].pixels[0] = -1500
        let run = try ImportRun.of(slices)
        #expect(run.hu(0, 0, 3) == -1024 && run.hu(5, 0, 3) == -1024 && run.hu(0, 0, 4) == -1024)
        #expect(run.hu(1, 0, 3) == Float(storedValue(1, 0, 3)))
        #expect(run.finding("padding_replaced") == 3)
    }

    @Test func paddingThatTissueMayHaveIsKept() throws {
        var template = SyntheticSlice()
        template.intercept = 0
        template.padding = storedValue(0, 0, 0)
        let run = try ImportRun.of(syntheticSeries(template: template))
        #expect(run.hu(0, 0, 0) == Float(storedValue(0, 0, 0)))
        #expect(run.finding("padding_kept") == 12)
    }

    @Test func slopeOfEachSlice() throws {
        var slices = syntheticSeries()
        slices[5].slope = 0.5
        slices[5].intercept = -500
        let run = try ImportRun.of(slices)
        #expect(run.hu(4, 2, 4) == Float(storedValue(4, 2, 4) - 1024))
        #expect(run.hu(4, 2, 5) == (Float(storedValue(4, 2, 5)) * 0.5 - 500).rounded())
        #expect(run.finding("hu_rounded") == 1)
    }

    @Test func bitsAboveTheStoredOnesAreCutOff() throws {
        var template = SyntheticSlice()
        template.bitsStored = 12
        template.isSigned = true
        template.intercept = 0
        var slices = syntheticSeries(template: template)
        slices[0].pixels[0] = 0xF000 | 5
        slices[0].pixels[1] = 0x0FFF
        let run = try ImportRun.of(slices)
        #expect(run.hu(0, 0, 0) == 5 && run.hu(1, 0, 0) == -1)
    }

    /// One file of many frames, in order and not, holds what as many files do.
    @Test(arguments: ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
    func enhancedImage(syntax: String) throws {
        var slices = syntheticSeries()
        slices[7].slope = 2
        var file = SyntheticSlice()
        file.syntax = syntax
        file.sopClass = "1.2.840.10008.5.1.4.1.1.2.1"
        file.enhancedFrames = slices.reversed()
        let run = try ImportRun.of([file])
        #expect(run.report.files == 1 && run.taken?.slices == 12)
        #expect(try run.bytes == ImportRun.of(slices).bytes)
    }

    @Test func uidsOnlyIfAskedFor() throws {
        let slices = syntheticSeries()
        let run = try ImportRun.of(slices.reversed(), options: DicomOptions(includeUIDs: true))
        let uids = try #require(run.report.uids)
        #expect(uids.study == "1.2.3" && uids.series == "1.2.3.4" && uids.frameOfReference == "1.2.3.9")
        #expect(uids.instances == slices.map(\.instance))
    }

    @Test func nothingNamesThePatient() throws {
        let run = try ImportRun.of(syntheticSeries())
        let report = String(decoding: try JSONEncoder().encode(run.report), as: UTF8.self)
        #expect(!report.contains("SECRET") && !report.contains("ABDOMEN") && !report.contains("1.2.3"))
        #expect(run.bytes.range(of: Data("SECRET".utf8)) == nil)
        #expect(report.contains("\"left_out\"") && report.contains("\"spacing_mm\""))
    }
}

private func distance(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> Double { ((a - b) * (a - b)).sum().squareRoot() }

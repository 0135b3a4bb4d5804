import Compute
import Foundation
import Imaging
import TestSupport
import Testing

@testable import Dicom

/// Segmentation objects of synthetic series, whose voxels tell their own column, row and slice: what comes out is held
/// against that, by the places that frames have, never by the NIfTI grid between.
@Suite struct SegmentationObjectTests {
    /// Rows' and columns' directions: the usual ones, each axis turned, axes exchanged, coronal, oblique.
    static let directions: [[Double]] = [
        [1, 0, 0, 0, 1, 0], [-1, 0, 0, 0, 1, 0], [1, 0, 0, 0, -1, 0], [0, 1, 0, -1, 0, 0], [1, 0, 0, 0, 0, -1],
        [0.8, 0.6, 0, -0.6, 0.8, 0],
    ]

    /// No axis can be turned or exchanged without another picture.
    static func label(_ x: Int, _ y: Int, _ z: Int) -> UInt8 {
        guard z > 1, x > 2, y > 1, x + 2 * y + z < 24 else { return 0 }
        return x > 6 && y < 6 && z > 4 ? 2 : 1
    }

    @Test(arguments: directions, [false, true])
    func framesLieWhereTheSlicesLie(directions: [Double], isReversed: Bool) throws {
        try withTemporaryFolder { folder in
            let slices = Self.series(directions, isReversed: isReversed)
            let made = try Made(slices, in: folder, label: Self.label)
            let object = try ReadObject(made.file)
            #expect(object.frames.count > 8)
            for segment in 1...2 {
                for (z, slice) in slices.enumerated() {
                    let expected = (0..<slice.rows).flatMap { y in
                        (0..<slice.columns).map { x in Self.label(x, y, z) >= segment }
                    }
                    let frames = object.frames.filter { $0.segment == segment && $0.lies(at: slice.position) }
                    #expect(frames.count == (expected.contains(true) ? 1 : 0), "slice \(z), segment \(segment)")
                    #expect(frames.allSatisfy { $0.voxels == expected }, "slice \(z), segment \(segment)")
                }
            }
            #expect(object.orientation == directions)
            #expect(object.spacing == [slices[0].spacing.row, slices[0].spacing.column])
            for slice in slices { #expect(object.names(slice.instance)) }
            #expect(object.names("1.2.3.9") && !object.names("SECRET"))
        }
    }

    @Test func aJobsObjectIsAlwaysTheSame() throws {
        try withTemporaryFolder { folder in
            let slices = Self.series(Self.directions[0])
            let made = try Made(slices, in: folder, label: Self.label)
            let first = try Data(contentsOf: made.file)
            try made.write(as: "jobs/1")
            #expect(try Data(contentsOf: made.file) == first)
            try made.write(as: "jobs/2")
            #expect(try ReadObject(made.file).instance != ReadObject(first).instance)
        }
    }

    /// A scan without a liver has an object too: one empty frame for each segment.
    @Test func nothingFoundIsAnObjectToo() throws {
        try withTemporaryFolder { folder in
            let made = try Made(Self.series(Self.directions[0]), in: folder) { _, _, _ in 0 }
            let object = try ReadObject(made.file)
            #expect(object.frames.map(\.segment) == [1, 2])
            #expect(object.frames.allSatisfy { !$0.voxels.contains(true) })
        }
    }

    @Test func framesOfAnEnhancedImageAreReferredToByNumber() throws {
        try withTemporaryFolder { folder in
            var image = SyntheticSlice()
            image.sopClass = "1.2.840.10008.5.1.4.1.1.2.1"
            image.enhancedFrames = Self.series(Self.directions[0])
            (image.columns, image.rows) = (15, 13)
            let made = try Made([image], in: folder, label: Self.label)
            #expect(made.report.uids?.slices?.map(\.frame) == (1...11).map { $0 })
            let object = try ReadObject(made.file)
            let places = Set(object.frames.map { $0.position[2] })
            #expect(places == Set((2..<11).map { Double($0) * 2.5 }))
            #expect(object.names(image.sopClass))
        }
    }

    @Test func whatCannotBeReferredToIsRefused() throws {
        try withTemporaryFolder { folder in
            let slices = Self.series(Self.directions[0])
            let made = try Made(slices, in: folder, label: Self.label)
            let silent = try ImportRun(write(slices, to: folder), in: folder)
            #expect(throws: SegmentationObjectError.noSource) {
                try writeSegmentation(made.labels, on: silent.report, as: made.identity("jobs/1"), to: made.file)
            }
            // The same series one slice further on.
            let moved = slices.map { slice in
                var slice = slice
                slice.position.z += 2.5
                return slice
            }
            let elsewhere = try ImportRun(
                write(moved, to: folder), in: folder, options: DicomOptions(includeUIDs: true))
            #expect(throws: SegmentationObjectError.otherGrid) {
                try writeSegmentation(made.labels, on: elsewhere.report, as: made.identity("jobs/1"), to: made.file)
            }
            #expect(throws: SegmentationObjectError.notWritten) {
                let nowhere = folder.appending(path: "absent/seg.dcm")
                try writeSegmentation(made.labels, on: made.report, as: made.identity("jobs/1"), to: nowhere)
            }
        }
    }

    @Test func thePatientIsTakenOverFromASlice() throws {
        try withTemporaryFolder { folder in
            let slices = Self.series(Self.directions[0])
            let made = try Made(slices, in: folder, label: Self.label)
            let before = try ReadObject(made.file)
            let named = folder.appending(path: "named.dcm")
            try takeOverPatient(into: made.file, from: folder.appending(path: "slice3"), to: named)
            let after = try ReadObject(named)
            #expect(after.names("SECRET^NAME") && !before.names("SECRET^NAME"))
            #expect(after.frames == before.frames && after.instance == before.instance)

            var bytes = slices[0].bytes
            let study = Array("1.2.3\0".utf8)
            let place = try #require(bytes.indices.first { bytes[$0...].starts(with: [0x20, 0, 0x0D, 0]) })
            #expect(Array(bytes[(place + 8)..<(place + 14)]) == study)
            bytes[place + 12] = UInt8(ascii: "7")
            let other = folder.appending(path: "other")
            try Data(bytes).write(to: other)
            #expect(throws: SegmentationObjectError.otherStudy) {
                try takeOverPatient(into: made.file, from: other, to: named)
            }
        }
    }

    /// 11 slices of 15 x 13, so that frames are no whole bytes; each voxel's stored value is its own.
    static func series(_ directions: [Double], isReversed: Bool = false) -> [SyntheticSlice] {
        let d = directions
        let normal = SIMD3(d[1] * d[5] - d[2] * d[4], d[2] * d[3] - d[0] * d[5], d[0] * d[4] - d[1] * d[3])
        var template = SyntheticSlice(directions: directions)
        (template.columns, template.rows) = (15, 13)
        return syntheticSeries(slices: 11, step: normal * (isReversed ? -2.5 : 2.5), template: template).enumerated()
            .map { z, slice in
                var slice = slice
                slice.pixels = (0..<13).flatMap { y in (0..<15).map { x in x + 16 * y + 256 * z } }
                return slice
            }
    }
}

/// An imported series, labels on its grid, and their object.
private struct Made {
    let report: DicomReport
    let labels: LabelMap
    let file: URL

    init(_ slices: [SyntheticSlice], in folder: URL, label: (Int, Int, Int) -> UInt8) throws {
        let run = try ImportRun(
            try DicomTests.write(slices, to: folder), in: folder, options: DicomOptions(includeUIDs: true))
        report = run.report
        let scan = run.scan.volume
        let voxels = scan.voxels.map { hu in
            let own = Int(hu) + 1024
            return label(own % 16, own / 16 % 16, own / 256)
        }
        labels = LabelMap(
            header: run.scan.header, volume: Volume(shape: scan.shape, spacing: scan.spacing, voxels: voxels))
        file = folder.appending(path: "seg.dcm")
        try write(as: "jobs/1")
    }

    func identity(_ name: String) -> SegmentationIdentity {
        SegmentationIdentity(
            name: name, made: Date(timeIntervalSince1970: 1_800_000_000), version: "0.1.0", model: "default")
    }

    func write(as name: String) throws {
        try writeSegmentation(labels, on: report, as: identity(name), to: file)
    }
}

/// An object's frames, its pixels taken from the end of the file: bits, the lowest first (PS3.5 section 8.2).
private struct ReadObject {
    struct Frame: Equatable {
        let segment: Int
        let position: [Double]
        let voxels: [Bool]

        func lies(at place: SIMD3<Double>) -> Bool {
            zip(position, [place.x, place.y, place.z]).allSatisfy { abs($0 - $1) < 1e-4 }
        }
    }

    let instance: String
    let orientation, spacing: [Double]
    let frames: [Frame]
    private let bytes: Data

    init(_ file: URL) throws {
        bytes = try Data(contentsOf: file)
        let header = try DicomFile(reading: file.path)
        instance = header.text(.sopInstance)
        orientation = header.numbers(.orientation, in: .planeOrientation, frame: 0)
        spacing = header.numbers(.pixelSpacing, in: .pixelMeasures, frame: 0)
        let count = header.integer(.frames) ?? 0
        let area = (header.integer(.rows) ?? 0) * (header.integer(.columns) ?? 0)
        let packed = (count * area + 15) / 16 * 2
        let pixels = [UInt8](bytes.suffix(packed))
        var frames: [Frame] = []
        for frame in 0..<count {
            let membership = header.numbers(
                DicomTag(0x0062, 0x000B), in: DicomTag(0x0062, 0x000A), frame: frame, limit: 1)
            let bits = (frame * area)..<((frame + 1) * area)
            frames.append(
                Frame(
                    segment: Int(membership.first ?? 0),
                    position: header.numbers(.position, in: .planePosition, frame: frame, limit: 3),
                    voxels: bits.map { pixels[$0 / 8] >> ($0 % 8) & 1 == 1 }))
        }
        self.frames = frames
    }

    init(_ data: Data) throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "hepar-seg-\(UUID().uuidString)")
        try data.write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        try self.init(file)
    }

    /// Whether the file has this text.
    func names(_ text: String) -> Bool { bytes.range(of: Data(text.utf8)) != nil }
}

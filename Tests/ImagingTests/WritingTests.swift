import Compute
import Foundation
import TestSupport
import Testing

@testable import Imaging

@Suite struct WritingTests {
    /// A header with everything that must be kept and much that must not.
    static func builder(version: Int, isBigEndian: Bool) -> NIfTIBuilder {
        var file = NIfTIBuilder()
        (file.version, file.isBigEndian, file.type) = (version, isBigEndian, .float32)
        file.dim = [4, 4, 3, 2, 1, 1, 1, 1]
        (file.slope, file.intercept) = (2, -5)
        (file.qformCode, file.sformCode, file.units) = (3, 2, 10)
        file.pixdim[4...7] = [7, 8, 9, 10]
        file.descrip = "DOE^JOHN"
        file.extender = [1, 0, 0, 0, 16, 0, 0, 0, 6, 0, 0, 0] + Array("DOE^JOHN".utf8)
        return file
    }

    @Test(arguments: [(1, false), (1, true), (2, false), (2, true)], ["mask.nii", "mask.nii.gz", "mask.NII.GZ"])
    func geometryIsTheInputsByteForByte(form: (version: Int, isBigEndian: Bool), name: String) throws {
        let file = Self.builder(version: form.version, isBigEndian: form.isBigEndian)
        try withTemporaryFolder { folder in
            let header = try readCT(at: file.write(to: folder), team: .one).header
            var labels = Volume<UInt8>(shape: header.shape, spacing: header.spacing, filledWith: 0)
            labels[1, 2, 1] = 2
            let url = folder.appending(path: name)
            try writeLabels(labels, like: header, to: url, team: ThreadTeam(threads: 2))

            let written = try contents(of: url)
            let size = file.headerSize
            #expect(written.count == size + 4 + 24)
            // sizeof_hdr and magic; dim; pixdim; units; codes, quaternion and offsets, sform.
            let kept =
                form.version == 1
                ? [0..<4, 344..<348, 40..<56, 76..<108, 123..<124, 252..<328]
                : [0..<12, 16..<80, 104..<168, 344..<496, 500..<504]
            for range in kept { #expect(written[range] == file.header[range], "bytes \(range)") }
            #expect(Array(written[size..<size + 4]) == [0, 0, 0, 0])
            #expect(!String(decoding: written, as: UTF8.self).contains("DOE"))
            let text =
                form.version == 1 ? [4..<38, 124..<132, 148..<252, 328..<344] : [192..<208, 240..<344, 508..<524]
            for range in text { #expect(written[range].allSatisfy { $0 == 0 }, "bytes \(range)") }

            let back = try readLabels(at: url, team: .one)
            #expect(back.volume.voxels == labels.voxels)
            #expect((back.header.voxelType, back.header.slope, back.header.intercept) == (.uint8, 1, 0))
            #expect(back.header.gridDifference(from: header) == nil)
            #expect(back.header.storedAffine == header.storedAffine)
            let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            #expect(names == [name, "scan.nii"].sorted(), "nothing else is left")
        }
    }

    @Test func theBytesDoNotDependOnTheThreads() throws {
        // Large enough for several blocks a thread, and for a last block that is not full.
        var random = SplitMix64(seed: 3)
        let header = NIfTIHeader(
            shape: Shape(301, 257, 67), affine: Affine(diagonal: SIMD3(1, -1, 2)), voxelType: .int16)
        let hu = Volume(
            shape: header.shape, spacing: header.spacing,
            voxels: (0..<header.shape.count).map { _ in Int16(truncatingIfNeeded: random.next() & 1023) })
        try withTemporaryFolder { folder in
            var files: [Data] = []
            for threads in [1, 2, 3] {
                let url = folder.appending(path: "\(threads).nii.gz")
                try writeCT(hu, header: header, to: url, team: ThreadTeam(threads: threads))
                files.append(try Data(contentsOf: url))
            }
            #expect(files[0] == files[1] && files[1] == files[2])
            let url = folder.appending(path: "1.nii.gz")
            #expect(try contents(of: url).count == header.fileSize)
            let back = try readCT(at: url, team: ThreadTeam(threads: 2))
            #expect(back.volume.voxels == hu.voxels.map { Float($0) })
        }
    }

    @Test(arguments: [1, 2]) func houndsfieldUnitsAreStoredAsTheHeaderSays(version: Int) throws {
        let affine = Affine(x: SIMD3(0, 2, 0), y: SIMD3(-1, 0, 0), z: SIMD3(0, 0, -3), origin: SIMD3(5, 6, 7))
        let header = NIfTIHeader(
            shape: Shape(3, 2, 2), affine: affine, voxelType: .int16, slope: 2, intercept: -1024, version: version)
        let values: [Int16] = [-1024, -1000, 0, 40, 100, 3000, -200, 60, 62, 64, 66, 68]
        let hu = Volume(shape: header.shape, spacing: header.spacing, voxels: values)
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "ct.nii")
            try writeCT(hu, header: header, to: url, team: .one)
            let scan = try readCT(at: url, team: .one)
            #expect(scan.volume.voxels == values.map { Float($0) })
            #expect(scan.header == header)
        }
    }

    @Test func anExistingFileIsReplacedOnlyByAWholeOne() throws {
        let header = NIfTIHeader(shape: Shape(2, 2, 2), affine: Affine(diagonal: SIMD3(1, 1, 1)), voxelType: .uint8)
        let labels = Volume<UInt8>(shape: header.shape, spacing: header.spacing, filledWith: 1)
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "mask.nii")
            try Data("old".utf8).write(to: url)
            try writeLabels(labels, like: header, to: url, team: .one)
            #expect(try Data(contentsOf: url).count == 360)

            // A folder cannot be replaced by a file: the rename fails after everything else went well.
            let folderName = folder.appending(path: "taken.nii.gz")
            try FileManager.default.createDirectory(at: folderName, withIntermediateDirectories: false)
            let error = failure { () throws(VolumeError) in
                try writeLabels(labels, like: header, to: folderName, team: .one)
            }
            #expect(error?.code == "write_failed")
            #expect(error?.isUsersFault == false)
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == [
                    "mask.nii", "taken.nii.gz",
                ])
        }
    }

    @Test func aFullDiskIsToldApart() throws {
        let file = OutputFile(descriptor: open("/dev/full", O_WRONLY))
        #expect(failure { () throws(VolumeError) in try file.write([1, 2, 3]) } == .diskFull)
        #expect(!VolumeError.diskFull.isUsersFault)
        let closed = OutputFile(descriptor: -1)
        #expect(failure { () throws(VolumeError) in try closed.write([1]) }?.code == "write_failed")
    }

    @Test(arguments: [false, true]) func whatWasWrittenIsReadAgainAndCompared(isCompressed: Bool) throws {
        let header = NIfTIHeader(shape: Shape(9, 8, 7), affine: Affine(diagonal: SIMD3(1, 1, 1)), voxelType: .uint8)
        var labels = Volume<UInt8>(shape: header.shape, spacing: header.spacing, filledWith: 1)
        try withTemporaryFolder { folder in
            let url = folder.appending(path: isCompressed ? "mask.nii.gz" : "mask.nii")
            try writeLabels(labels, like: header, to: url, team: .one)
            func compare(_ expected: NIfTIHeader) -> VolumeError? {
                labels.voxels.withUnsafeBufferPointer { voxels in
                    failure { () throws(VolumeError) in
                        try verify(
                            StoredRows(voxels: voxels, header: expected), header: expected, at: url.path,
                            isCompressed: isCompressed, team: .one)
                    }
                }
            }
            #expect(compare(header) == nil)
            let moved = NIfTIHeader(
                shape: header.shape,
                affine: Affine(x: SIMD3(1, 0, 0), y: SIMD3(0, 1, 0), z: SIMD3(0, 0, 1), origin: SIMD3(0, 0, 9)),
                voxelType: .uint8)
            #expect(compare(moved) == .verificationFailed(about: "map to the patient"))
            labels.voxels[300] = 2
            #expect(compare(header) == .verificationFailed(about: "voxels"))
        }
    }

    @Test func namesThatAreNoNIfTI() throws {
        let header = NIfTIHeader(shape: Shape(2, 2, 2), affine: Affine(diagonal: SIMD3(1, 1, 1)), voxelType: .uint8)
        let labels = Volume<UInt8>(shape: header.shape, spacing: header.spacing, filledWith: 1)
        try withTemporaryFolder { folder in
            for name in ["mask", "mask.gz", "mask.nrrd", "mask.nii.bz2"] {
                let error = failure { () throws(VolumeError) in
                    try writeLabels(labels, like: header, to: folder.appending(path: name), team: .one)
                }
                #expect(error == .badOutputName)
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(left.isEmpty)
        }
    }
}

extension Affine {
    /// Steps along x, y and z of the patient.
    init(diagonal: SIMD3<Double>) {
        self.init(
            x: SIMD3(diagonal.x, 0, 0), y: SIMD3(0, diagonal.y, 0), z: SIMD3(0, 0, diagonal.z), origin: .zero)
    }
}

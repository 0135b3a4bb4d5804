import Compute
import Foundation
import TestSupport
import Testing

@testable import Imaging

/// A header with one fault, the code that it must get, and a piece of the sentence that the user reads.
struct BadHeader: CustomTestStringConvertible, Sendable {
    var name, code, says: String
    var change: @Sendable (inout NIfTIBuilder) -> Void

    var testDescription: String { name }

    static let all = [
        BadHeader(name: "no axes", code: "bad_dimensions", says: "(0)") { $0.dim[0] = 0 },
        BadHeader(name: "8 axes", code: "bad_dimensions", says: "(8)") { $0.dim[0] = 8 },
        BadHeader(name: "no voxels", code: "bad_dimensions", says: "4 x 0 x 2") { $0.dim[2] = 0 },
        BadHeader(name: "negative", code: "bad_dimensions", says: "4 x -3 x 2") { $0.dim[2] = -3 },
        BadHeader(name: "flat", code: "too_few_slices", says: "4 x 3 voxels") { $0.dim[0] = 2 },
        BadHeader(name: "one slice", code: "too_few_slices", says: "4 x 3 x 1 voxels") { $0.dim[3] = 1 },
        BadHeader(name: "one column", code: "too_few_slices", says: "1 x 3 x 2 voxels") { $0.dim[1] = 1 },
        BadHeader(name: "4-D", code: "four_dimensional", says: "4 x 3 x 2 x 7") { $0.dim[0...4] = [4, 4, 3, 2, 7] },
        BadHeader(name: "5-D", code: "four_dimensional", says: "4 x 3 x 2 x 1 x 3") {
            $0.dim[0...5] = [5, 4, 3, 2, 1, 3]
        },
        BadHeader(name: "huge", code: "too_large", says: "32767 x 32767 x 32767 voxels; at most 600000000") {
            $0.dim[1...3] = [32767, 32767, 32767]
        },
        BadHeader(name: "overflow", code: "too_large", says: "4611686018427387904 x 4611686018427387904 x 16") {
            $0.version = 2
            $0.dim[1...3] = [1 << 62, 1 << 62, 16]
        },
        BadHeader(name: "overflow to a small number", code: "too_large", says: "4294967296 x 4294967296 x 2") {
            $0.version = 2
            $0.dim[1...3] = [1 << 32, 1 << 32, 2]
        },
        BadHeader(name: "heavy", code: "too_many_bytes", says: "4800000352 bytes") {
            $0.type = .float64
            $0.dim[1...3] = [20_000, 30_000, 2]
            $0.dim[1...3] = [30_000, 10_000, 2]
        },
        BadHeader(name: "bits", code: "bitpix_mismatch", says: "8 bits a voxel where its datatype has 16") {
            $0.bitpix = 8
        },
        BadHeader(name: "voxels in the header", code: "bad_voxel_offset", says: "from 348 to") { $0.voxelOffset = 340 },
        BadHeader(name: "voxels at 0", code: "bad_voxel_offset", says: "byte 0") { $0.voxelOffset = 0 },
        BadHeader(name: "voxels before the file", code: "bad_voxel_offset", says: "byte -352") {
            $0.voxelOffset = -352
        },
        BadHeader(name: "voxels far off", code: "bad_voxel_offset", says: "67108864") { $0.voxelOffset = 1e9 },
        BadHeader(name: "voxels between bytes", code: "bad_voxel_offset", says: "352.5") { $0.voxelOffset = 352.5 },
        BadHeader(name: "voxels nowhere", code: "bad_voxel_offset", says: "not a number") { $0.voxelOffset = .nan },
        BadHeader(name: "NaN spacing", code: "spacing_out_of_range", says: "axis 3 is not a number mm") {
            ($0.sformCode, $0.pixdim[3]) = (0, .nan)
        },
        BadHeader(name: "infinite spacing", code: "spacing_out_of_range", says: "infinity") {
            ($0.sformCode, $0.pixdim[1]) = (0, .infinity)
        },
        BadHeader(name: "no spacing", code: "spacing_out_of_range", says: "axis 1 is 0 mm") {
            ($0.sformCode, $0.pixdim[1]) = (0, 0)
        },
        BadHeader(name: "negative spacing", code: "spacing_out_of_range", says: "-0.7 mm") {
            ($0.sformCode, $0.qformCode, $0.pixdim[2]) = (0, 1, -0.7)
        },
        BadHeader(name: "coarse", code: "spacing_out_of_range", says: "axis 2 is 21 mm") {
            ($0.sformCode, $0.pixdim[2]) = (0, 21)
        },
        BadHeader(name: "fine sform", code: "spacing_out_of_range", says: "axis 3 is 0.05 mm") {
            $0.srows[2][2] = 0.05
        },
        BadHeader(name: "NaN sform", code: "affine_not_finite", says: "sform") { $0.srows[1][3] = .nan },
        BadHeader(name: "NaN qform", code: "affine_not_finite", says: "qform") {
            ($0.sformCode, $0.qformCode) = (0, 1)
            $0.quaternion[1] = .nan
        },
        BadHeader(name: "flat sform", code: "singular_affine", says: "sform is singular") {
            $0.srows[2] = $0.srows[1]
        },
        BadHeader(name: "empty sform", code: "singular_affine", says: "sform is singular") {
            $0.srows = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
        },
        BadHeader(name: "long quaternion", code: "singular_affine", says: "qform") {
            ($0.sformCode, $0.qformCode) = (0, 1)
            $0.quaternion[0...2] = [1, 1, 1]
        },
        BadHeader(name: "metres", code: "units_not_millimetres", says: "in metres") { $0.units = 1 },
        BadHeader(name: "micrometres", code: "units_not_millimetres", says: "in micrometres") { $0.units = 3 },
        BadHeader(name: "infinite slope", code: "bad_scaling", says: "by -infinity") { $0.slope = -.infinity },
        BadHeader(name: "infinite intercept", code: "bad_scaling", says: "infinity") { $0.intercept = .infinity },
    ]
}

@Suite struct BadInputTests {
    @Test(arguments: BadHeader.all) func badHeaders(bad: BadHeader) throws {
        for isBigEndian in [false, true] {
            var file = NIfTIBuilder()
            file.isBigEndian = isBigEndian
            bad.change(&file)
            let error = failure { () throws(VolumeError) in _ = try NIfTIHeader(parsing: file.header) }
            #expect(error?.code == bad.code)
            #expect(error?.isUsersFault == true)
            let text = error.map { "\($0)" } ?? ""
            #expect(text.contains(bad.says), "\(text)")
            #expect(text.hasSuffix(".") && !text.contains("  "), "\(text)")
        }
    }

    @Test(arguments: [1, 128, 32, 1792, 1536, 2048, 2304, 0, -1, 5])
    func datatypesThatAreNotOneRealNumber(code: Int) {
        var header = NIfTIBuilder().header
        withUnsafeBytes(of: Int16(code).littleEndian) { header.replaceSubrange(70..<72, with: $0) }
        #expect(
            failure { () throws(VolumeError) in _ = try NIfTIHeader(parsing: header) }
                == .unsupportedDatatype(code: code))
    }

    @Test func whatIsNoNIfTI() throws {
        var dicom = [UInt8](repeating: 0, count: 400)
        dicom.replaceSubrange(128..<132, with: Array("DICM".utf8))
        var magic = NIfTIBuilder().header
        magic[345] = UInt8(ascii: "x")
        var analyze = NIfTIBuilder().header
        analyze.replaceSubrange(344..<348, with: [0, 0, 0, 0])
        var two = NIfTIBuilder()
        two.version = 2
        var mangled = two.header
        mangled[8] = UInt8(ascii: "\n")  // what a text-mode transfer does
        var tar = [UInt8](repeating: 0, count: 1024)
        tar.replaceSubrange(257..<262, with: Array("ustar".utf8))
        let cases: [([UInt8], String)] = [
            ([], "shorter"), ([1, 2], "shorter"), (Array(NIfTIBuilder().header[..<200]), "shorter"),
            (Array(two.header[..<400]), "shorter"), (dicom, "DICOM"), (Array("PK\u{3}\u{4} zip".utf8), "zip"),
            (Array("<html>".utf8), "text"), (Array(repeating: 7, count: 600), "first bytes"), (magic, "magic"),
            (analyze, "Analyze"), (mangled, "magic"), (Array("MZ\u{3}\0 PE".utf8), "self-extracting zip"),
            ([0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10], "PNG"), (Array("%PDF-1.7".utf8), "PDF"), (tar, "tar archive"),
            (Array("Rar!\u{1A}".utf8), "RAR"),
        ]
        try withTemporaryFolder { folder in
            for (bytes, found) in cases {
                let url = try save(bytes, to: folder, as: "x.nii")
                let error = failure { () throws(VolumeError) in _ = try inspectScan(at: url) }
                #expect(error?.code == "not_nifti")
                #expect("\(error.map(\.description) ?? "")".contains(found))
                #expect(failure { () throws(VolumeError) in _ = try readCT(at: url, team: .one) } == error)
            }
        }
        var pair = NIfTIBuilder().header
        pair[345] = UInt8(ascii: "i")
        pair[344] = UInt8(ascii: "n")
        #expect(failure { () throws(VolumeError) in _ = try NIfTIHeader(parsing: pair) } == .headerPair)
    }

    @Test func truncatedFiles() throws {
        try withTemporaryFolder { folder in
            var builder = NIfTIBuilder()
            builder.dim[1...3] = [40, 30, 20]
            let file = builder.file
            for length in [352, 353, 5000, file.count - 1] {
                let url = try save(Array(file[..<length]), to: folder, as: "cut.nii")
                let expected = VolumeError.truncated(expected: file.count, found: length)
                #expect(failure { () throws(VolumeError) in _ = try inspectScan(at: url) } == expected)
                #expect(failure { () throws(VolumeError) in _ = try readCT(at: url, team: .one) }?.code == "truncated")
            }
            let whole = try Data(contentsOf: builder.write(to: folder, as: "whole.nii.gz"))
            for length in [10, 100, whole.count / 2, whole.count - 9, whole.count - 1] {
                let url = folder.appending(path: "cut.nii.gz")
                try whole.prefix(length).write(to: url)
                let inspected = failure { () throws(VolumeError) in _ = try inspectScan(at: url) }
                #expect(inspected?.code == "truncated", "\(length)")
                let read = failure { () throws(VolumeError) in _ = try readCT(at: url, team: .one) }
                // Near the end all voxels are there; only the checksum is missing.
                if length <= whole.count / 2 { #expect(read?.code == "truncated", "\(length)") }
                // Where all voxels are there, the sentence does not say that bytes are missing.
                let text = inspected.map(\.description) ?? ""
                #expect(text.contains(length >= whole.count - 9 ? "checksum" : "bytes of"), "\(text)")
            }
        }
    }

    /// An archive, or a second gzip, inside gzip is named by what it is.
    @Test func whatIsInsideGzip() throws {
        try withTemporaryFolder { folder in
            let inner = try Data(contentsOf: NIfTIBuilder().write(to: folder, as: "inner.nii.gz"))
            var tar = [UInt8](repeating: 0, count: 1024)
            tar.replaceSubrange(257..<262, with: Array("ustar".utf8))
            for (bytes, found) in [(Array(inner), "compressed by gzip twice"), (tar, "a tar archive")] {
                let url = try save(bytes, to: folder, as: "outer.nii.gz", compressed: true)
                let error = failure { () throws(VolumeError) in _ = try inspectScan(at: url) }
                #expect(error?.code == "not_nifti" && error?.description.contains(found) == true)
                #expect(error?.description.contains("import-dicom") == false)
            }
        }
    }

    @Test func damagedCompression() throws {
        try withTemporaryFolder { folder in
            var builder = NIfTIBuilder()
            builder.dim[1...3] = [40, 30, 20]
            let whole = try Data(contentsOf: builder.write(to: folder, as: "whole.nii.gz"))
            for place in [whole.count - 6, whole.count - 2, whole.count / 2] {
                var bytes = Array(whole)
                bytes[place] ^= 0x55
                let url = try save(bytes, to: folder, as: "damaged.nii.gz")
                let codes = [
                    failure { () throws(VolumeError) in _ = try inspectScan(at: url) }?.code,
                    failure { () throws(VolumeError) in _ = try readCT(at: url, team: .one) }?.code,
                ]
                for code in codes { #expect(["damaged_gzip", "truncated"].contains(code), "\(place)") }
            }
        }
    }

    @Test func aSmallFileThatInflatesPastItsHeader() throws {
        try withTemporaryFolder { folder in
            // 64 MiB of zeros behind a volume of 24 voxels: about 64 KiB on disk.
            let bomb = NIfTIBuilder().file + [UInt8](repeating: 0, count: 64 << 20)
            let url = try save(bomb, to: folder, as: "bomb.nii.gz", compressed: true)
            #expect(
                failure { () throws(VolumeError) in _ = try inspectScan(at: url) } == .longerThanDeclared(expected: 400)
            )
            // A header that owns up to its size is held against the limits.
            var honest = NIfTIBuilder()
            honest.dim[1...3] = [1000, 1000, 40]
            let limits = VolumeLimits(voxels: 600_000_000, inflatedBytes: 64 << 20)
            let header = try save(honest.header, to: folder, as: "honest.nii.gz", compressed: true)
            #expect(
                failure { () throws(VolumeError) in _ = try inspectScan(at: header, limits: limits) }
                    == .tooManyBytes(found: 80_000_352, limit: 64 << 20))
            #expect(
                failure { () throws(VolumeError) in
                    _ = try inspectScan(at: header, limits: VolumeLimits(voxels: 39_999_999))
                } == .tooLarge(found: [1000, 1000, 40], limit: 39_999_999))
        }
    }

    /// Nothing is inflated: behind the header there is nothing.
    @Test func aScanThatWouldInflateTooFarIsRefusedByItsHeader() throws {
        try withTemporaryFolder { folder in
            var bomb = NIfTIBuilder()
            bomb.dim[1...3] = [1000, 1000, 500]
            let url = try save(bomb.header, to: folder, as: "bomb.nii.gz", compressed: true)
            let error = failure { () throws(VolumeError) in _ = try inspectScan(at: url) }
            guard case .inflatesTooFar(let ratio, 400)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(ratio > 1_000_000)
            // As a mask, or where a limit allows it, it is what it is: cut off.
            let all = VolumeLimits(inflationRatio: .max)
            #expect(failure { () throws(VolumeError) in _ = try inspectMask(at: url) }?.code == "truncated")
            #expect(
                failure { () throws(VolumeError) in _ = try inspectScan(at: url, limits: all) }?.code == "truncated")
            // A reference on another grid is refused before its voxels, too.
            let image = try NIfTIHeader(parsing: NIfTIBuilder().header)
            #expect(
                failure { () throws(VolumeError) in _ = try inspectMask(at: url, on: image) }?.code == "grid_mismatch")
        }
    }

    /// 96 MiB of which all but one organ is painted over, and an empty mask as large: both compress by hundreds.
    @Test func whatCompressesWellIsAccepted() throws {
        try withTemporaryFolder { folder in
            var file = NIfTIBuilder()
            file.dim[1...3] = [256, 256, 768]
            var random = SplitMix64(seed: 5)
            var bytes = file.header + file.extender
            let slice = [UInt8](repeating: 0, count: 2 * 256 * 256)
            for z in 0..<768 {
                var painted = slice
                if (300..<400).contains(z) {
                    for y in 100..<140 {
                        for x in 100..<150 { painted[2 * (256 * y + x)] = UInt8(truncatingIfNeeded: random.next()) }
                    }
                }
                bytes += painted
            }
            let scan = try save(bytes, to: folder, as: "painted.nii.gz", compressed: true)
            let stored = try #require(try scan.resourceValues(forKeys: [.fileSizeKey]).fileSize)
            #expect((100...400).contains(bytes.count / stored), "\(bytes.count / stored)")
            #expect(try inspectScan(at: scan).inflatedBytes == bytes.count)
            let empty = file.header + file.extender + [UInt8](repeating: 0, count: 768 * slice.count)
            let mask = try save(empty, to: folder, as: "empty.nii.gz", compressed: true)
            #expect(try inspectMask(at: mask).maximum == 0)
        }
    }

    @Test func aLittlePaddingIsPassedOver() throws {
        try withTemporaryFolder { folder in
            let url = try save(NIfTIBuilder().file + [0, 0, 0], to: folder, as: "padded.nii")
            #expect(try inspectScan(at: url).inflatedBytes == 403)
        }
    }

    @Test func valuesThatAreNoScan() throws {
        func code(_ change: (inout NIfTIBuilder) -> Void) throws -> VolumeError? {
            var file = NIfTIBuilder()
            change(&file)
            return try withTemporaryFolder { folder in
                let url = try file.write(to: folder)
                return failure { () throws(VolumeError) in _ = try inspectScan(at: url) }
            }
        }
        #expect(try code { $0.intercept = -1000 } == .allAir(maximum: -977))
        #expect(try code { $0.intercept = -523 } == nil)
        #expect(try code { $0.values = .init(repeating: 40, count: 24) } == .constant(value: 40))
        #expect(
            try code {
                $0.type = .float32
                $0.values = .init(repeating: .nan, count: 24)
            } == .notFinite)
    }

    @Test(arguments: [(1, false), (1, true), (2, false), (2, true)])
    func damagedHeadersNeverTrapAndLibniftiAgrees(form: (version: Int, isBigEndian: Bool)) throws {
        var random = SplitMix64(seed: UInt64(form.version * 2 + (form.isBigEndian ? 1 : 0)))
        var file = NIfTIBuilder()
        (file.version, file.isBigEndian) = form
        let sound = file.file
        var accepted = 0
        try withTemporaryFolder { folder in
            for round in 0..<4000 {
                var bytes = sound
                (file.sformCode, file.qformCode) = (round & 1, round >> 1 & 1)
                bytes.replaceSubrange(0..<file.headerSize, with: file.header)
                for _ in 0...random.next() % 3 {
                    bytes[Int(random.next() % UInt64(file.headerSize))] = UInt8(truncatingIfNeeded: random.next())
                }
                let limits = VolumeLimits(voxels: 10_000, inflatedBytes: 100_000)
                guard let header = try? NIfTIHeader(parsing: bytes, limits: limits) else { continue }
                accepted += 1
                #expect(NIfTIImage(header: header)?.difference(from: header) == nil)
                guard round % 40 == 0 else { continue }
                let url = try save(bytes, to: folder, as: "scan.nii")
                let error = failure { () throws(VolumeError) in _ = try readCT(at: url, limits: limits, team: .one) }
                #expect(error?.isUsersFault != false, "\(error.map(\.description) ?? "")")
            }
        }
        #expect((400..<3900).contains(accepted), "the damage is neither always nor never seen")
    }

    @Test func filesThatAreNotThere() throws {
        try withTemporaryFolder { folder in
            for url in [folder.appending(path: "none.nii"), folder] {
                let error = failure { () throws(VolumeError) in _ = try inspectScan(at: url) }
                #expect(error?.code == "cannot_open")
                #expect(!"\(error.map(\.description) ?? "")".contains(folder.path))
            }
            let pipe = folder.appending(path: "pipe.nii")
            #expect(mkfifo(pipe.path, 0o600) == 0)
            #expect(failure { () throws(VolumeError) in _ = try readCT(at: pipe, team: .one) }?.code == "cannot_open")
        }
    }
}

extension ThreadTeam {
    /// For what is not about threads.
    static var one: ThreadTeam { ThreadTeam(threads: 1) }
}

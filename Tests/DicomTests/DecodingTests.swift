import Compute
import Foundation
import TestSupport
import Testing

@testable import Dicom

/// Every encoding of the slice that Tests/Fixtures/dicom/make.py makes with pydicom, Pillow and DCMTK's tools.
@Suite struct DecodingTests {
    static let expected = (0..<480).map { (index: Int) -> Int32 in
        let (y, x) = index.quotientAndRemainder(dividingBy: 24)
        return Int32(1000 + 3 * x + 50 * y)
    }
    /// Name, encoding and the most that a stored value may be off.
    static let fixtures: [(String, TransferSyntax, Double)] = [
        ("plain", .explicitLittleEndian, 0), ("deflated", .deflated, 0), ("rle", .rle, 0),
        ("jpeg_lossless", .jpegLossless, 0), ("jpeg_extended", .jpegExtended, 8), ("jpeg_ls", .jpegLS, 0),
        ("jpeg_ls_near_lossless", .jpegLSNearLossless, 2), ("jpeg_2000_lossless", .jpeg2000Lossless, 0),
        ("jpeg_2000", .jpeg2000, 8), ("htj2k_lossless", .htj2kLossless, 0), ("htj2k", .htj2k, 8),
    ]

    @Test(arguments: fixtures)
    func everyEncoding(name: String, syntax: TransferSyntax, tolerance: Double) throws {
        let url = SharedData.fixture("dicom/\(name).dcm")
        guard case .slices(let slices) = try judge(url, limits: DicomLimits()), let slice = slices.first else {
            Issue.record("\(name) is not taken for a slice")
            return
        }
        #expect(slice.syntax == syntax && slice.rows == 20 && slice.columns == 24)
        // dcmcjpeg spreads values over all bits before it compresses with loss, and says so by slope and intercept.
        let values = try slice.decoded().map { Double($0) * slice.slope + slice.intercept + 1024 }
        let worst = zip(values, Self.expected).map { abs($0 - Double($1)) }.max()
        #expect(try #require(worst) <= tolerance)
    }

    /// Found by the fuzzer: DCMTK never came back from a marker TEM (FF01) before the frame's header.
    @Test(.timeLimit(.minutes(1)), arguments: ["jpeg_lossless", "jpeg_extended"])
    func aMarkerThatDCMTKDoesNotPass(name: String) throws {
        var bytes = Array(try Data(contentsOf: SharedData.fixture("dicom/\(name).dcm")))
        let start = try #require(bytes.indices.dropLast(3).first { bytes[$0...].starts(with: [0xFF, 0xD8, 0xFF]) })
        bytes[start + 3] = 0x01
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "slice.dcm")
            try Data(bytes).write(to: url)
            guard case .slices(let slices) = try judge(url, limits: DicomLimits()), let slice = slices.first else {
                Issue.record("\(name) is not taken for a slice")
                return
            }
            #expect(throws: DicomError.damagedSlice) { try slice.decoded() }
        }
    }

    @Test func signedPixelsInAnUnsignedCodestream() throws {
        let url = SharedData.fixture("dicom/signed_jpeg_2000.dcm")
        guard case .slices(let slices) = try judge(url, limits: DicomLimits()), let slice = slices.first else {
            Issue.record("not taken for a slice")
            return
        }
        #expect(try slice.decoded() == Self.expected.map { $0 - 1500 })
    }

    /// DCMTK's own decoder of 3.6.7 reads wherever an RLE segment's offset points.
    @Test func segmentOutsideTheFrame() throws {
        var bytes = [UInt8](try Data(contentsOf: SharedData.fixture("dicom/rle.dcm")))
        // Two segments, the first behind the header of 64 bytes.
        let header: [UInt8] = [2, 0, 0, 0, 64, 0, 0, 0]
        let start = try #require(bytes.indices.first { bytes[$0...].starts(with: header) })
        bytes[start + 7] = 0x70
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "file")
            try Data(bytes).write(to: file)
            guard case .slices(let slices) = try judge(file, limits: DicomLimits()) else { return }
            #expect(throws: DicomError.damagedSlice) { try slices[0].decoded() }
        }
    }

    /// A file that breaks off is refused or left out, wherever it does.
    @Test(arguments: fixtures.map(\.0))
    func truncated(name: String) throws {
        let whole = [UInt8](try Data(contentsOf: SharedData.fixture("dicom/\(name).dcm")))
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "file")
            for length in stride(from: 0, to: whole.count - 8, by: max(1, whole.count / 60)) {
                try Data(whole.prefix(length)).write(to: file)
                guard case .slices(let slices) = try judge(file, limits: DicomLimits()) else { continue }
                let slice = slices[0]
                if let values = try? slice.decoded() { #expect(values.count == slice.rows * slice.columns) }
            }
        }
    }

    /// Flipped bits give another value, an error or a file left out, never a crash.
    @Test(arguments: fixtures.map(\.0))
    func bitFlips(name: String) throws {
        let whole = [UInt8](try Data(contentsOf: SharedData.fixture("dicom/\(name).dcm")))
        var random = SplitMix64(seed: 3)
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "file")
            for _ in 0..<100 {
                var bytes = whole
                for _ in 0..<3 {
                    let place = 128 + Int(random.next() % UInt64(bytes.count - 128))
                    bytes[place] ^= 1 << UInt8(random.next() % 8)
                }
                try Data(bytes).write(to: file)
                guard case .slices(let slices) = try judge(file, limits: DicomLimits()) else { continue }
                let slice = slices[0]
                guard slice.rows <= 4096, slice.columns <= 4096 else { continue }
                if let values = try? slice.decoded() { #expect(values.count == slice.rows * slice.columns) }
            }
        }
    }
}

import Dicom
import Foundation
import TestSupport
import Testing

/// Zips, honest and made to do harm.
@Suite struct ZipTests {
    private func entries(isDeflated: Bool = true) -> [ZipBuilder.Entry] {
        syntheticSeries().enumerated().map { index, slice in
            ZipBuilder.Entry(name: "a/b/\(index).dcm", bytes: slice.bytes, isDeflated: isDeflated)
        }
    }

    private func run(_ entries: [ZipBuilder.Entry], limits: DicomLimits = DicomLimits()) throws -> ImportRun {
        try run(bytes: ZipBuilder(entries: entries).bytes, limits: limits)
    }

    private func run(bytes: [UInt8], limits: DicomLimits = DicomLimits()) throws -> ImportRun {
        try withTemporaryFolder { folder in
            let zip = folder.appending(path: "scan")
            try Data(bytes).write(to: zip)
            return try ImportRun([zip], in: folder, options: DicomOptions(limits: limits))
        }
    }

    @Test(arguments: [true, false])
    func holdsTheSameVolume(isDeflated: Bool) throws {
        let folders = [ZipBuilder.Entry(name: "a/"), ZipBuilder.Entry(name: "a/b", mode: 0o040755)]
        let run = try run(folders + entries(isDeflated: isDeflated))
        #expect(run.report.files == 12)
        #expect(try run.bytes == ImportRun.of(syntheticSeries()).bytes)
    }

    /// A zip of our own is read as others are, and is the same bytes whatever the files' times and rights.
    @Test func aPackedSeriesIsAlwaysTheSameZip() throws {
        try withTemporaryFolder { folder in
            let files = try write(syntheticSeries(), to: folder)
            let (first, second) = (folder.appending(path: "first.zip"), folder.appending(path: "second.zip"))
            #expect(packZip(files, to: first))
            let attributes: [FileAttributeKey: Any] = [
                .modificationDate: Date(timeIntervalSince1970: 1_000_000_000), .posixPermissions: 0o600,
            ]
            for file in files { try FileManager.default.setAttributes(attributes, ofItemAtPath: file.path) }
            #expect(packZip(files, to: second))
            #expect(try Data(contentsOf: first) == Data(contentsOf: second))
            #expect(try ImportRun([first], in: folder).report.files == 12)
            #expect(!packZip(files + [folder.appending(path: "absent")], to: first))
        }
    }

    @Test(arguments: ["/etc/passwd", "../evil", "a/../../evil", "..\\evil", "C:\\evil", "../\u{301}evil"])
    func badPath(name: String) throws {
        #expect(throws: DicomError.zipBadPath) { try run(entries() + [ZipBuilder.Entry(name: name, bytes: [1])]) }
    }

    @Test func link() throws {
        let link = ZipBuilder.Entry(name: "link", bytes: Array("/etc/passwd".utf8), mode: 0o120777)
        #expect(throws: DicomError.zipLink) { try run(entries() + [link]) }
    }

    @Test func encrypted() throws {
        let secret = ZipBuilder.Entry(name: "secret", bytes: [UInt8](repeating: 1, count: 40), flags: 1)
        #expect(throws: DicomError.zipEncrypted) { try run([secret]) }
    }

    @Test func otherCompression() throws {
        let entry = ZipBuilder.Entry(name: "a", bytes: [UInt8](repeating: 1, count: 40), method: 12)
        #expect(throws: DicomError.zipMethod) { try run([entry]) }
    }

    @Test func nested() throws {
        let inner = ZipBuilder(entries: entries()).bytes
        #expect(throws: DicomError.zipNested) { try run([ZipBuilder.Entry(name: "inner.dcm", bytes: inner)]) }
    }

    @Test func tooManyEntries() throws {
        var limits = DicomLimits()
        limits.files = 11
        #expect(throws: DicomError.zipTooManyEntries(found: 12, limit: 11)) { try run(entries(), limits: limits) }
    }

    @Test func bombByInflation() throws {
        let zeros = [UInt8](repeating: 0, count: 24 << 20)
        let bomb = ZipBuilder.Entry(name: "zeros", bytes: zeros, isDeflated: true)
        #expect(throws: DicomError.zipBomb(limit: 100)) { try run([bomb]) }
    }

    @Test func moreBytesThanAccepted() throws {
        var limits = DicomLimits()
        limits.inflatedBytes = 1 << 20
        let noise = (0..<(5 << 18)).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 7) }
        let entry = ZipBuilder.Entry(name: "noise", bytes: noise)
        #expect(throws: DicomError.zipTooLarge(limitMiB: 1)) { try run([entry], limits: limits) }
    }

    /// Both ways: fewer bytes declared than there are, and more.
    @Test(arguments: [100, 100_000])
    func lyingSize(declared: UInt32) throws {
        var all = entries()
        all[3].declaredSize = declared
        do {
            _ = try run(all)
            Issue.record("a lying size was believed")
        } catch DicomError.zipSizeMismatch(let found, _) {
            #expect(found == Int(declared))
        }
    }

    @Test func damaged() throws {
        var bytes = ZipBuilder(entries: entries()).bytes
        #expect(throws: DicomError.zipDamaged) { try run(bytes: Array(bytes.prefix(bytes.count / 2))) }
        bytes[200] ^= 0xFF
        #expect(throws: DicomError.zipDamaged) { try run(bytes: bytes) }
    }

    @Test func twoZips() throws {
        try withTemporaryFolder { folder in
            let zips = ["a", "b"].map { folder.appending(path: $0) }
            for zip in zips { try Data(ZipBuilder(entries: entries()).bytes).write(to: zip) }
            #expect(throws: DicomError.zipNested) { try ImportRun(zips, in: folder) }
        }
    }
}

internal import CZip
import Foundation

/// Unpacks a zip that nobody vouches for into numbered files of a folder; the entries' names are never used as paths.
///
/// Nothing that the zip declares is believed: bytes are counted as they are inflated. Folders are passed over.
///
/// - Parameters:
///   - zip: the file.
///   - folder: an existing folder of its own.
///   - limits: files, bytes and inflation accepted.
/// - Returns: the files made, in the zip's order.
func extractZip(_ zip: URL, into folder: URL, limits: DicomLimits) throws(DicomError) -> [URL] {
    let archive = try ZipArchive(zip)
    let entries = archive.entries
    guard entries <= limits.files else { throw .zipTooManyEntries(found: entries, limit: limits.files) }
    // Against the zip's own size, so that entries which share their compressed bytes do not slip through.
    let inflated = limits.inflatedBytes(of: bytes(of: zip))

    var files: [URL] = []
    var total = 0
    for index in 0..<entries {
        guard let entry = try archive.entry(index) else { continue }
        let file = folder.appending(path: "\(files.count).dcm")
        let count = try archive.inflate(entry, to: file, limit: inflated - total)
        guard let count else {
            throw inflated == limits.inflatedBytes
                ? .zipTooLarge(limitMiB: limits.inflatedBytes >> 20) : .zipBomb(limit: limits.inflation)
        }
        total += count
        files.append(file)
    }
    return files
}

/// Whether a file's first bytes are those of a zip.
func isZip(_ url: URL) -> Bool {
    guard let file = try? FileHandle(forReadingFrom: url) else { return false }
    defer { try? file.close() }
    guard let head = try? file.read(upToCount: 132) else { return false }
    // A DICOM file's first 128 bytes may be anything.
    return isZip(head: [UInt8](head)) && head.dropFirst(128) != Data("DICM".utf8)
}

/// Whether a file's first bytes are those of a program, which may be a zip that extracts itself, or of an archive that is
/// not read: gzip (as of a tar), tar, 7-Zip, RAR, xz, bzip2.
func isOtherArchive(_ url: URL) -> Bool {
    guard let file = try? FileHandle(forReadingFrom: url) else { return false }
    defer { try? file.close() }
    guard let head = try? file.read(upToCount: 262) else { return false }
    let starts: [[UInt8]] = [
        Array("MZ".utf8), [0x1F, 0x8B], [0x37, 0x7A, 0xBC, 0xAF], Array("Rar!".utf8), [0xFD, 0x37, 0x7A, 0x58],
        Array("BZh".utf8),
    ]
    return starts.contains { head.starts(with: $0) } || head.dropFirst(257) == Data("ustar".utf8)
}

private func isZip(head: [UInt8]) -> Bool {
    head.starts(with: [0x50, 0x4B, 3, 4]) || head.starts(with: [0x50, 0x4B, 5, 6])
}

/// An entry that may be inflated.
private struct ZipEntry {
    let index: UInt64
    let declaredSize: UInt64
}

/// A zip opened by libzip.
private struct ZipArchive: ~Copyable {
    private let archive: OpaquePointer

    init(_ url: URL) throws(DicomError) {
        var code: Int32 = 0
        guard let archive = zip_open(url.path, ZIP_RDONLY, &code) else {
            throw code == ZIP_ER_OPEN || code == ZIP_ER_READ ? .importFailed(reason: .cannotRead) : .zipDamaged
        }
        self.archive = archive
    }

    // Nothing was changed, so there is nothing to be written.
    deinit { zip_discard(archive) }

    var entries: Int { Int(max(0, zip_get_num_entries(archive, 0))) }

    /// Judges an entry by what the directory says of it; nil for a folder.
    func entry(_ index: Int) throws(DicomError) -> ZipEntry? {
        let index = UInt64(index)
        var status = zip_stat_t()
        guard zip_stat_index(archive, index, 0, &status) == 0, let name = status.name else { throw .zipDamaged }
        // By bytes: names need not be UTF-8, and a slash with a combining mark would be another character.
        let slash = UInt8(ascii: "/")
        let path = UnsafeRawBufferPointer(start: name, count: strlen(name)).map {
            $0 == UInt8(ascii: "\\") ? slash : $0
        }
        let climbs = path.split(separator: slash).contains { $0.elementsEqual("..".utf8) }
        guard path.first != slash, path.dropFirst().first != UInt8(ascii: ":"), !climbs else { throw .zipBadPath }
        var system: UInt8 = 0
        var attributes: UInt32 = 0
        guard zip_file_get_external_attributes(archive, index, 0, &system, &attributes) == 0 else { throw .zipDamaged }
        // Unix keeps the file's mode in the upper half; 0 there says nothing.
        let kind = system == UInt8(ZIP_OPSYS_UNIX) ? attributes >> 16 & S_IFMT : 0
        guard kind == 0 || kind == S_IFREG || kind == S_IFDIR else { throw .zipLink }
        if path.last == slash || kind == S_IFDIR { return nil }
        guard status.encryption_method == UInt16(ZIP_EM_NONE) else { throw .zipEncrypted }
        guard status.comp_method == UInt16(ZIP_CM_STORE) || status.comp_method == UInt16(ZIP_CM_DEFLATE) else {
            throw .zipMethod
        }
        return ZipEntry(index: index, declaredSize: status.size)
    }

    /// Writes an entry to a new file; nil where it has more than `limit` bytes.
    func inflate(_ entry: ZipEntry, to url: URL, limit: Int) throws(DicomError) -> Int? {
        guard let stream = zip_fopen_index(archive, entry.index, 0) else { throw .zipDamaged }
        defer { zip_fclose(stream) }
        let descriptor = open(url.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .importFailed(reason: .workFolder) }
        defer { close(descriptor) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        defer { buffer.deallocate() }
        let declared = Int(clamping: entry.declaredSize)
        var total = 0
        while true {
            let count = Int(zip_fread(stream, buffer.baseAddress, UInt64(buffer.count)))
            if count < 0 {
                let code = zip_error_code_zip(zip_file_get_error(stream))
                // libzip's own check of the declared length.
                guard code != ZIP_ER_INCONS else { throw .zipSizeMismatch(declared: declared, found: total) }
                throw .zipDamaged
            }
            guard count > 0 else { break }
            total += count
            guard total <= limit else { return nil }
            guard total <= declared else { throw .zipSizeMismatch(declared: declared, found: total) }
            guard write(descriptor, buffer.baseAddress, count) == count else {
                throw .importFailed(reason: .workFolder)
            }
        }
        guard total == declared else { throw .zipSizeMismatch(declared: declared, found: total) }
        return total
    }
}

internal import CZip
public import Foundation

/// Packs files into a zip as `0.dcm`, `1.dcm` and so on. The same files in the same order are always the same bytes: no
/// name, no time and no right of a file goes into it.
///
/// - Parameter zip: replaced if it exists.
/// - Returns: whether all were packed; if not, no zip is left.
public func packZip(_ files: [URL], to zip: URL) -> Bool {
    guard let archive = zip_open(zip.path, ZIP_CREATE | ZIP_TRUNCATE, nil) else { return false }
    for (number, file) in files.enumerated() {
        guard let source = zip_source_file(archive, file.path, 0, -1) else {
            zip_discard(archive)
            return false
        }
        let index = zip_file_add(archive, "\(number).dcm", source, zip_flags_t(ZIP_FL_ENC_UTF_8))
        guard index >= 0 else {
            zip_source_free(source)
            zip_discard(archive)
            return false
        }
        // libzip takes over a file's time and rights unless it is told others.
        let attributes = zip_uint32_t(0o100_600) << 16
        // Slices deflate to about a half at any level; the lowest is several times faster. 33: 1 January 1980.
        guard zip_set_file_compression(archive, zip_uint64_t(index), ZIP_CM_DEFLATE, 1) == 0,
            zip_file_set_dostime(archive, zip_uint64_t(index), 0, 33, 0) == 0,
            zip_file_set_external_attributes(
                archive, zip_uint64_t(index), 0, zip_uint8_t(ZIP_OPSYS_UNIX), attributes) == 0
        else {
            zip_discard(archive)
            return false
        }
    }
    // Reads and packs the files.
    guard zip_close(archive) == 0 else {
        zip_discard(archive)
        return false
    }
    return true
}

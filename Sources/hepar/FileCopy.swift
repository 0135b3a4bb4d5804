import Digests
import Foundation
import Jobs

/// Why a file could not be copied.
struct CopyError: Error, CustomStringConvertible {
    let operation: String
    let code: Int32

    /// The error for a number of errno.h, by default the present one.
    init(_ operation: String, code: Int32 = errno) {
        self.operation = operation
        self.code = code
    }

    var description: String { "The backup could not \(operation): \(String(cString: strerror(code)))." }
}

/// Copies a file to a name that is free, until it is on the disk itself; the copy is its owner's alone.
///
/// - Returns: SHA-256 and size of what was written.
func copyFile(_ file: URL, to copy: URL) throws -> (sum: String, bytes: Int) {
    let source = open(file.path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard source >= 0 else { throw CopyError("read \(file.path)") }
    defer { close(source) }
    let target = open(copy.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard target >= 0 else { throw CopyError("make \(copy.path)") }
    defer { close(target) }
    var hash = ContentHash()
    var bytes = 0
    try withUnsafeTemporaryAllocation(byteCount: 1 << 20, alignment: 4096) { buffer in
        while true {
            let count = read(source, buffer.baseAddress, buffer.count)
            guard count >= 0 else { throw CopyError("read \(file.path)") }
            if count == 0 { break }
            hash.add(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            var written = 0
            while written < count {
                let more = write(target, buffer.baseAddress! + written, count - written)
                guard more > 0 else { throw CopyError("write \(copy.path)") }
                written += more
            }
            bytes += count
        }
    }
    guard fsync(target) == 0 else { throw CopyError("write \(copy.path)") }
    return (hash.hexadecimal(), bytes)
}

/// Returns once a file, or the names in a folder, are on the disk itself.
func syncToDisk(_ place: URL) throws {
    let descriptor = open(place.path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw CopyError("write \(place.path)") }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw CopyError("write \(place.path)") }
}

/// Names of the files in a folder that are neither hidden nor links nor folders, sorted.
func plainFiles(in folder: URL) throws -> [String] {
    try names(in: folder) { CopyError("read \(folder.path)", code: $0) }.filter { name in
        var status = stat()
        guard !name.hasPrefix("."), lstat(folder.appending(path: name).path, &status) == 0 else { return false }
        return status.st_mode & S_IFMT == S_IFREG
    }
}

/// A file's size in bytes.
func size(of file: URL) throws -> Int { Int(try status(of: file.path).st_size) }

/// Whether a name is that of a folder, not of a link to one.
func isFolder(_ place: URL) throws -> Bool { try status(of: place.path).st_mode & S_IFMT == S_IFDIR }

/// The file system that a name is on.
func device(of path: String) throws -> UInt { UInt(try status(of: path).st_dev) }

private func status(of path: String) throws -> stat {
    var status = stat()
    guard lstat(path, &status) == 0 else { throw CopyError("read \(path)") }
    return status
}

import Foundation

/// A new file that is written from its beginning.
final class OutputFile {
    private let descriptor: Int32

    /// Creates the file; one of that name must not exist.
    init(_ path: String) throws(VolumeError) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw writeError() }
    }

    /// Takes over an open file.
    init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Appends all bytes.
    func write(_ bytes: UnsafeRawBufferPointer) throws(VolumeError) {
        var rest = bytes
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw writeError() }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Appends all bytes.
    func write(_ bytes: [UInt8]) throws(VolumeError) {
        var failure: VolumeError?
        bytes.withUnsafeBytes { bytes in
            do throws(VolumeError) { try write(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Returns when the disk has everything.
    func sync() throws(VolumeError) {
        guard fsync(descriptor) == 0 else { throw writeError() }
    }
}

/// Returns when the disk has the folder's entries: a rename is lasting only then.
func syncFolder(_ path: String) throws(VolumeError) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw writeError() }
    defer { close(descriptor) }
    // Some file systems keep no folder to be brought to disk and say that the call is invalid.
    guard fsync(descriptor) == 0 || errno == EINVAL else { throw writeError() }
}

/// The last failure of a system call that writes.
func writeError() -> VolumeError {
    errno == ENOSPC || errno == EDQUOT ? .diskFull : .writeFailed(reason: systemReason())
}

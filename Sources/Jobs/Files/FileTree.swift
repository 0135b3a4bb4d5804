public import Foundation
internal import Glibc

// Folders and files as the spool needs them: made for the server's user alone, moved and removed for good, and on the disk
// itself before a call returns where it says so.

func makeFolders(to folder: URL) throws(SpoolError) {
    do {
        try FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
        throw .notWritable(folder: folder.path)
    }
}

/// Makes a folder in one that exists; false if it was there.
@discardableResult
func makeFolder(_ folder: URL) throws(SpoolError) -> Bool {
    if mkdir(folder.path, 0o700) == 0 { return true }
    switch errno {
    case EEXIST: return false
    case EACCES, EROFS, EPERM: throw .notWritable(folder: folder.deletingLastPathComponent().path)
    case let code: throw SpoolError("make a folder", code: code)
    }
}

/// Names of what is in a folder, hidden files too.
func names(in folder: URL) throws(SpoolError) -> [String] {
    try names(in: folder) { SpoolError("read a folder", code: $0) }
}

/// Names of what is in a folder, hidden files too, sorted.
///
/// - Parameter failure: makes the error of a number of errno.h. An end that is none would pass for an empty folder.
public func names<Failure: Error>(
    in folder: URL, failure: (Int32) -> Failure
) throws(Failure) -> [String] {
    guard let stream = opendir(folder.path) else { throw failure(errno) }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
        errno = 0
        guard let entry = readdir(stream) else { break }
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw failure(errno) }
    return names.sorted()
}

/// Removes a file, or a folder with all that is in it.
func removeTree(_ place: URL) throws(SpoolError) {
    if unlink(place.path) == 0 || errno == ENOENT { return }
    guard errno == EISDIR || errno == EPERM else { throw SpoolError("remove files", code: errno) }
    // A child of a server that was killed may still be writing here for a moment.
    for attempt in 1...removalAttempts {
        // Gone meanwhile: somebody else removes it as well.
        if access(place.path, F_OK) != 0, errno == ENOENT { return }
        for name in try names(in: place) { try removeTree(place.appending(path: name)) }
        if rmdir(place.path) == 0 || errno == ENOENT { return }
        guard errno == ENOTEMPTY, attempt < removalAttempts else { throw SpoolError("remove files", code: errno) }
        usleep(20_000)
    }
}

private let removalAttempts = 100

/// Returns once a file's bytes are on the disk itself. A link is an error, wherever it leads.
func syncFile(_ file: URL) throws(SpoolError) {
    try syncToDisk(file, flags: O_NOFOLLOW)
}

/// Returns once the names in a folder are on the disk itself.
func syncFolder(_ folder: URL) throws(SpoolError) {
    try syncToDisk(folder, flags: O_DIRECTORY)
}

func syncToDisk(_ place: URL, flags: Int32) throws(SpoolError) {
    let descriptor = open(place.path, O_RDONLY | O_CLOEXEC | flags)
    guard descriptor >= 0 else { throw SpoolError("store files", code: errno) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw SpoolError("store files", code: errno) }
}

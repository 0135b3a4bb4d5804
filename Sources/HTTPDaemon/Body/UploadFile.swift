import Foundation

/// A file that a body is being written to: random name, readable by this user only.
struct UploadFile {
    /// What the names of all such files begin with.

    /// How bytes are written; tests give one that fails.
    typealias Write = @Sendable (Int32, UnsafeRawBufferPointer) -> Int

    let url: URL
    private(set) var bytes = 0
    private var descriptor: Int32
    private let write: Write

    init(in folder: URL, write: @escaping Write) throws(BodyError) {
        url = folder.appendingPathComponent("incoming-" + randomHex(bytes: 16), isDirectory: false)
        self.write = write
        descriptor = open(url.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw BodyError(errno: errno) }
    }

    mutating func append(_ run: UnsafeRawBufferPointer) throws(BodyError) {
        var rest = run
        while !rest.isEmpty {
            let written = write(descriptor, rest)
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { throw BodyError(errno: written == 0 ? ENOSPC : errno) }
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
        }
        bytes += run.count
    }

    /// Closes the file; what a disk on the network could not take is told here. Not twice.
    mutating func close() throws(BodyError) {
        guard descriptor >= 0 else { return }
        let failed = Glibc.close(descriptor) != 0
        descriptor = -1
        if failed && errno != EINTR { throw BodyError(errno: errno) }
    }

    /// Removes a file that nobody has moved away.
    static func remove(_ url: URL) { unlink(url.path) }
}

extension BodyError {
    fileprivate init(errno code: Int32) {
        switch code {
        case ENOSPC, EDQUOT, EFBIG: self = .diskFull
        default: self = .disk(code)
        }
    }
}

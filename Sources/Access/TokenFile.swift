public import Foundation
import Glibc

/// The file with the tokens: read by the server, edited by `hepar token` while the server runs.
///
/// It is replaced whole and never seen half written, readable by its owner only. Two that edit it at once wait for
/// each other. Links are followed to the file itself.
public struct TokenFile: Sendable {
    private let file: URL

    /// Where the file is now: links are followed at each use, for a mounted secret is replaced by turning a link.
    public var path: String { file.resolvingSymlinksInPath().path }

    /// Names a file; it need not exist until it is read.
    public init(_ file: URL) { self.file = file }

    /// The tokens in the file.
    ///
    /// - Throws: ``TokenFileError``: missing, broken, or open to the writing of others.
    public func load() throws(TokenFileError) -> TokenBook {
        try read().book
    }

    /// Makes a token and puts it into the file, which is made if it does not exist.
    ///
    /// - Returns: the token, once the new file would survive a power loss.
    /// - Throws: ``TokenFileError``; the file is then as it was. See ``TokenBook/add(name:roles:quota:expires:at:)``.
    public func add(
        name: String, roles: Set<Role>, quota: Quota = Quota(), expires: Date? = nil, at now: Date = Date()
    ) throws(TokenFileError) -> TokenSecret {
        try edit { (book) throws(TokenBookError) in
            try book.add(name: name, roles: roles, quota: quota, expires: expires, at: now)
        }
    }

    /// Takes a token out of the file; servers that watch it refuse the token within a second or so.
    ///
    /// - Throws: ``TokenFileError``; the file is then as it was.
    public func revoke(_ name: String) throws(TokenFileError) {
        try edit { (book) throws(TokenBookError) in try book.revoke(name) }
    }

    /// Reads the tokens, lets `change` do its part, and writes them, while no other edit runs.
    func edit<Result>(
        _ change: (inout TokenBook) throws(TokenBookError) -> Result
    ) throws(TokenFileError) -> Result {
        let folder = try FolderLock(URL(filePath: path).deletingLastPathComponent().path)
        var book: TokenBook
        do {
            book = try load()
        } catch .missing {
            book = TokenBook()
        }
        let result: Result
        do {
            result = try change(&book)
        } catch {
            throw .refused(error)
        }
        try replace(by: book.yaml, in: folder)
        return result
    }

    /// What tells one content of the file from another without reading it.
    struct Stamp: Equatable {
        private let numbers: [Int]

        init(_ status: stat) {
            numbers = [
                Int(status.st_ino), Int(status.st_size), status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
            ]
        }
    }

    /// The stamp of the file as it is now; nil if there is none.
    func stamp() -> Stamp? {
        var status = Glibc.stat()
        return stat(path, &status) == 0 ? Stamp(status) : nil
    }

    /// The tokens, and the stamp of the very file they were read from.
    func read() throws(TokenFileError) -> (book: TokenBook, stamp: Stamp) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw errno == ENOENT ? .missing(path) : TokenFileError("open", path, code: errno)
        }
        defer { close(descriptor) }
        var status = Glibc.stat()
        guard fstat(descriptor, &status) == 0 else { throw TokenFileError("look at", path, code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_size <= Self.sizeLimit else { throw .notATokenFile(path) }
        guard status.st_mode & 0o022 == 0 else { throw .writableByOthers(path) }
        let data: Data
        do {
            data = try FileHandle(fileDescriptor: descriptor, closeOnDealloc: false).readToEnd() ?? Data()
        } catch {
            throw TokenFileError("read", path, code: EIO)
        }
        guard let text = String(validating: data, as: UTF8.self) else { throw .notATokenFile(path) }
        return (try TokenBook(yaml: text), Stamp(status))
    }

    private static let sizeLimit = 1 << 20

    private func replace(by text: String, in folder: borrowing FolderLock) throws(TokenFileError) {
        let new = folder.path + "/.\(URL(filePath: path).lastPathComponent).new"
        unlink(new)  // left by one that was killed: the lock is ours, so nobody writes to it
        let descriptor = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw TokenFileError("write beside", path, code: errno) }
        var isOpen = true
        defer {
            if isOpen { close(descriptor) }
            unlink(new)
        }
        try keepOwner(of: descriptor, in: folder)
        do {
            try FileHandle(fileDescriptor: descriptor, closeOnDealloc: false).write(contentsOf: Data(text.utf8))
        } catch {
            throw TokenFileError("write beside", path, code: errno)
        }
        guard fsync(descriptor) == 0 else { throw TokenFileError("write beside", path, code: errno) }
        isOpen = false
        guard close(descriptor) == 0 else { throw TokenFileError("write beside", path, code: errno) }
        guard rename(new, path) == 0 else { throw TokenFileError("replace", path, code: errno) }
        try folder.sync()
    }

    /// With sudo, the file still belongs to the server's user: to the owner it had, else to the folder's.
    private func keepOwner(of descriptor: Int32, in folder: borrowing FolderLock) throws(TokenFileError) {
        guard geteuid() == 0 else { return }
        var status = Glibc.stat()
        guard stat(path, &status) == 0 || stat(folder.path, &status) == 0,
            fchown(descriptor, status.st_uid, status.st_gid) == 0
        else { throw TokenFileError("give an owner to", path, code: errno) }
    }
}

/// The right to replace files of a folder, among those that ask for it this way.
private struct FolderLock: ~Copyable {
    let path: String
    private let descriptor: Int32

    init(_ path: String) throws(TokenFileError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw TokenFileError("open the folder", path, code: errno) }
        while flock(descriptor, LOCK_EX) != 0 {
            guard errno == EINTR else {
                let code = errno
                close(descriptor)
                throw TokenFileError("lock the folder", path, code: code)
            }
        }
    }

    deinit { close(descriptor) }

    borrowing func sync() throws(TokenFileError) {
        guard fsync(descriptor) == 0 else { throw TokenFileError("write the folder", path, code: errno) }
    }
}

/// Why the tokens' file cannot be read or changed.
public enum TokenFileError: Error, Equatable, Sendable {
    case missing(String)
    /// Not a file, not text, or above 1 MiB.
    case notATokenFile(String)
    /// Whoever may write it can let anybody in.
    case writableByOthers(String)
    /// Not YAML; the parser's own words.
    case syntax(String)
    /// YAML, and not a list of tokens.
    case content(line: Int, problem: String)
    /// The change asked for is not possible.
    case refused(TokenBookError)
    /// The system said no.
    case system(operation: String, path: String, code: Int32)

    init(_ operation: String, _ path: String, code: Int32) {
        self = .system(operation: operation, path: path, code: code)
    }
}

extension TokenFileError: CustomStringConvertible {
    /// What is wrong and what to change.
    public var description: String {
        switch self {
        case .missing(let path):
            "There is no file of tokens at \(path). Make the first one: hepar token add."
        case .notATokenFile(let path): "\(path) is not a file of tokens: not a text of at most 1 MiB."
        case .writableByOthers(let path):
            "\(path) may be written by others than its owner, who could let anybody in. Run: chmod 600 \(path)"
        case .syntax(let words): "The file of tokens is not YAML: \(words)"
        case .content(let line, let problem): "The file of tokens is wrong, line \(line): \(problem)"
        case .refused(let reason): reason.description
        case .system(let operation, let path, let code):
            "Cannot \(operation) \(path): \(String(cString: strerror(code)))."
        }
    }
}

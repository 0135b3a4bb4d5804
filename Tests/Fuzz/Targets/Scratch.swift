import Foundation
import Synchronization

/// Files that hold an input while it is read; TMPDIR=/dev/shm keeps them off the disk.
enum Scratch {
    private static let counter = Atomic<Int>(0)

    private static let root: URL = {
        let url = FileManager.default.temporaryDirectory.appending(path: "hepar-fuzz-\(getpid())")
        try? FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        atexit { try? FileManager.default.removeItem(at: Scratch.root) }
        return url
    }()

    /// Runs `body` with a new folder that is removed afterwards.
    static func folder<Value, Failure>(_ body: (URL) throws(Failure) -> Value) throws(Failure) -> Value {
        let number = counter.wrappingAdd(1, ordering: .relaxed).oldValue
        let url = root.appending(path: "\(number)", directoryHint: .isDirectory)
        precondition(mkdir(url.path, 0o700) == 0, "no scratch folder: \(String(cString: strerror(errno)))")
        defer {
            for name in names(in: url) { unlink(url.path + "/" + name) }
            // Anything deeper is rare, and then Foundation may be slow.
            if rmdir(url.path) != 0 { try? FileManager.default.removeItem(at: url) }
        }
        return try body(url)
    }

    /// Runs `body` with a file that holds `bytes`, alone in its folder.
    static func file<Value, Failure>(
        _ bytes: UnsafeRawBufferPointer, name: String = "input", _ body: (URL) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try folder { (folder) throws(Failure) in
            let url = folder.appending(path: name, directoryHint: .notDirectory)
            write(bytes, to: url)
            return try body(url)
        }
    }

    /// Makes a file.
    static func write(_ bytes: UnsafeRawBufferPointer, to url: URL) {
        let descriptor = open(url.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        precondition(descriptor >= 0, "no scratch file: \(String(cString: strerror(errno)))")
        defer { close(descriptor) }
        let count = bytes.isEmpty ? 0 : Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        precondition(count == bytes.count, "no room for scratch files")
    }

    /// The bytes of a file. Not by Foundation, which loses 4 KiB of memory with each empty file (swift-foundation of 6.3).
    static func read(_ url: URL) -> [UInt8] {
        let descriptor = open(url.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        return [UInt8](unsafeUninitializedCapacity: size(url) ?? 0) { buffer, count in
            count = max(0, Glibc.read(descriptor, buffer.baseAddress, buffer.count))
        }
    }

    /// The names in a folder.
    static func names(in folder: URL) -> [String] {
        guard let stream = opendir(folder.path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// The length of a file, or nil where there is none.
    static func size(_ url: URL) -> Int? {
        var status = stat()
        return stat(url.path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : nil
    }
}

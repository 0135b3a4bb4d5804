public import Foundation

/// Real scans that are not part of the repository: `HEPAR_SHARED`, or `../shared` beside the checkout.
public enum SharedData {
    /// The file at `path` below the shared folder, or nil where it is absent: then the test is skipped and says so.
    public static func file(_ path: String) -> URL? {
        let root =
            ProcessInfo.processInfo.environment["HEPAR_SHARED"].map { URL(filePath: $0) }
            ?? repository.deletingLastPathComponent().appending(path: "shared")
        let url = root.appending(path: path)
        return FileManager.default.fileExists(atPath: url.path) ? url : nil
    }

    /// The repository's root folder.
    public static var repository: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }

    /// A golden file of the repository: `Tests/Fixtures/path`.
    public static func fixture(_ path: String) -> URL {
        repository.appending(path: "Tests/Fixtures").appending(path: path)
    }
}

/// A folder that is removed when `body` returns.
public func withTemporaryFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "hepar-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
}

import Foundation
import Sandbox

/// What this program is made of: the packages that it was built with, and the libraries that it runs with just now, which
/// an update of the system changes without it. openapi.yaml, schema `Info`.
public struct Software: Codable, Equatable, Sendable {
    /// A library that is loaded.
    public struct Library: Codable, Equatable, Sendable {
        /// The file's name up to `.so`.
        public let name: String
        /// As the library itself says it; else what stands behind `.so.` in its file's name; null where nothing does.
        @Nullable public private(set) var version: String?

        /// Whether both are the same.
        public static func == (one: Library, other: Library) -> Bool {
            one.name == other.name && one.version == other.version
        }
    }

    /// What the kernel has of confinement.
    public struct Guards: Codable, Equatable, Sendable {
        /// Version of Landlock; 0 without.
        public let landlock: Int
        /// Whether there are filters of system calls.
        public let seccomp: Bool
        /// What a newer Landlock guards.
        public let landlockLeavesOpen: [String]

        enum CodingKeys: String, CodingKey {
            case landlock, seccomp
            case landlockLeavesOpen = "landlock_leaves_open"
        }
    }

    /// Version of Hepar.
    public let version: String
    /// Versions of Swift packages, by name.
    public let packages: [String: String]
    /// In the order of their names.
    public let libraries: [Library]
    /// What the kernel has of confinement.
    public let confinement: Guards

    /// Of the running process.
    public init() {
        version = Hepar.version
        packages = Self.packages
        libraries = Self.loaded
        confinement = Guards(
            landlock: Kernel.landlock, seccomp: Kernel.hasSeccomp, landlockLeavesOpen: Kernel.leftOpen)
    }

    /// As in Package.resolved, which has others too that nothing of is linked; a test holds them against both.
    package static let packages = [
        "grdb.swift": "7.10.0", "swift-argument-parser": "1.8.2", "swift-collections": "1.6.0",
        "swift-configuration": "1.4.0",
        "swift-crypto": "4.5.2", "swift-log": "1.16.2", "swift-system": "1.8.1", "yams": "6.2.2",
    ]

    /// Functions by which libraries tell their versions, where a file's name tells that of its interface only.
    private static let tellers = [
        "libc": "gnu_get_libc_version", "libcurl": "curl_version", "libmicrohttpd": "MHD_get_version",
        "libopenblas": "openblas_get_config", "libopenjp2": "opj_version", "libsqlite3": "sqlite3_libversion",
        "libz": "zlibVersion", "libzip": "zip_libzip_version",
    ]

    /// The shared objects that the process has mapped.
    private static var loaded: [Library] {
        // The kernel hands it out in pieces: only who reads to its end has it all.
        let maps = try? FileHandle(forReadingFrom: URL(filePath: "/proc/self/maps")).readToEnd()
        let files = String(decoding: maps ?? Data(), as: UTF8.self).split(separator: "\n").compactMap { line in
            line.firstIndex(of: "/").map { URL(filePath: String(line[$0...])).lastPathComponent }
        }
        return Set(files).compactMap { file -> Library? in
            guard let parts = file.wholeMatch(of: /(.+?)\.so(?:\.(.+))?/) else { return nil }
            let name = String(parts.1)
            return Library(name: name, version: tellers[name].flatMap(told) ?? parts.2.map(String.init))
        }.sorted { $0.name < $1.name }
    }

    /// What a library's function says, without words around it.
    private static func told(by function: String) -> String? {
        typealias Teller = @convention(c) () -> UnsafePointer<CChar>?
        guard let address = dlsym(nil, function),
            let text = unsafeBitCast(address, to: Teller.self)().map({ String(cString: $0) })
        else { return nil }
        return text.firstMatch(of: /\d+(?:\.\d+)+/).map { String($0.0) }
    }
}

internal import CSandbox
import Foundation

/// What a child process may do: how much, and with which files. A child confines itself before it touches an input.
///
/// Beyond files there is nothing left to it: no network, no programs, no other processes, no new executable code. Files
/// are Landlock's to guard, calls seccomp's; where the kernel lacks one, ``Kernel`` tells, and the other still holds.
public struct Confinement: Codable, Equatable, Sendable {
    /// How much it may use.
    public var limits: ChildLimits
    /// Files and folders, with all below them, that it may read.
    public var readable: [String]
    /// Those that it may also write.
    public var writable: [String]

    /// Limits and paths.
    public init(limits: ChildLimits, readable: [String], writable: [String]) {
        self.limits = limits
        self.readable = readable
        self.writable = writable
    }

    /// Confines the running process for good; it must have one thread as yet. It does not outlive the thread that
    /// started it either.
    ///
    /// - Returns: whether all of it is in force, as far as the kernel knows it. If not, the process must end.
    public func apply() -> Bool {
        guard hasOneThread, cs_end_with_parent() == 0, limits.apply() else { return false }
        // Where memory runs out, the kernel is to end this process, not the service.
        try? Data("1000".utf8).write(to: URL(filePath: "/proc/self/oom_score_adj"))
        return withPaths(readable + Self.everyone) { readable in
            withPaths(writable) { writable in cs_confine_files(readable, writable) == 0 }
        } && cs_confine_calls() == 0
    }

    /// What libraries look up, and what is the same on every machine: time zones, the number of cores, DCMTK's names.
    private static let everyone = [
        "/etc/localtime", "/usr/share/zoneinfo", "/usr/share/libdcmtk17", "/sys/devices/system/cpu", "/dev/null",
        "/dev/urandom",
    ]

    /// Landlock holds for the calling thread and those that it starts.
    private var hasOneThread: Bool {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count) == 1
    }
}

/// What the kernel knows of confinement.
public enum Kernel {
    /// The version of Landlock, which guards files; 0 without. From 4 on it also guards TCP, from 6 on signals.
    public static var landlock: Int { Int(cs_landlock_version()) }
    /// What a Landlock of this version, or none, leaves open that a newer one guards. Where ``hasSeccomp`` says so, the
    /// filter of system calls refuses all of it but `files`.
    public static var leftOpen: [String] { leftOpen(landlock: landlock) }

    static func leftOpen(landlock version: Int) -> [String] {
        let guards = [
            (1, "files"), (3, "truncation"), (4, "tcp"), (5, "ioctl"), (6, "abstract_sockets"), (6, "signals"),
        ]
        return guards.filter { version < $0.0 }.map(\.1)
    }

    /// Whether there are filters of system calls.
    public static var hasSeccomp: Bool { cs_has_seccomp() != 0 }
}

private func withPaths<Result>(
    _ paths: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
    let copies = paths.map { strdup($0) }
    defer { copies.forEach { free($0) } }
    return (copies.map { UnsafePointer($0) } + [nil]).withUnsafeBufferPointer { body($0.baseAddress!) }
}

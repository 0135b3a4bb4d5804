import Foundation

/// What a child process may use. The child sets the limits itself before it touches an input; they end it, not the
/// service, when a file makes a decoder run wild.
public struct ChildLimits: Codable, Equatable, Sendable {
    /// Address space, which is more than memory in use: libraries alone take some hundred MiB.
    public var memoryMiB = 4096
    /// Processor time of all its threads.
    public var cpuSeconds = 600
    /// The largest file it may write.
    public var fileMiB = 4096
    /// Open files at a time.
    public var openFiles = 64
    /// How long it may say nothing, from its start or its last line to its next or its end; kept by the parent.
    public var silenceSeconds = 900
    /// How long it may take in all; kept by the parent.
    public var wallSeconds = 900

    /// Limits that the import of a scan of 2000 slices stays well within.
    public init() {}

    /// The most voxels whose volume, two bytes each, leaves as much memory to everything else.
    public var voxels: Int { memoryMiB << 18 }

    /// - Returns: whether the system accepted all of them.
    func apply() -> Bool {
        // No core file either, which would hold voxels.
        limit(RLIMIT_CORE, to: 0) && limit(RLIMIT_AS, to: memoryMiB << 20)
            && limit(RLIMIT_CPU, to: cpuSeconds, slack: 5)
            && limit(RLIMIT_FSIZE, to: fileMiB << 20) && limit(RLIMIT_NOFILE, to: openFiles)
    }
}

/// Soft and hard limit of the running process, `slack` apart; one that is lower already stays.
///
/// Past the soft limit on processor time comes SIGXCPU, which tells more than the SIGKILL past the hard one.
private func limit(_ resource: __rlimit_resource, to value: Int, slack: Int = 0) -> Bool {
    var now = rlimit()
    guard getrlimit(__rlimit_resource_t(resource.rawValue), &now) == 0 else { return false }
    let highest = min(rlim_t(value + slack), now.rlim_max)
    var wanted = rlimit(rlim_cur: min(rlim_t(value), highest), rlim_max: highest)
    return setrlimit(__rlimit_resource_t(resource.rawValue), &wanted) == 0
}

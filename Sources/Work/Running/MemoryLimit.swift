import Compute
import Foundation
import Glibc

/// How much memory the process may have: the least of what the machine has, what its control group and those above it are
/// limited to, and the limit on its address space.
package enum MemoryLimit {
    /// In bytes, as it is now.
    package static var ofThisProcess: Int {
        bytes(
            machine: Int(ProcessInfo.processInfo.physicalMemory), groups: ControlGroups.ofThisProcess,
            addressSpace: freeAddressSpace, text: ControlGroups.text(of:))
    }

    /// What is left of the address space; nil if it is not limited. Libraries and the stacks of threads take some of it
    /// that never is memory.
    private static var freeAddressSpace: Int? {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0, limit.rlim_cur < rlim_t(Int.max) else {
            return nil
        }
        let pages = ControlGroups.text(of: "/proc/self/statm")?.split(separator: " ").first.flatMap { Int($0) } ?? 0
        return max(0, Int(limit.rlim_cur) - pages * sysconf(Int32(_SC_PAGESIZE)))
    }

    /// The least of the limits.
    ///
    /// - Parameters:
    ///   - machine: bytes that the machine has.
    ///   - groups: the lines of `/proc/self/cgroup`, as cgroups(7) describes them.
    ///   - addressSpace: bytes of address space that are left; nil if it is not limited.
    ///   - text: what a file below `/sys/fs/cgroup` says, by its path; nil if it is not there.
    package static func bytes(machine: Int, groups: String, addressSpace: Int?, text: (String) -> String?) -> Int {
        let folders = ControlGroups.folders(of: "memory", groups: groups)
        let files = folders.second.map { "\($0)/memory.max" } + folders.first.map { "\($0)/memory.limit_in_bytes" }
        // "max" is no number: no limit.
        let limits = files.compactMap { path in
            text(path).flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
        }
        return (limits + [machine] + (addressSpace.map { [$0] } ?? [])).min()!
    }
}

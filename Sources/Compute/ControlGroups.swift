import Foundation

/// Where the kernel tells what the control groups of this process, and those above them, are limited to.
package enum ControlGroups {
    /// The folders of one controller, below `/sys/fs/cgroup`, from the process's own group up to the root.
    ///
    /// - Parameters:
    ///   - controller: its name, such as `memory` or `cpu`.
    ///   - groups: the lines of `/proc/self/cgroup`, as cgroups(7) describes them.
    /// - Returns: the folders of version 2 and those of version 1. In a container the group's own folder is often the
    ///   root of what can be seen, whatever its path is called; so the roots are among them.
    package static func folders(of controller: String, groups: String) -> (second: [String], first: [String]) {
        var (second, first): ([String], [String]) = ([], [])
        for line in groups.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            if fields[1].isEmpty {
                second += parents(of: fields[2]).map { "/sys/fs/cgroup\($0)" }
            } else if fields[1].split(separator: ",").contains(controller[...]) {
                first += parents(of: fields[2]).map { "/sys/fs/cgroup/\(controller)\($0)" }
            }
        }
        return (second + ["/sys/fs/cgroup"], first + ["/sys/fs/cgroup/\(controller)"])
    }

    /// The lines of `/proc/self/cgroup`; empty where there are no groups.
    package static var ofThisProcess: String { text(of: "/proc/self/cgroup") ?? "" }

    /// What a file says; nil if it is not there.
    package static func text(of path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

    /// `/a/b`, then `/a`: a group cannot have more than the ones it is in.
    private static func parents(of path: Substring) -> [String] {
        let names = path.split(separator: "/")
        return names.indices.reversed().map { "/" + names[...$0].joined(separator: "/") }
    }
}

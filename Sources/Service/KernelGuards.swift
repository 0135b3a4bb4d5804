import Logging
import Sandbox

extension Kernel {
    /// What the log tells of the guards at a start: what Landlock leaves open here, and what is there in its place.
    static var guards: Logger.Metadata {
        let open = leftOpen
        let covered = hasSeccomp ? open.filter { $0 != "files" } : []
        return [
            "landlock": "\(landlock)", "seccomp": "\(hasSeccomp)",
            "landlock_leaves_open": "\(open.isEmpty ? "nothing" : open.joined(separator: ","))",
            "seccomp_covers": "\(covered.isEmpty ? "nothing" : covered.joined(separator: ","))",
        ]
    }
}

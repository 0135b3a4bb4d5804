internal import CKernels
import Foundation

/// How many cores the process may use: not more than it may run on, and not more than its CPU quota pays for. Threads
/// beyond them take turns with one another and make the work slower.
public enum AvailableCores {
    /// At least 1, as it was when it was first asked for.
    public static let count = cores(
        affinity: affinity, groups: ControlGroups.ofThisProcess, text: ControlGroups.text(of:))

    /// As many threads as were asked for, or as there are cores if those are fewer.
    ///
    /// - Parameters:
    ///   - name: the option or setting that asks.
    ///   - warn: is told, in a sentence, that they are fewer.
    public static func cap(
        _ threads: Int, named name: String, cores: Int = count, warn: (String) -> Void
    ) -> Int {
        guard threads > cores else { return threads }
        warn(
            "\(name) is \(threads), and this process may use \(cores) \(cores == 1 ? "core" : "cores"), by its CPU affinity "
                + "and quota. It computes with \(cores): more would be slower.")
        return cores
    }

    /// The least of the limits.
    ///
    /// - Parameters:
    ///   - affinity: cores that the process may run on.
    ///   - groups: the lines of `/proc/self/cgroup`.
    ///   - text: what a file below `/sys/fs/cgroup` says, by its path; nil if it is not there.
    /// - Returns: a quota of one and a half cores counts as two: a thread less would leave a part of it unused.
    package static func cores(affinity: Int, groups: String, text: (String) -> String?) -> Int {
        let folders = ControlGroups.folders(of: "cpu", groups: groups)
        var quotas = folders.second.compactMap { text("\($0)/cpu.max").flatMap(quota) }
        quotas += folders.first.compactMap { folder in
            guard let quota = text("\(folder)/cpu.cfs_quota_us"), let period = text("\(folder)/cpu.cfs_period_us")
            else {
                return nil
            }
            return Self.quota("\(quota) \(period)")
        }
        return max(1, quotas.reduce(affinity) { min($0, Int($1.rounded(.up))) })
    }

    /// Cores that a quota and its period in microseconds make; nil for `max` and -1, which are no quota.
    private static func quota(_ text: String) -> Double? {
        let numbers = text.split(whereSeparator: \.isWhitespace).map { Double($0) }
        guard numbers.count == 2, let quota = numbers[0], let period = numbers[1], quota > 0, period > 0 else {
            return nil
        }
        return quota / period
    }

    private static var affinity: Int {
        let cores = Int(ck_affinity())
        return cores > 0 ? cores : ProcessInfo.processInfo.activeProcessorCount
    }
}

import Testing

@testable import Compute

/// The number of cores from what the system's files say.
@Suite struct AvailableCoresTests {
    /// Files below /sys/fs/cgroup, the process's groups, and the cores that they leave of 64.
    static let cases: [(groups: String, files: [String: String], cores: Int)] = [
        ("0::/\n", [:], 64),
        ("0::/\n", ["cpu.max": "max 100000\n"], 64),
        // docker run --cpus 2, seen from inside.
        ("0::/\n", ["cpu.max": "200000 100000\n"], 2),
        // A part of a core is a thread; less than one is one.
        ("0::/\n", ["cpu.max": "150000 100000\n"], 2), ("0::/\n", ["cpu.max": "20000 100000\n"], 1),
        // The period need not be 100 ms.
        ("0::/\n", ["cpu.max": "30000 10000\n"], 3),
        // systemd's unit, and a slice above with less.
        ("0::/a.slice/hepar.service\n", ["a.slice/hepar.service/cpu.max": "400000 100000\n"], 4),
        (
            "0::/a.slice/b.slice/hepar.service\n",
            ["a.slice/b.slice/hepar.service/cpu.max": "400000 100000\n", "a.slice/cpu.max": "300000 100000\n"], 3
        ),
        ("0::/hepar.service\n", ["other.service/cpu.max": "100000 100000\n"], 64),
        // A quota beyond the machine gives no cores.
        ("0::/\n", ["cpu.max": "9900000 100000\n"], 64),
        // Version 1, beside groups of other controllers; -1 is no quota.
        (
            "4:cpu,cpuacct:/docker/4711\n3:cpuset:/x\n0::/\n",
            [
                "cpu/docker/4711/cpu.cfs_quota_us": "250000\n", "cpu/docker/4711/cpu.cfs_period_us": "100000\n",
                "cpu/x/cpu.cfs_quota_us": "1000\n", "cpu/x/cpu.cfs_period_us": "100000\n",
            ], 3
        ),
        ("1:cpu:/\n", ["cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"], 64),
        (
            "1:cpu:/a/b\n",
            [
                "cpu/a/b/cpu.cfs_quota_us": "-1\n", "cpu/a/b/cpu.cfs_period_us": "100000\n",
                "cpu/a/cpu.cfs_quota_us": "500000\n", "cpu/a/cpu.cfs_period_us": "100000\n",
            ], 5
        ),
        // In a container of version 1 the root of what is seen is the group's own folder.
        ("1:cpu:/docker/4711\n", ["cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"], 2),
        ("", [:], 64), ("broken", [:], 64), ("0::/\n", ["cpu.max": "nonsense"], 64),
        ("0::/\n", ["cpu.max": "100000 0"], 64), ("1:cpu:/\n", ["cpu/cpu.cfs_quota_us": "100000"], 64),
    ]

    @Test(arguments: cases)
    func areTheLeastOfAffinityAndQuotas(groups: String, files: [String: String], cores: Int) {
        func count(affinity: Int) -> Int {
            AvailableCores.cores(affinity: affinity, groups: groups) { path in
                #expect(path.hasPrefix("/sys/fs/cgroup/") && !path.contains("//"))
                return files[String(path.dropFirst("/sys/fs/cgroup/".count))]
            }
        }
        #expect(count(affinity: 64) == cores)
        #expect(count(affinity: 2) == min(2, cores))
        #expect(count(affinity: 1) == 1)
    }

    @Test func moreThreadsThanCoresAreCappedWithAWord() {
        var words: [String] = []
        #expect(AvailableCores.cap(99, named: "--threads", cores: 2) { words.append($0) } == 2)
        #expect(words.count == 1 && words[0].contains("--threads is 99") && words[0].contains("2 cores"))
        #expect(AvailableCores.cap(2, named: "--threads", cores: 2) { words.append($0) } == 2)
        #expect(AvailableCores.cap(1, named: "--threads", cores: 2) { words.append($0) } == 1)
        #expect(words.count == 1)
    }
}

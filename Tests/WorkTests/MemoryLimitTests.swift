import Synchronization
import Testing

@testable import Work

/// The limit on memory from what the system's files say.
@Suite struct MemoryLimitTests {
    static let gib = 1 << 30

    /// Files below /sys/fs/cgroup, the process's groups, and the limit that they make on a machine of 64 GiB.
    static let cases: [(groups: String, files: [String: String], gib: Int)] = [
        ("0::/\n", [:], 64),
        ("0::/\n", ["memory.max": "max\n"], 64),
        // In a container the root of what is seen is the group's own folder.
        ("0::/\n", ["memory.max": "\(8 * gib)\n"], 8),
        // systemd's unit: only its own folder has the limit.
        (
            "0::/system.slice/hepar.service\n",
            ["system.slice/hepar.service/memory.max": "\(6 * gib)\n", "system.slice/memory.max": "max\n"], 6
        ),
        // A slice above has less than the unit.
        (
            "0::/a.slice/b.slice/hepar.service\n",
            ["a.slice/b.slice/hepar.service/memory.max": "\(6 * gib)\n", "a.slice/memory.max": "\(3 * gib)\n"], 3
        ),
        // The limit of another group is none of ours.
        ("0::/system.slice/hepar.service\n", ["system.slice/other.service/memory.max": "1\n"], 64),
        // Version 1, beside groups without memory; "no limit" is a number beyond any machine there.
        (
            "12:cpu,cpuacct:/x\n5:memory:/docker/4711\n1:name=systemd:/y\n0::/\n",
            ["memory/docker/4711/memory.limit_in_bytes": "\(5 * gib)\n", "memory/x/memory.limit_in_bytes": "1\n"], 5
        ),
        ("5:memory:/\n", ["memory/memory.limit_in_bytes": "9223372036854771712\n"], 64),
        // A path may hold colons.
        ("0::/a:b/c\n", ["a:b/c/memory.max": "\(2 * gib)\n"], 2),
        ("", [:], 64), ("broken", [:], 64), ("0::/a\n", ["a/memory.max": "nonsense"], 64),
    ]

    @Test(arguments: cases)
    func isTheLeastOfAll(groups: String, files: [String: String], gib: Int) {
        func limit(addressSpace: Int?) -> Int {
            MemoryLimit.bytes(machine: 64 << 30, groups: groups, addressSpace: addressSpace) { path in
                #expect(path.hasPrefix("/sys/fs/cgroup/") && !path.contains("//"))
                return files[String(path.dropFirst("/sys/fs/cgroup/".count))]
            }
        }
        #expect(limit(addressSpace: nil) == gib << 30)
        #expect(limit(addressSpace: 1 << 40) == gib << 30)
        #expect(limit(addressSpace: 1 << 30) == 1 << 30)
    }

    /// Measured when it is needed, and never again.
    @Test func theBudgetIsMeasuredOnce() throws {
        let count = Count()
        let budget = MemoryBudget(limit: count.next())
        #expect(count.value == 0)
        #expect(budget.limit == 1 && budget.limit == 1)
        #expect(try budget.reserving(9, checkStop: {}) { count.value } == 1)
    }

    @Test func thisProcessHasSome() {
        #expect(MemoryLimit.ofThisProcess > 64 << 20)
        #expect(MemoryBudget.fourFifthsOfMemory <= MemoryLimit.ofThisProcess)
    }
}

/// Counts from 1.
private final class Count: Sendable {
    private let last = Mutex(0)

    var value: Int { last.withLock { $0 } }

    func next() -> Int {
        last.withLock { last in
            last += 1
            return last
        }
    }
}

import Compute
import Synchronization
import Testing

@Suite struct ThreadTeamTests {
    @Test(arguments: [1, 2, 3, 5])
    func everyThreadRunsOnceAndBarriersHold(threads: Int) {
        let team = ThreadTeam(threads: threads)
        let first = Atomic<Int>(0)
        let late = Atomic<Int>(0)
        for round in 1...50 {
            team.run { _ in
                first.wrappingAdd(1, ordering: .relaxed)
                team.barrier()
                if first.load(ordering: .relaxed) != round * threads { late.wrappingAdd(1, ordering: .relaxed) }
                team.barrier()
            }
        }
        #expect(first.load(ordering: .relaxed) == 50 * threads)
        #expect(late.load(ordering: .relaxed) == 0)
    }

    @Test func chunksCoverEveryIndexOnce() {
        let team = ThreadTeam(threads: 2)
        var counts = [Int](repeating: 0, count: 1003)
        counts.withUnsafeMutableBufferPointer { counts in
            nonisolated(unsafe) let counts = counts
            team.forEachChunk(of: 1003, chunk: 10) { range in
                for index in range { counts[index] += 1 }
            }
        }
        #expect(counts.allSatisfy { $0 == 1 })
    }

    @Test func callersOnSeveralThreadsTakeTurns() async {
        let team = ThreadTeam(threads: 2)
        let counters = Counters()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<200 {
                        team.run { index in
                            if index == 0, counters.inside.wrappingAdd(1, ordering: .relaxed).newValue > 1 {
                                counters.clashes.wrappingAdd(1, ordering: .relaxed)
                            }
                            team.barrier()
                            if index == 0 { counters.inside.wrappingSubtract(1, ordering: .relaxed) }
                        }
                    }
                }
            }
        }
        #expect(counters.clashes.load(ordering: .relaxed) == 0)
    }

    @Test func seededRandomNumbersAreTheSameEverywhere() {
        var random = SplitMix64(seed: 1_234_567)
        #expect([random.next(), random.next()] == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973])
    }
}

private final class Counters: Sendable {
    let inside = Atomic<Int>(0)
    let clashes = Atomic<Int>(0)
}

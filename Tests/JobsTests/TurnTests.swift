import Foundation
import Jobs
import TestSupport
import Testing

/// Owners take turns within a priority, and nobody starves.
@Suite struct TurnTests {
    private func submit(
        _ store: any JobStore, _ owner: String?, _ priority: JobPriority = .routine, at seconds: Double = 0,
        cost: Double? = nil
    ) throws -> JobID {
        let new = NewJob(
            options: Data(), hasReference: false, uploadBytes: 1, createdAt: time(seconds), priority: priority,
            cost: cost, owner: owner)
        return try store.enqueue(new, queueLimit: 10_000).id
    }

    @Test(arguments: StoreKind.allCases)
    func ownersTakeTurns(kind: StoreKind) throws {
        try kind.withStore { store in
            for second in 0..<5 { _ = try submit(store, "many", at: Double(second)) }
            for second in 5..<7 { _ = try submit(store, "some", at: Double(second)) }
            _ = try submit(store, nil, at: 7)
            let owners = try (0..<8).map { _ in try store.claimOne(at: 10)?.job.owner ?? "nobody" }
            #expect(owners == ["many", "some", "nobody", "many", "some", "many", "many", "many"])
        }
    }

    /// Whose turn it was before a restart is known after it.
    @Test(arguments: StoreKind.whole)
    func turnsOutliveARestart(kind: StoreKind) throws {
        try withTemporaryFolder { folder in
            var last: String?
            for step in 0..<6 {
                let store = try kind.open(in: folder)
                if step == 0 { for owner in ["a", "b", "a", "b", "a", "b"] { _ = try submit(store, owner) } }
                let owner = try store.claimOne()?.job.owner
                #expect(owner != nil && owner != last)
                last = owner
            }
        }
    }

    /// A priority is served as before: turns are taken within it only.
    @Test(arguments: StoreKind.whole)
    func turnsDoNotPassPriorities(kind: StoreKind) throws {
        try kind.withStore { store in
            let first = try (0..<3).map { try submit(store, "a", .stat, at: Double($0)) }
            let other = try submit(store, "b", .routine, at: 3)
            #expect(try (0..<4).map { _ in try store.claimOne(at: 5)?.job.id } == first + [other])
        }
    }

    /// Random owners, priorities and times against two promises, each checked from the outside:
    /// between two claims of one owner at a priority, every other that waited there all the time is served once; and the
    /// job that is first by rank starts after at most one job of each other owner that waits beside it.
    @Test(arguments: StoreKind.whole, 1...6 as ClosedRange<UInt64>)
    func nobodyStarves(kind: StoreKind, seed: UInt64) throws {
        struct Waiting { let id: JobID, owner: String, priority: JobPriority, rank: Double, name: Int }
        try kind.withStore { store in
            var random = Random(state: seed)
            func below(_ bound: Int) -> Int { random.below(bound) }
            let handicap = [JobPriority.stat: 0.0, .routine: 7_200, .bulk: 86_400]
            var waiting: [Waiting] = []
            // For each owner and priority the owners that have been served since it was, while it waited.
            var passedBy: [String: [String: Int]] = [:]
            var (now, name, passes) = (0.0, 0, (first: JobID?.none, by: Set<String>()))
            var claims = 0
            for _ in 0..<600 {
                now += [0, 1, 600, 9_000][below(4)]
                // One owner sends most; the others a job now and then.
                if below(5) < 3 {
                    let owner = below(3) > 0 ? "greedy" : "owner-\(below(5))"
                    let priority = JobPriority.allCases[below(3)]
                    name += 1
                    let id = try submit(store, owner, priority, at: now)
                    waiting.append(
                        Waiting(
                            id: id, owner: owner, priority: priority, rank: now + (handicap[priority] ?? 0), name: name)
                    )
                    continue
                }
                guard let first = waiting.min(by: { ($0.rank, $0.name) < ($1.rank, $1.name) }) else { continue }
                let beside = Set(waiting.filter { $0.priority == first.priority }.map(\.owner))
                let claim = try #require(try store.claimOne(at: now))
                claims += 1
                let job = try #require(waiting.first { $0.id == claim.job.id })
                #expect(job.priority == first.priority)
                #expect(
                    !waiting.contains {
                        $0.owner == job.owner && $0.priority == job.priority
                            && ($0.rank, $0.name) < (job.rank, job.name)
                    })
                if passes.first != first.id { passes = (first.id, []) }
                if job.id != first.id {
                    let isNew = passes.by.insert(job.owner).inserted
                    #expect(isNew && job.owner != first.owner, "the first was passed twice by \(job.owner)")
                }
                func key(_ owner: String) -> String { "\(job.priority) \(owner)" }
                for other in beside where other != job.owner {
                    passedBy[key(other), default: [:]][job.owner, default: 0] += 1
                    #expect(passedBy[key(other)]?[job.owner] ?? 0 <= 1, "\(other) was passed twice by \(job.owner)")
                }
                passedBy[key(job.owner)] = [:]
                waiting.removeAll { $0.id == job.id }
                // Who waits no more begins anew when it comes back.
                if !waiting.contains(where: { $0.owner == job.owner && $0.priority == job.priority }) {
                    passedBy[key(job.owner)] = nil
                }
                _ = try store.finish(claim, .succeeded(result: Data()), at: time(now))
            }
            #expect(claims > 100)
        }
    }

    /// Of others' jobs as many are ahead as of one's own, and one more.
    @Test(arguments: StoreKind.whole)
    func theEstimateKnowsOfTurns(kind: StoreKind) throws {
        try kind.withStore { store in
            _ = try submit(store, "a", cost: 1)
            try store.runOne(.succeeded(result: Data()), from: 0, to: 1)  // a pace of 1 s
            for second in 1...10 { _ = try submit(store, "many", at: Double(second), cost: 4) }
            let first = try submit(store, "one", at: 20, cost: 2)
            let second = try submit(store, "one", at: 21, cost: 2)
            #expect(try store.estimate(for: first, workers: 1) == .seconds(4 + 2))
            #expect(try store.estimate(for: second, workers: 1) == .seconds(2 * 4 + 2 + 2))
            // More than there are cannot be ahead.
            for second in 22...50 { _ = try submit(store, "one", at: Double(second), cost: 0) }
            let last = try submit(store, "one", at: 60, cost: 1)
            #expect(try store.estimate(for: last, workers: 1) == .seconds(10 * 4 + 2 + 2 + 1))
        }
    }
}

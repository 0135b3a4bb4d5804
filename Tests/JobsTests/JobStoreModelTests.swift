import Foundation
import Jobs
import TestSupport
import Testing

/// Random sequences of calls against a small model of the rules, written down a second time and in another way.
@Suite struct JobStoreModelTests {
    @Test(arguments: StoreKind.whole, 1...3 as ClosedRange<UInt64>)
    func randomSequences(kind: StoreKind, seed: UInt64) throws {
        try withTemporaryFolder { folder in
            var store = try kind.openWhole(in: folder)
            var model = Model()
            var random = Random(state: seed)
            for step in 0..<250 {
                try takeStep(&model, store, &random)
                if random.below(40) == 0 { store = try kind.openWhole(in: folder) }
                try compare(model, store, "seed \(seed), step \(step)")
            }
            // The sequence must have met every state, or it proves little.
            #expect(Set(model.met).count == JobState.allCases.count)
        }
    }

    private func takeStep(_ model: inout Model, _ store: any SingleHostStore, _ random: inout Random) throws {
        // A leap lets jobs grow older than the handicaps of priorities.
        model.now += random.below(25) == 0 ? 20_000 : [0, 1, 10, 45][random.below(4)]
        let now = time(model.now)
        switch random.below(15) {
        case 0, 1, 2:
            let priority = JobPriority.allCases[random.below(3)]
            let job = try? store.enqueueOne(limit: Model.room, at: model.now, priority)
            #expect((job != nil) == model.hasRoom)
            if let job { model.accept(job.id, priority) }
        case 3, 4, 5:
            let claim = try store.claimOne(at: model.now)
            #expect(claim?.job.id == model.claim())
            if let claim { model.hold(claim) }
        case 6:
            guard let claim = model.anyClaim(&random) else { return }
            let expected = model.renew(claim)
            #expect(try store.renew(claim, stage: "s", progress: 0.5, until: now + 60) == expected)
        case 7, 8, 9:
            guard let claim = model.anyClaim(&random) else { return }
            let outcome: JobOutcome =
                switch random.below(5) {
                case 0: .succeeded(result: Data("r".utf8))
                case 1: .failed(broken)
                case 2: .retry(reason: broken)
                case 3: .postponed(reason: nil, until: now + 20)
                default: .cancelled
                }
            let expected = model.finish(claim, outcome)
            #expect(try store.finish(claim, outcome, at: now)?.state == expected)
        case 10:
            guard let id = model.anyID(&random) else { return }
            let expected = model.cancel(id)
            #expect((try? store.cancel(id, at: now)?.state) == expected)
        case 11, 12:
            guard let id = model.anyID(&random) else { return }
            let job = try? store.retry(id, limits: QueueLimits(jobs: Model.room), at: now)
            #expect((job != nil) == model.retry(id))
        case 13:
            model.isPaused = random.below(3) == 0
            try store.setPaused(model.isPaused)
        default:
            if random.below(4) == 0 {
                try store.releaseAll(at: now)
                model.releaseAll()
            } else if let id = model.anyID(&random) {
                let removed = (try? store.remove(id)) != nil
                #expect(removed == model.remove(id))
            }
        }
    }

    private func compare(_ model: Model, _ store: any JobStore, _ place: Comment) throws {
        let live = model.entries.filter { !$0.isRemoved }
        let jobs = try store.jobs(JobFilter(limit: 10_000))
        try #require(jobs.map(\.id) == live.map(\.id).reversed(), place)
        for (job, entry) in zip(jobs.reversed(), live) {
            try #require(job.state == entry.state, place)
            try #require(job.attempts == entry.attempts, place)
            try #require((job.finishedAt != nil) == ![.queued, .running].contains(entry.state), place)
            try #require((job.result != nil) == (entry.state == .succeeded), place)
            try #require((job.state != .failed) || job.failure != nil, place)
        }
        for state in JobState.allCases {
            try #require(try store.counts()[state] == live.filter { $0.state == state }.count, place)
        }
        let events = try store.events(after: 0, limit: 10_000)
        try #require(events.map(\.job) == model.events.map(\.job), place)
        try #require(events.map(\.kind) == model.events.map(\.kind), place)
        try #require(events.map(\.sequence) == events.indices.map { $0 + 1 }, place)
    }
}

/// The rules once more: three attempts, a lease of 60 s, times in seconds.
private struct Model {
    struct Entry {
        let id: JobID
        /// When the job takes its place in the queue.
        var rank: Double
        let handicap: Double
        var state = JobState.queued
        var attempts = 0
        var token: UUID?
        var leaseEnd = 0.0
        var wait = 0.0
        var cancelRequested = false
        var isRemoved = false
    }

    /// How many jobs may wait.
    static let room = 6

    var now = 0.0
    var isPaused = false
    var entries: [Entry] = []
    var claims: [ClaimedJob] = []
    var events: [(job: JobID, kind: JobEvent.Kind)] = []
    var met: [JobState] = []

    var hasRoom: Bool { entries.filter { $0.state == .queued }.count < Self.room }

    mutating func accept(_ id: JobID, _ priority: JobPriority) {
        let handicap = [JobPriority.stat: 0.0, .routine: 7_200, .bulk: 86_400][priority, default: 0]
        entries.append(Entry(id: id, rank: now + handicap, handicap: handicap))
        events.append((id, .accepted))
    }

    mutating func set(_ index: Int, _ state: JobState) {
        switch state {
        case .queued: events.append((entries[index].id, entries[index].state == .running ? .requeued : .retried))
        case .running: events.append((entries[index].id, .started))
        case .succeeded: events.append((entries[index].id, .succeeded))
        case .failed: events.append((entries[index].id, .failed))
        case .cancelled: events.append((entries[index].id, .cancelled))
        }
        entries[index].state = state
        met.append(state)
        if state != .running { entries[index].token = nil }
    }

    mutating func claim() -> JobID? {
        for index in entries.indices where entries[index].state == .running && entries[index].leaseEnd <= now {
            let next: JobState =
                entries[index].cancelRequested ? .cancelled : entries[index].attempts < 3 ? .queued : .failed
            set(index, next)
            entries[index].wait = 0
        }
        if isPaused { return nil }
        let waiting = entries.indices.filter { entries[$0].state == .queued && entries[$0].wait <= now }
        // The sort is stable, and entries are in the order of their names.
        for index in waiting.sorted(by: { entries[$0].rank < entries[$1].rank }) {
            if entries[index].attempts == 3 {
                set(index, .failed)
            } else {
                set(index, .running)
                entries[index].attempts += 1
                entries[index].leaseEnd = now + 60
                return entries[index].id
            }
        }
        return nil
    }

    mutating func hold(_ claim: ClaimedJob) {
        claims.append(claim)
        if let index = entries.firstIndex(where: { $0.id == claim.job.id }) { entries[index].token = claim.token }
    }

    func holder(_ claim: ClaimedJob) -> Int? { entries.firstIndex { $0.token == claim.token } }

    mutating func renew(_ claim: ClaimedJob) -> LeaseState {
        guard let index = holder(claim) else { return .lost }
        entries[index].leaseEnd = now + 60
        return entries[index].cancelRequested ? .cancelRequested : .held
    }

    mutating func finish(_ claim: ClaimedJob, _ outcome: JobOutcome) -> JobState? {
        guard let index = holder(claim) else { return nil }
        let again: JobState = entries[index].cancelRequested ? .cancelled : .queued
        entries[index].wait = 0
        switch outcome {
        case .succeeded: set(index, .succeeded)
        case .failed: set(index, .failed)
        case .cancelled: set(index, .cancelled)
        case .retry: set(index, again == .queued && entries[index].attempts == 3 ? .failed : again)
        case .postponed:
            set(index, again)
            if again == .queued {
                entries[index].attempts -= 1
                entries[index].wait = now + 20
            }
        }
        return entries[index].state
    }

    /// nil for a removed job; the double optional is that of `try?`.
    mutating func cancel(_ id: JobID) -> JobState?? {
        guard let index = entries.firstIndex(where: { $0.id == id && !$0.isRemoved }) else { return nil }
        if entries[index].state == .queued { set(index, .cancelled) }
        if entries[index].state == .running {
            if !entries[index].cancelRequested { events.append((id, .cancelRequested)) }
            entries[index].cancelRequested = true
        }
        return entries[index].state
    }

    mutating func retry(_ id: JobID) -> Bool {
        guard let index = entries.firstIndex(where: { $0.id == id && !$0.isRemoved }) else { return false }
        guard [.failed, .cancelled].contains(entries[index].state), hasRoom else { return false }
        set(index, .queued)
        entries[index].attempts = 0
        entries[index].rank = now + entries[index].handicap
        entries[index].wait = 0
        entries[index].cancelRequested = false
        return true
    }

    mutating func releaseAll() {
        for index in entries.indices where entries[index].state == .running {
            set(index, entries[index].cancelRequested ? .cancelled : .queued)
            entries[index].wait = 0
        }
    }

    mutating func remove(_ id: JobID) -> Bool {
        guard let index = entries.firstIndex(where: { $0.id == id && !$0.isRemoved }) else { return false }
        guard ![.queued, .running].contains(entries[index].state) else { return false }
        entries[index].isRemoved = true
        events.append((id, .deleted))
        return true
    }

    func anyID(_ random: inout Random) -> JobID? {
        entries.isEmpty ? nil : entries[random.below(entries.count)].id
    }

    /// Mostly one of the last claims, sometimes one long lost.
    func anyClaim(_ random: inout Random) -> ClaimedJob? {
        guard !claims.isEmpty else { return nil }
        let span = random.below(4) == 0 ? claims.count : min(2, claims.count)
        return claims[claims.count - 1 - random.below(span)]
    }
}

/// SplitMix64.
struct Random {
    var state: UInt64

    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((z ^ (z >> 31)) % UInt64(bound))
    }
}

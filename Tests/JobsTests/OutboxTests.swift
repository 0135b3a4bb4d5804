import Foundation
import Jobs
import TestSupport
import Testing

/// Webhooks on their way, and the audit log.
@Suite struct OutboxTests {
    private func enqueue(_ store: any JobStore, webhook: String? = "https://example.org/h") throws -> JobID {
        let new = NewJob(
            options: Data(), hasReference: false, uploadBytes: 1, createdAt: time(), webhook: webhook)
        return try store.enqueue(new, queueLimit: 99).id
    }

    private let lease = Duration.seconds(30)

    // MARK: - The rule of delays

    /// 10 s · 2^n up to an hour: 5110 s for the first nine, then ten hours.
    @Test func delaysGrowToAnHourAndEnd() {
        let delays = (1...25).map { WebhookDelivery.delay(afterAttempt: $0) }
        let seconds = [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560] + Array(repeating: 3_600, count: 10)
        #expect(delays.prefix(19) == seconds.map { Duration.seconds($0) }[...])
        #expect(delays.dropFirst(19).allSatisfy { $0 == nil })
        #expect(seconds.reduce(0, +) == 5_110 + 36_000)
    }

    /// What the receiver asks for lengthens the delay, within a day, and never shortens it.
    @Test(arguments: StoreKind.whole, [(nil, 10.0), (3, 10), (10, 10), (45, 45), (7_200, 7_200), (9_999_999, 86_400)])
    func theReceiversPauseIsKept(kind: StoreKind, pause: (seconds: Int?, delay: Double)) throws {
        try kind.withWholeStore { store in
            _ = try enqueue(store)
            try store.runOne(.succeeded(result: Data()), to: 1)
            let taken = try #require(try store.nextDelivery(at: time(2), lease: lease))
            let asked = pause.seconds.map { Duration.seconds($0) }
            let next = try store.failed(taken, "busy", at: time(3), notBefore: asked)
            #expect(next?.dueAt == time(3 + pause.delay) && next?.isDead == false)
            #expect(try store.nextDelivery(at: time(3 + pause.delay - 0.01), lease: lease) == nil)
            #expect(try store.nextDelivery(at: time(3 + pause.delay), lease: lease)?.attempts == 2)
        }
    }

    // MARK: - Deliveries

    @Test(arguments: StoreKind.whole)
    func eachEndOfAJobIsDelivered(kind: StoreKind) throws {
        try kind.withWholeStore { store in
            #expect(try store.nextDelivery(at: time(9), lease: lease) == nil)
            let ids = try (0..<4).map { _ in try enqueue(store) }
            _ = try enqueue(store, webhook: nil)
            try store.runOne(.succeeded(result: Data()), to: 1)
            try store.runOne(.failed(broken), to: 2)
            _ = try store.cancel(ids[2], at: time(3))
            // Neither a run that is broken off nor a wish to cancel is an end.
            try store.runOne(.retry(reason: broken), to: 4)
            let claim = try #require(try store.claimOne(at: 5))
            _ = try store.cancel(ids[3], at: time(5))

            var deliveries: [WebhookDelivery] = []
            while let next = try store.nextDelivery(at: time(6), lease: lease) { deliveries.append(next) }
            #expect(deliveries.map(\.job) == Array(ids.prefix(3)))
            #expect(deliveries.map(\.state) == [.succeeded, .failed, .cancelled])
            #expect(deliveries.map(\.createdAt) == [time(1), time(2), time(3)])
            #expect(deliveries.allSatisfy { $0.url == "https://example.org/h" && $0.attempts == 1 })
            for delivery in deliveries {
                let event = try store.events(after: delivery.event - 1, limit: 1).first
                #expect(event?.job == delivery.job && event?.kind.state == delivery.state)
            }

            #expect(try store.finish(claim, .cancelled, at: time(7))?.state == .cancelled)
            #expect(try store.nextDelivery(at: time(7), lease: lease)?.job == ids[3])
            // A retried job ends, and tells it, once more.
            _ = try store.retry(ids[1], limits: QueueLimits(jobs: 9), at: time(8))
            #expect(try store.nextDelivery(at: time(8), lease: lease) == nil)
            let other = try #require(try store.claimOne(at: 8))
            #expect(other.job.webhook == nil)
            try store.runOne(.succeeded(result: Data()), from: 8, to: 9)
            let again = try #require(try store.nextDelivery(at: time(9), lease: lease))
            #expect(again.job == ids[1] && again.state == .succeeded && again.id > 4)
        }
    }

    @Test(arguments: StoreKind.whole)
    func jobsEndedByTheStoreAreDeliveredToo(kind: StoreKind) throws {
        try kind.withWholeStore { store in
            let lost = try enqueue(store)
            _ = try store.claim(at: time(), lease: .seconds(1), maxAttempts: 1)
            _ = try store.claim(at: time(2), lease: .seconds(1), maxAttempts: 1)
            let first = try store.nextDelivery(at: time(2), lease: lease)
            #expect(first?.job == lost && first?.state == .failed)

            let source = try enqueue(store, webhook: nil)
            try store.runOne(.succeeded(result: Data()))
            let copy = NewJob(
                options: Data(), hasReference: false, uploadBytes: 1, createdAt: time(3),
                webhook: "https://example.org/c")
            _ = try store.enqueueFinished(copy, copying: source, limits: QueueLimits(jobs: 9))
            let second = try store.nextDelivery(at: time(3), lease: lease)
            #expect(second?.job == copy.id && second?.state == .succeeded && second?.url == "https://example.org/c")
        }
    }

    @Test(arguments: StoreKind.whole)
    func deliveredIsForgotten(kind: StoreKind) throws {
        try kind.withWholeStore { store in
            _ = try enqueue(store)
            try store.runOne(.succeeded(result: Data()))
            let delivery = try #require(try store.nextDelivery(at: time(1), lease: lease))
            #expect(try store.delivered(delivery))
            #expect(try !store.delivered(delivery))
            #expect(try store.nextDelivery(at: time(1e6), lease: lease) == nil)
            #expect(try store.deadLetters().isEmpty)
        }
    }

    @Test(arguments: StoreKind.whole)
    func lostSenderIsFollowedByAnother(kind: StoreKind) throws {
        try kind.withWholeStore { store in
            _ = try enqueue(store)
            try store.runOne(.succeeded(result: Data()))
            let lost = try #require(try store.nextDelivery(at: time(1), lease: lease))
            #expect(lost.dueAt == time(31))
            #expect(try store.nextDelivery(at: time(30.999), lease: lease) == nil)
            let second = try #require(try store.nextDelivery(at: time(31), lease: lease))
            #expect(second.id == lost.id && second.attempts == 2 && second.token != lost.token)
            // What the first still says changes nothing.
            #expect(try !store.delivered(lost))
            #expect(try store.failed(lost, "HTTP 500", at: time(32)) == nil)
            #expect(try store.delivered(second))
        }
    }

    @Test(arguments: StoreKind.whole)
    func failuresAreTriedAgainUntilTheLetterIsDead(kind: StoreKind) throws {
        try kind.withWholeStore { store in
            let job = try enqueue(store)
            try store.runOne(.succeeded(result: Data()))
            var now = 1.0
            for attempt in 1...WebhookDelivery.maxAttempts {
                let delivery = try #require(try store.nextDelivery(at: time(now), lease: lease))
                #expect(delivery.attempts == attempt)
                let next = try #require(try store.failed(delivery, "HTTP 503", at: time(now + 2)))
                guard let delay = WebhookDelivery.delay(afterAttempt: attempt) else { break }
                let due = now + 2 + delay / .seconds(1)
                #expect(next.dueAt == time(due) && !next.isDead)
                #expect(try store.deadLetters().isEmpty)
                #expect(try store.nextDelivery(at: time(due - 0.001), lease: lease) == nil)
                now = due
            }
            #expect(try store.nextDelivery(at: time(1e9), lease: lease) == nil)
            let dead = try #require(try store.deadLetters().first)
            #expect(dead.isDead && dead.job == job && dead.attempts == 20 && dead.failure == "HTTP 503")
            #expect(try store.deadLetters(after: dead.id).isEmpty)

            #expect(try store.revive(dead.id, at: time(now)))
            #expect(try !store.revive(dead.id, at: time(now)))
            #expect(try !store.revive(dead.id + 1, at: time(now)))
            #expect(try store.deadLetters().isEmpty)
            let again = try #require(try store.nextDelivery(at: time(now), lease: lease))
            #expect(again.id == dead.id && again.attempts == 1)
            #expect(try store.delivered(again))
        }
    }

    /// A delivery that brings every sender down is not tried for ever.
    @Test(arguments: StoreKind.whole)
    func sendersLostInEveryAttemptEndInADeadLetter(kind: StoreKind) throws {
        try kind.withWholeStore { store in
            _ = try enqueue(store)
            try store.runOne(.succeeded(result: Data()))
            var now = 1.0
            var taken = 0
            while try store.nextDelivery(at: time(now), lease: lease) != nil {
                taken += 1
                now += 30
            }
            #expect(taken == 20)
            #expect(try store.deadLetters().map(\.attempts) == [20])
        }
    }

    /// A job that was deleted before its end was told: the receiver still hears of it, also after a restart.
    @Test(arguments: StoreKind.whole)
    func deliveriesOutliveTheirJobAndARestart(kind: StoreKind) throws {
        try withTemporaryFolder { folder in
            let crashed = try kind.openWhole(in: folder)
            let kept = try enqueue(crashed)
            let removed = try enqueue(crashed)
            try crashed.runOne(.succeeded(result: Data()))
            try crashed.runOne(.succeeded(result: Data()))
            try crashed.remove(removed)

            let store = try kind.openWhole(in: folder)
            let taken = try (0..<2).map { _ in try #require(try store.nextDelivery(at: time(9), lease: lease)) }
            #expect(taken.map(\.job) == [kept, removed] && taken.allSatisfy { $0.state == .succeeded })
            for delivery in taken { #expect(try store.delivered(delivery)) }
            #expect(try store.deliveryCounts() == (0, 0))
        }
    }

    /// What was given up goes with the event that it tells of, and what is still to be told does not.
    @Test(arguments: StoreKind.whole)
    func deadLettersGoWithTheirEvents(kind: StoreKind) throws {
        try kind.withWholeStore { store in
            for _ in 0..<2 { _ = try enqueue(store) }
            try store.runOne(.succeeded(result: Data()), to: 1)
            let first = try #require(try store.nextDelivery(at: time(1), lease: lease))
            #expect(try store.giveUp(first.receiver, triedSince: time(1), "no") == 0, "a sender holds it")
            try store.failed(first, "no", at: time(2))
            #expect(try store.giveUp("http://other.example", triedSince: time(1), "no") == 0)
            #expect(try store.giveUp(first.receiver, triedSince: time(0.9), "no") == 0)
            #expect(try store.giveUp(first.receiver, triedSince: time(1), "too old") == 1)
            #expect(try store.deadLetters().map(\.failure) == ["too old"])
            try store.runOne(.succeeded(result: Data()), to: 3)
            try store.trimEvents(olderThan: time(1))
            #expect(try store.deadLetters().count == 1)
            try store.trimEvents(olderThan: time(1e6))
            #expect(try store.deadLetters().isEmpty)
            #expect(try store.deliveryCounts() == (1, 0))
        }
    }

    /// Other receivers' deliveries are found behind thousands for one that is passed over.
    @Test(arguments: StoreKind.whole)
    func receiversArePassedOver(kind: StoreKind) throws {
        try kind.withWholeStore { store in
            for url in ["https://a.example/1", "https://A.example/2?x", "https://a.example", "https://b.example:1/x"] {
                _ = try store.cancel(try enqueue(store, webhook: url), at: time())
            }
            func next(_ besides: Set<String>) throws -> String? {
                try store.nextDelivery(at: time(1), lease: lease, besides: besides)?.url
            }
            #expect(try next(["https://a.example"]) == "https://b.example:1/x")
            #expect(try next(["https://a.example", "https://c.example"]) == nil)
            #expect(try next([]) == "https://a.example/1")
            #expect(WebhookDelivery.receiver(of: "https://a.example?x=/") == "https://a.example")
        }
    }

    /// A receiver that is called seldom does not keep a delivery for ever: after three days the next failure is its last.
    @Test(arguments: StoreKind.whole)
    func threeDaysAreTheMost(kind: StoreKind) throws {
        try kind.withWholeStore { store in
            _ = try enqueue(store)
            try store.runOne(.succeeded(result: Data()))
            let days = WebhookDelivery.longestLife / .seconds(1)
            let early = try #require(try store.nextDelivery(at: time(days), lease: lease))
            #expect(try store.failed(early, "no", at: time(1 + days - 0.001))?.isDead == false)
            let late = try #require(try store.nextDelivery(at: time(2 * days), lease: lease))
            #expect(try store.failed(late, "no", at: time(2 * days))?.isDead == true)
            // Revived, it has as long again.
            #expect(try store.revive(late.id, at: time(3 * days)))
            let again = try #require(try store.nextDelivery(at: time(3 * days), lease: lease))
            #expect(try store.failed(again, "no", at: time(3 * days))?.isDead == false)
        }
    }

    // MARK: - Audit

    @Test(arguments: StoreKind.whole)
    func auditKeepsWhatIsAppended(kind: StoreKind) throws {
        try withTemporaryFolder { folder in
            let crashed = try kind.openWhole(in: folder)
            let id = JobID()
            let entries = [
                AuditEntry(
                    time: time(), actor: "pacs", action: "job.delete", job: id, outcome: "forbidden", request: "r1"),
                AuditEntry(time: time(1), actor: "cli", action: "queue.pause", outcome: "ok"),
                AuditEntry(time: time(2), actor: "pacs", action: "job.submit", job: id, outcome: "ok", request: "r2"),
            ]
            let written = try crashed.append([entries[0]]) + crashed.append(Array(entries[1...]))
            #expect(written.map(\.sequence) == [1, 2, 3])

            let log = try kind.openWhole(in: folder)
            #expect(try log.entries() == written)
            #expect(try log.entries(after: 1, limit: 1) == [written[1]])
            #expect(try log.entries(after: 3).isEmpty)
            var first = written[0]
            first.sequence = 0
            #expect(first == entries[0])
        }
    }
}

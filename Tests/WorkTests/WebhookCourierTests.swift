import Foundation
import Jobs
import Logging
import SQLiteJobs
import Telemetry
import TestSupport
import Testing
import Webhooks

@testable import Work

@Suite struct WebhookCourierTests {
    private static func courier(
        _ store: SQLiteJobStore, _ targets: [String], _ metrics: ServiceMetrics
    ) throws -> WebhookCourier {
        WebhookCourier(
            outbox: store, targets: try WebhookTargets(targets),
            sender: WebhookSender(signer: try WebhookSigner(secret: String(repeating: "s", count: 32))),
            outcomes: metrics.webhookDeliveries,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    private static func end(_ store: SQLiteJobStore, webhook: String) throws -> JobID {
        let new = NewJob(options: Data(), hasReference: false, uploadBytes: 1, webhook: webhook)
        _ = try store.enqueue(new, queueLimit: 99)
        _ = try store.cancel(new.id, at: Date())
        return new.id
    }

    /// Six deliveries are due before it, all to a receiver that says nothing: the other one is told while the first of them
    /// is still waited for, and no second one is sent there meanwhile.
    @Test func aSilentReceiverDelaysNobodyElse() throws {
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
            try TestReceiver.run { silent in
                try TestReceiver.run { other in
                    for _ in 0..<6 { _ = try Self.end(store, webhook: silent.url("/silent")) }
                    let told = try Self.end(store, webhook: other.url("/status/204"))
                    let metrics = ServiceMetrics()
                    let courier = try Self.courier(store, [silent.url("/"), other.url("/")], metrics)
                    courier.start()
                    for _ in 0..<2_000 where other.received.isEmpty || silent.received.isEmpty { usleep(5_000) }
                    courier.end()
                    #expect(
                        String(decoding: try #require(other.received.first).body, as: UTF8.self).contains("\(told)"))
                    #expect(silent.received.count == 1)
                    #expect(!metrics.registry.exposition().contains("outcome=\"timeout\""))
                    // Let the sender go: its socket is closed with the receiver.
                }
            }
        }
    }

    /// A job that is deleted as soon as it has ended: its receiver is told, and then nothing of it is left.
    @Test func theEndOfADeletedJobIsTold() throws {
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
            try TestReceiver.run { receiver in
                let jobs = try (0..<20).map { _ in try Self.end(store, webhook: receiver.url("/status/204")) }
                for job in jobs { try store.remove(job) }
                let courier = try Self.courier(store, [receiver.url("/")], ServiceMetrics())
                courier.start()
                for _ in 0..<2_000 where (try? store.deliveryCounts().pending) != 0 { usleep(5_000) }
                courier.end()
                let bodies = receiver.received.map { String(decoding: $0.body, as: UTF8.self) }
                for job in jobs { #expect(bodies.count { $0.contains("\(job)") } == 1) }
                #expect(bodies.allSatisfy { $0.contains("job.cancelled") })
                #expect(try store.deliveryCounts() == (0, 0))
            }
        }
    }

    // MARK: - Whom to call

    @Test func oneSenderAReceiverAndPausesForTheSilent() {
        var turns = ReceiverTurns()
        let now = ContinuousClock.now
        turns.begin("a")
        #expect(turns.closed(at: now) == ["a"])
        turns.end("a", .answered, at: now)
        #expect(turns.closed(at: now).isEmpty)
        // 10 s, twice as long each time, 5 min at most.
        for pause in [10, 20, 40, 80, 160, 300, 300] {
            turns.begin("a")
            turns.end("a", .silent(pause: nil), at: now)
            #expect(turns.closed(at: now + .seconds(pause) - .milliseconds(1)) == ["a"])
            #expect(turns.closed(at: now + .seconds(pause)).isEmpty)
        }
        turns.begin("b")
        #expect(turns.closed(at: now) == ["a", "b"])
        turns.end("a", .answered, at: now)
        turns.end("b", .silent(pause: .seconds(86_400)), at: now)
        // What one delivery's receiver asks for keeps others' no longer than that.
        #expect(turns.closed(at: now + .seconds(299)) == ["b"] && turns.closed(at: now + .seconds(300)).isEmpty)
    }

    /// A receiver that says when it wants to be called again is called then, not after the first 10 s; one that says too
    /// little is not called earlier for it; a day is the most.
    @Test(arguments: [("/busy/for-ever", 86_400.0), ("/busy", 10), ("/status/500", 10)])
    func theReceiverSaysWhenToComeAgain(path: String, delay: Double) throws {
        try withTemporaryFolder { folder in
            let store = try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
            try TestReceiver.run { receiver in
                let new = NewJob(
                    options: Data(), hasReference: false, uploadBytes: 1, webhook: receiver.url(path))
                let id = try store.enqueue(new, queueLimit: 9).id
                _ = try store.cancel(id, at: Date())
                let metrics = ServiceMetrics()
                let courier = try Self.courier(store, [receiver.url("/")], metrics)
                let start = Date()
                courier.start()
                for _ in 0..<100 where !metrics.registry.exposition().contains("{outcome=\"status_") { usleep(50_000) }
                courier.end()
                #expect(receiver.received.count == 1)
                // The failure is written after it was counted.
                usleep(200_000)
                #expect(try store.nextDelivery(at: start + delay - 1, lease: .seconds(60)) == nil)
                let again = try #require(
                    try store.nextDelivery(at: Date() + delay + 1, lease: .seconds(60)))
                #expect(again.job == id && again.attempts == 2)
            }
        }
    }
}

import Foundation
import Jobs
import Logging
import SQLiteJobs
import Telemetry
import TestSupport
import Testing
import Webhooks

@testable import Service

@Suite struct WebhookCourierTests {
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
                let courier = WebhookCourier(
                    outbox: store.outbox, targets: try WebhookTargets([receiver.url("/")]),
                    sender: WebhookSender(signer: try WebhookSigner(secret: String(repeating: "s", count: 32))),
                    outcomes: metrics.webhookDeliveries,
                    logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
                let start = Date()
                courier.start()
                for _ in 0..<100 where !metrics.registry.exposition().contains("{outcome=\"status_") { usleep(50_000) }
                courier.end()
                #expect(receiver.received.count == 1)
                // The failure is written after it was counted.
                usleep(200_000)
                #expect(try store.outbox.next(at: start + delay - 1, lease: .seconds(60)) == nil)
                let again = try #require(
                    try store.outbox.next(at: Date() + delay + 1, lease: .seconds(60)))
                #expect(again.job == id && again.attempts == 2)
            }
        }
    }
}

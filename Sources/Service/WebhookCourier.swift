import Foundation
import Jobs
import Logging
import Synchronization
import Telemetry
import Webhooks

/// Delivers the store's webhooks, one after the other, on a thread of its own.
final class WebhookCourier: Sendable {
    private let outbox: Outbox
    private let targets: WebhookTargets
    private let sender: WebhookSender
    private let outcomes: Telemetry.Counter
    private let logger: Logger
    private let isEnding = Mutex(false)
    private let bell = DispatchSemaphore(value: 0)

    /// How often the outbox is looked at when no job has ended.
    private static let pause = 5.0

    init(
        outbox: Outbox, targets: WebhookTargets, sender: WebhookSender, outcomes: Telemetry.Counter, logger: Logger
    ) {
        self.outbox = outbox
        self.targets = targets
        self.sender = sender
        self.outcomes = outcomes
        self.logger = logger
    }

    func start() {
        let thread = Thread { [self] in
            while !isEnding.withLock({ $0 }) {
                if !deliverNext() { _ = bell.wait(timeout: .now() + Self.pause) }
            }
        }
        thread.name = "webhooks"
        thread.start()
    }

    /// A job has changed: there may be something to deliver.
    func wake() { bell.signal() }

    func end() {
        isEnding.withLock { $0 = true }
        bell.signal()
    }

    /// Takes and sends one delivery; false if none was due.
    private func deliverNext() -> Bool {
        do {
            guard let delivery = try outbox.next(at: Date(), lease: .seconds(60)) else { return false }
            let facts: Logger.Metadata = ["job": "\(delivery.job)", "attempt": "\(delivery.attempts)"]
            if let failure = try send(delivery) {
                let next = try outbox.failed(delivery, failure.reason, at: Date(), notBefore: failure.after)
                logger.warning(next?.isDead == true ? "webhook given up" : "webhook not delivered", metadata: facts)
            } else {
                try outbox.delivered(delivery)
                logger.info("webhook delivered", metadata: facts)
            }
            return true
        } catch {
            logger.error("webhooks stopped", metadata: ["error": "\(type(of: error))"])
            return false
        }
    }

    /// Nil if it was delivered, else why not, and for how long the receiver asked not to be called again.
    private func send(_ delivery: WebhookDelivery) throws -> (reason: String, after: Duration?)? {
        let target: WebhookTarget
        do {
            // The list may have changed since the job was sent.
            target = try targets.target(delivery.url)
        } catch {
            outcomes.add(1, error.code)
            return (error.description, nil)
        }
        let body = WebhookBody(
            event: "job.\(delivery.state.rawValue)", sequence: delivery.event, job: "\(delivery.job)",
            state: delivery.state, time: delivery.createdAt)
        let message = WebhookMessage(
            id: "\(delivery.id)", event: body.event, body: try JSONEncoder.hepar.encode(body))
        switch sender.send(message, to: target) {
        case .delivered:
            outcomes.add(1, "delivered")
            return nil
        case .retry(let failure, let seconds):
            outcomes.add(1, failure.code)
            return (failure.description, seconds.map { .seconds($0) })
        case .failed(let failure):
            outcomes.add(1, failure.code)
            return (failure.description, nil)
        }
    }
}

/// What a webhook says; the job itself is fetched by who has the right to. openapi.yaml, schema `WebhookBody`.
struct WebhookBody: Codable, Sendable {
    let event: String
    let sequence: Int
    let job: String
    let state: JobState
    let time: Date
}

import Cases
import Foundation
import Jobs
import Logging
import Synchronization
import Telemetry
import Webhooks

/// Delivers the store's webhooks. As many threads send as there are configured servers, within a bound, and each server is
/// called by one of them at a time: a receiver that does not answer keeps one sender for a while, and nobody's else.
package final class WebhookCourier: Sendable {
    private let outbox: any Outbox
    private let targets: WebhookTargets
    private let sender: WebhookSender
    private let outcomes: Telemetry.Counter
    private let logger: Logger
    private let isEnding = Mutex(false)
    private let turns = Mutex(ReceiverTurns())
    private let bell = Bell()

    /// How often the outbox is looked at when no job has ended.
    private static let pause = Duration.seconds(5)
    /// Senders at once.
    private static let mostSenders = 8

    package init(
        outbox: any Outbox, targets: WebhookTargets, sender: WebhookSender, outcomes: Telemetry.Counter, logger: Logger
    ) {
        self.outbox = outbox
        self.targets = targets
        self.sender = sender
        self.outcomes = outcomes
        self.logger = logger
    }

    package func start() {
        for number in 1...max(1, min(targets.servers, Self.mostSenders)) {
            let thread = Thread { [self] in
                while !isEnding.withLock({ $0 }) {
                    let seen = bell.count
                    if !deliverNext() { bell.wait(past: seen, timeout: Self.pause) }
                }
            }
            thread.name = "webhooks-\(number)"
            thread.start()
        }
    }

    /// A job has changed: there may be something to deliver.
    package func wake() { bell.ring() }

    package func end() {
        isEnding.withLock { $0 = true }
        bell.ring()
    }

    /// Takes and sends one delivery; false if none was due.
    private func deliverNext() -> Bool {
        do {
            guard let delivery = try take() else { return false }
            var answer = ReceiverTurns.Answer.answered
            defer { turns.withLock { $0.end(delivery.receiver, answer, at: .now) } }
            let facts: Logger.Metadata = ["job": "\(delivery.job)", "attempt": "\(delivery.attempts)"]
            if let failure = try send(delivery) {
                answer = failure.answer
                let next = try outbox.failed(delivery, failure.reason, at: Date(), notBefore: failure.after)
                logger.warning(next?.isDead == true ? "webhook given up" : "webhook not delivered", metadata: facts)
                if case .silent = answer { try giveUpWhatIsOld(delivery.receiver, failure.reason) }
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

    /// The next delivery to a receiver that nobody calls; from then on nobody else does.
    private func take() throws -> WebhookDelivery? {
        try turns.withLock { turns in
            let closed = turns.closed(at: .now)
            let delivery = try outbox.nextDelivery(at: Date(), lease: .seconds(60), besides: closed)
            if let delivery { turns.begin(delivery.receiver) }
            return delivery
        }
    }

    /// A receiver in a pause is told so little that its deliveries would wait for weeks for all their attempts.
    private func giveUpWhatIsOld(_ receiver: String, _ reason: String) throws {
        let limit = Date() - WebhookDelivery.longestLife / .seconds(1)
        let count = try outbox.giveUp(receiver, triedSince: limit, reason)
        if count > 0 { logger.warning("old webhooks given up", metadata: ["webhooks": "\(count)"]) }
    }

    /// Why a delivery failed: for how long the receiver asked not to be called again, and what that says of the receiver.
    private struct Failure {
        var reason: String
        var after: Duration?
        var answer: ReceiverTurns.Answer
    }

    /// Nil if it was delivered, else why not.
    private func send(_ delivery: WebhookDelivery) throws -> Failure? {
        let target: WebhookTarget
        do {
            // The list may have changed since the job was sent.
            target = try targets.target(delivery.url)
        } catch {
            outcomes.add(1, error.code)
            return Failure(reason: error.description, after: nil, answer: .answered)
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
            let after = seconds.map { Duration.seconds($0) }
            return Failure(reason: failure.description, after: after, answer: .silent(pause: after))
        case .failed(let failure):
            outcomes.add(1, failure.code)
            return Failure(reason: failure.description, after: nil, answer: .answered)
        }
    }
}

/// What a webhook says; the job itself is fetched by who has the right to. openapi.yaml, schema `WebhookBody`.
package struct WebhookBody: Codable, Sendable {
    package let event: String
    package let sequence: Int
    package let job: String
    package let state: JobState
    package let time: Date
}

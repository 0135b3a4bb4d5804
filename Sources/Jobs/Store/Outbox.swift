public import Foundation

/// Webhooks that are still to be delivered. A store adds one when a job with a ``Job/webhook`` reaches a final state, in
/// the same transaction; senders take them one by one.
///
/// Each arrives at least once: a sender that is lost after it was heard is followed by another. A delivery outlives its
/// job: who removes the job does not keep its end from being told. What was given up goes with the event that it tells
/// of; see ``JobStore/trimEvents(olderThan:)``. Every call is safe from any thread, and durable once it has returned.
public protocol Outbox: Sendable {
    /// How many deliveries are still to be made, and how many were given up.
    func deliveryCounts() throws(JobStoreError) -> (pending: Int, dead: Int)

    /// Takes the delivery that has been due longest; nil if none is. Costs no write if none is due.
    ///
    /// - Parameters:
    ///   - lease: when it is over without a report, the delivery is due again.
    ///   - receivers: whose deliveries are passed over; see ``WebhookDelivery/receiver``.
    func nextDelivery(
        at now: Date, lease: Duration, besides receivers: Set<String>
    ) throws(JobStoreError) -> WebhookDelivery?

    /// Writes what became of an attempt: `next` in place of the delivery, or nothing more of it where that is nil.
    ///
    /// - Returns: false if the token is no longer that of the present attempt: the other sender's report counts.
    func settle(_ delivery: WebhookDelivery, as next: WebhookDelivery?) throws(JobStoreError) -> Bool

    /// Gives up what a receiver that does not answer was to be told since `time` or longer, tried or not, for this reason;
    /// what a sender holds just now is left to it.
    ///
    /// - Returns: how many deliveries became dead letters.
    @discardableResult
    func giveUp(_ receiver: String, triedSince time: Date, _ reason: String) throws(JobStoreError) -> Int

    /// Deliveries that were given up, oldest first.
    ///
    /// - Parameter id: only those with a greater number: the last of the page before, 0 for the first page.
    func deadLetters(after id: Int, limit: Int) throws(JobStoreError) -> [WebhookDelivery]

    /// Has a dead letter tried again, at once and with all its attempts; false if there is none of this number.
    func revive(_ id: Int, at now: Date) throws(JobStoreError) -> Bool
}

extension Outbox {
    /// Takes the delivery that has been due longest; see ``nextDelivery(at:lease:besides:)``.
    public func nextDelivery(at now: Date, lease: Duration) throws(JobStoreError) -> WebhookDelivery? {
        try nextDelivery(at: now, lease: lease, besides: [])
    }

    /// The first page of deliveries that were given up; see ``deadLetters(after:limit:)``.
    public func deadLetters(after id: Int = 0) throws(JobStoreError) -> [WebhookDelivery] {
        try deadLetters(after: id, limit: 50)
    }

    /// The receiver has accepted it: it is forgotten.
    ///
    /// - Returns: false if the lease was lost; the other sender's report counts.
    @discardableResult
    public func delivered(_ delivery: WebhookDelivery) throws(JobStoreError) -> Bool {
        try settle(delivery, as: nil)
    }

    /// The attempt failed: it is tried again after ``WebhookDelivery/delay(afterAttempt:)``, or becomes a dead letter.
    ///
    /// - Parameters:
    ///   - reason: for the operator, such as "HTTP 503"; nothing of what the receiver answered.
    ///   - pause: for how long the receiver asked not to be called; see ``WebhookDelivery/failed(_:at:notBefore:)``.
    /// - Returns: the delivery as it is now; nil if the lease was lost.
    @discardableResult
    public func failed(
        _ delivery: WebhookDelivery, _ reason: String, at now: Date, notBefore pause: Duration? = nil
    ) throws(JobStoreError) -> WebhookDelivery? {
        let next = delivery.failed(reason, at: now, notBefore: pause)
        return try settle(delivery, as: next) ? next : nil
    }
}

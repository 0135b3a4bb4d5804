public import Foundation

/// Webhooks that are still to be delivered. A store adds one when a job with a ``Job/webhook`` reaches a final state, in
/// the same transaction; senders take them one by one.
///
/// Each arrives at least once: a sender that is lost after it was heard is followed by another. A delivery outlives its
/// job: who removes the job does not keep its end from being told. What was given up goes with the event that it tells
/// of; see ``JobStore/trimEvents(olderThan:)``. Every call is safe from any thread, and durable once it has returned.
public struct Outbox: Sendable {
    private let take: @Sendable (Date, Duration, Set<String>) throws(JobStoreError) -> WebhookDelivery?
    private let settle: @Sendable (WebhookDelivery, WebhookDelivery?) throws(JobStoreError) -> Bool
    private let abandon: @Sendable (String, Date, String) throws(JobStoreError) -> Int
    private let dead: @Sendable (Int, Int) throws(JobStoreError) -> [WebhookDelivery]
    private let revive: @Sendable (Int, Date) throws(JobStoreError) -> Bool
    private let count: @Sendable () throws(JobStoreError) -> (pending: Int, dead: Int)

    /// An outbox over what a store can do.
    ///
    /// - Parameters:
    ///   - take: ``next(at:lease:besides:)``.
    ///   - settle: writes the second delivery in place of the first, or drops it where that is nil; false if the token
    ///     of the first is no longer that of the present attempt.
    ///   - giveUp: ``giveUp(_:triedSince:_:)``.
    ///   - dead: ``deadLetters(after:limit:)``.
    ///   - revive: ``retry(_:at:)``.
    ///   - count: ``counts()``.
    public init(
        take: @escaping @Sendable (Date, Duration, Set<String>) throws(JobStoreError) -> WebhookDelivery?,
        settle: @escaping @Sendable (WebhookDelivery, WebhookDelivery?) throws(JobStoreError) -> Bool,
        giveUp: @escaping @Sendable (String, Date, String) throws(JobStoreError) -> Int,
        dead: @escaping @Sendable (Int, Int) throws(JobStoreError) -> [WebhookDelivery],
        revive: @escaping @Sendable (Int, Date) throws(JobStoreError) -> Bool,
        count: @escaping @Sendable () throws(JobStoreError) -> (pending: Int, dead: Int)
    ) {
        self.take = take
        self.settle = settle
        abandon = giveUp
        self.dead = dead
        self.revive = revive
        self.count = count
    }

    /// How many deliveries are still to be made, and how many were given up.
    public func counts() throws(JobStoreError) -> (pending: Int, dead: Int) { try count() }

    /// Takes the delivery that has been due longest; nil if none is. Costs no write if none is due.
    ///
    /// - Parameters:
    ///   - lease: when it is over without a report, the delivery is due again.
    ///   - receivers: whose deliveries are passed over; see ``WebhookDelivery/receiver``.
    public func next(
        at now: Date, lease: Duration, besides receivers: Set<String> = []
    ) throws(JobStoreError) -> WebhookDelivery? {
        try take(now, lease, receivers)
    }

    /// The receiver has accepted it: it is forgotten.
    ///
    /// - Returns: false if the lease was lost; the other sender's report counts.
    @discardableResult
    public func delivered(_ delivery: WebhookDelivery) throws(JobStoreError) -> Bool {
        try settle(delivery, nil)
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
        return try settle(delivery, next) ? next : nil
    }

    /// Gives up what a receiver that does not answer was to be told since `time` or longer, tried or not, for this reason.
    ///
    /// - Returns: how many deliveries became dead letters.
    @discardableResult
    public func giveUp(
        _ receiver: String, triedSince time: Date, _ reason: String
    ) throws(JobStoreError) -> Int { try abandon(receiver, time, reason) }

    /// Deliveries that were given up, oldest first.
    ///
    /// - Parameter id: only those with a greater number: the last of the page before, 0 for the first page.
    public func deadLetters(after id: Int = 0, limit: Int = 50) throws(JobStoreError) -> [WebhookDelivery] {
        try dead(id, limit)
    }

    /// Tries a dead letter again, at once and with all its attempts; false if there is no dead letter of this number.
    public func retry(_ id: Int, at now: Date) throws(JobStoreError) -> Bool {
        try revive(id, now)
    }
}

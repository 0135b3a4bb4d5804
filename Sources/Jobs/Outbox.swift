import Foundation

/// Webhooks that are still to be delivered. A store adds one when a job with a ``Job/webhook`` reaches a final state, in
/// the same transaction; a sender takes them one by one.
///
/// Each arrives at least once: a sender that is lost after it was heard is followed by another. A delivery goes with its
/// job: removing the job drops it. Every call is safe from any thread, and durable once it has returned.
public struct Outbox: Sendable {
    private let take: @Sendable (Date, Duration) throws(JobStoreError) -> WebhookDelivery?
    private let settle: @Sendable (WebhookDelivery, WebhookDelivery?) throws(JobStoreError) -> Bool
    private let dead: @Sendable (Int, Int) throws(JobStoreError) -> [WebhookDelivery]
    private let revive: @Sendable (Int, Date) throws(JobStoreError) -> Bool
    private let count: @Sendable () throws(JobStoreError) -> (pending: Int, dead: Int)

    /// An outbox over what a store can do.
    ///
    /// - Parameters:
    ///   - take: ``next(at:lease:)``.
    ///   - settle: writes the second delivery in place of the first, or drops it where that is nil; false if the token
    ///     of the first is no longer that of the present attempt.
    ///   - dead: ``deadLetters(after:limit:)``.
    ///   - revive: ``retry(_:at:)``.
    ///   - count: ``counts()``.
    public init(
        take: @escaping @Sendable (Date, Duration) throws(JobStoreError) -> WebhookDelivery?,
        settle: @escaping @Sendable (WebhookDelivery, WebhookDelivery?) throws(JobStoreError) -> Bool,
        dead: @escaping @Sendable (Int, Int) throws(JobStoreError) -> [WebhookDelivery],
        revive: @escaping @Sendable (Int, Date) throws(JobStoreError) -> Bool,
        count: @escaping @Sendable () throws(JobStoreError) -> (pending: Int, dead: Int)
    ) {
        self.take = take
        self.settle = settle
        self.dead = dead
        self.revive = revive
        self.count = count
    }

    /// How many deliveries are still to be made, and how many were given up.
    public func counts() throws(JobStoreError) -> (pending: Int, dead: Int) { try count() }

    /// Takes the delivery that has been due longest; nil if none is. Costs no write if none is due.
    ///
    /// - Parameter lease: when it is over without a report, the delivery is due again.
    public func next(at now: Date, lease: Duration) throws(JobStoreError) -> WebhookDelivery? {
        try take(now, lease)
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

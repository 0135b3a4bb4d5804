public import Foundation

/// The news that a job has ended, on its way to the address that the job's client gave.
public struct WebhookDelivery: Sendable, Equatable {
    /// The delivery's number, never used twice: the same in each attempt, so that a receiver knows what it had before.
    public let id: Int
    /// The job that ended.
    public let job: JobID
    /// The final state that it reached. It may have been retried since.
    public let state: JobState
    /// The number of the event that is told.
    public let event: Int
    /// Where to send it. May hold a secret of the client: not for logs.
    public let url: String
    /// When the job ended.
    public let createdAt: Date
    /// Since when it is tried: when it was made, or last revived.
    public var since: Date
    /// How often it was tried, the present attempt included.
    public var attempts: Int
    /// When it is tried next; while it is being tried, when its lease ends.
    public var dueAt: Date
    /// The right to report on the present attempt; nil while none is made.
    public var token: UUID?
    /// Why the last attempt failed, in the sender's words; nil before the first failure.
    public var failure: String?
    /// Whether it is tried no more unless someone asks for it.
    public var isDead: Bool

    /// A delivery as it is written with the end of its job: due at once.
    public init(id: Int, job: JobID, state: JobState, event: Int, url: String, createdAt: Date) {
        self.id = id
        self.job = job
        self.state = state
        self.event = event
        self.url = url
        self.createdAt = createdAt
        since = createdAt
        attempts = 0
        dueAt = createdAt
        isDead = false
    }

    /// Who is called: scheme, host and port of the URL. What goes to one receiver goes there one at a time.
    public var receiver: String { Self.receiver(of: url) }

    /// Scheme, host and port of a URL, in lower case and as they are written there.
    public static func receiver(of url: String) -> String {
        guard let start = url.range(of: "://") else { return url.lowercased() }
        let end = url[start.upperBound...].firstIndex { "/?".contains($0) } ?? url.endIndex
        return url[..<end].lowercased()
    }
}

/// The rules of a delivery's life, as pure functions; a store writes what they return.
extension WebhookDelivery {
    /// How often a delivery is tried: with the delays between, for 11.4 hours, if nothing else keeps it from being tried.
    public static let maxAttempts = 20

    /// For how long it is tried at most: a receiver that is called less often, as it does not answer, has no other bound.
    public static let longestLife = Duration.seconds(3 * 86_400)

    /// The time from the failure of attempt `attempt` (from 1) to the next: 10 s, twice as long each time, at most 1 h;
    /// nil after the last.
    public static func delay(afterAttempt attempt: Int) -> Duration? {
        guard attempt < maxAttempts else { return nil }
        // 10 s · 2^9 is more than an hour already.
        return min(.seconds(10) * (1 << min(max(attempt - 1, 0), 9)), .seconds(3_600))
    }

    /// The delivery as a sender takes it. If the sender of the last attempt was lost, it dies instead: it is not known
    /// whether that attempt brought the sender down.
    public func taken(at now: Date, lease: Duration) -> WebhookDelivery {
        guard attempts < Self.maxAttempts else { return failed("The server stopped during the last attempt.", at: now) }
        var delivery = self
        delivery.attempts += 1
        delivery.dueAt = now + lease / .seconds(1)
        delivery.token = UUID()
        return delivery
    }

    /// The longest that a receiver may put off a delivery at once.
    public static let longestPause = Duration.seconds(86_400)

    /// The delivery after an attempt failed: due again after the delay, or dead after the last and after ``longestLife``.
    ///
    /// - Parameter pause: for how long the receiver asked not to be called. It lengthens the delay, to ``longestPause`` at
    ///   most, and never shortens it.
    public func failed(_ reason: String, at now: Date, notBefore pause: Duration? = nil) -> WebhookDelivery {
        var delivery = self
        delivery.token = nil
        delivery.failure = reason
        let isOld = now >= since + Self.longestLife / .seconds(1)
        if !isOld, let delay = Self.delay(afterAttempt: attempts) {
            delivery.dueAt = now + max(delay, min(pause ?? .zero, Self.longestPause)) / .seconds(1)
        } else {
            delivery.isDead = true
        }
        return delivery
    }

    /// A dead delivery after someone asked for it: due at once, with all its attempts; nil if it is not dead.
    public func revived(at now: Date) -> WebhookDelivery? {
        guard isDead else { return nil }
        var delivery = self
        delivery.attempts = 0
        delivery.since = now
        delivery.dueAt = now
        delivery.isDead = false
        return delivery
    }
}

/// Which receivers of webhooks may be called: each by one sender at a time, and one that does not answer only after a
/// pause, so that its deliveries keep no sender from those of others. A pure value; ``WebhookCourier`` guards it.
///
/// It is not kept over a restart: then each receiver is tried anew.
package struct ReceiverTurns {
    /// What a receiver did with a delivery.
    package enum Answer {
        /// It answered, well or not; or the delivery never came to it.
        case answered
        /// It did not, or said that it cannot now, for so long at least.
        case silent(pause: Duration?)
    }

    private var busy: Set<String> = []
    private var pauses: [String: (failures: Int, until: ContinuousClock.Instant)] = [:]

    /// The pause after the `failures`th failure in a row: 10 s, twice as long each time, at most 5 min, which is also
    /// the most that the receiver may ask for itself: others' deliveries may go to the same machine.
    package static func pause(afterFailures failures: Int, asked: Duration?) -> Duration {
        let own = Duration.seconds(10) * (1 << min(max(failures - 1, 0), 5))
        return min(max(own, asked ?? .zero), .seconds(300))
    }

    /// Receivers that are not to be called now.
    package func closed(at now: ContinuousClock.Instant) -> Set<String> {
        busy.union(pauses.filter { $0.value.until > now }.keys)
    }

    /// A sender calls a receiver.
    package mutating func begin(_ receiver: String) { busy.insert(receiver) }

    /// It has called it.
    package mutating func end(_ receiver: String, _ answer: Answer, at now: ContinuousClock.Instant) {
        busy.remove(receiver)
        switch answer {
        case .answered: pauses[receiver] = nil
        case .silent(let asked):
            let failures = (pauses[receiver]?.failures ?? 0) + 1
            pauses[receiver] = (failures, now + Self.pause(afterFailures: failures, asked: asked))
        }
    }
}

import Foundation
import Jobs

// Webhooks on their way, and who did what.

extension InMemoryStore {
    package func deliveryCounts() throws(JobStoreError) -> (pending: Int, dead: Int) {
        let all = try read { $0.deliveries.values.map(\.isDead) }
        return (all.count { !$0 }, all.count { $0 })
    }

    package func nextDelivery(
        at now: Date, lease: Duration, besides receivers: Set<String>
    ) throws(JobStoreError) -> WebhookDelivery? {
        try write { state in
            func due() -> WebhookDelivery? {
                state.deliveries.values.filter { !$0.isDead && $0.dueAt <= now && !receivers.contains($0.receiver) }
                    .min { ($0.dueAt, $0.id) < ($1.dueAt, $1.id) }
            }
            while let delivery = due()?.taken(at: now, lease: lease) {
                state.deliveries[delivery.id] = delivery
                if !delivery.isDead { return delivery }
            }
            return nil
        }
    }

    package func settle(_ delivery: WebhookDelivery, as next: WebhookDelivery?) throws(JobStoreError) -> Bool {
        try write { state in
            guard let token = delivery.token, state.deliveries[delivery.id]?.token == token else { return false }
            state.deliveries[delivery.id] = next
            return true
        }
    }

    @discardableResult
    package func giveUp(
        _ receiver: String, triedSince time: Date, _ reason: String
    ) throws(JobStoreError) -> Int {
        try write { state in
            let late = state.deliveries.values.filter {
                !$0.isDead && $0.receiver == receiver && $0.since <= time && $0.token == nil
            }
            for var delivery in late {
                delivery.isDead = true
                delivery.failure = reason
                state.deliveries[delivery.id] = delivery
            }
            return late.count
        }
    }

    package func deadLetters(after id: Int, limit: Int) throws(JobStoreError) -> [WebhookDelivery] {
        let dead = try read { $0.deliveries.values.filter { $0.isDead && $0.id > id } }
        return Array(dead.sorted { $0.id < $1.id }.prefix(max(0, limit)))
    }

    package func revive(_ id: Int, at now: Date) throws(JobStoreError) -> Bool {
        try write { state in
            guard let delivery = state.deliveries[id]?.revived(at: now) else { return false }
            state.deliveries[id] = delivery
            return true
        }
    }
}

extension InMemoryStore {
    @discardableResult
    package func append(_ entries: [AuditEntry]) throws(JobStoreError) -> [AuditEntry] {
        try write { state in
            let numbered = zip(entries, (state.lastEntry + 1)...).map { entry, number in
                var entry = entry
                entry.sequence = number
                return entry
            }
            state.entries += numbered
            state.lastEntry += numbered.count
            return numbered
        }
    }

    package func entries(after sequence: Int, limit: Int) throws(JobStoreError) -> [AuditEntry] {
        try read { Array($0.entries.filter { $0.sequence > sequence }.prefix(max(0, limit))) }
    }

    package func removeExported(through sequence: Int) throws(JobStoreError) {
        try write { state in state.entries.removeAll { $0.sequence <= sequence } }
    }
}

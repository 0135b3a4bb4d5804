import Foundation
import Jobs

/// The rule of what is written one by one into the audit table, and what is only counted: the first of a kind in a minute
/// are entries of their own, the rest of that minute is one entry with a count. A pure value; ``AuditDesk`` guards it.
///
/// Refusals share a budget by caller, for a caller that is refused can try any address and any job's name. What was done
/// has a budget by caller, action and job, for there the job is known to exist.
package struct AuditTally {
    /// Entries of a kind in a minute that are written one by one.
    package static let individually = 10

    private struct Kind: Hashable {
        let actor: String
        let action: String?
        let outcome: String?
        let job: JobID?
    }

    private var minute = 0
    private var seen: [Kind: Int] = [:]
    private var counted: [Kind: AuditEntry] = [:]

    /// Whether there is something that was only counted.
    package var isEmpty: Bool { counted.isEmpty }

    /// Counts an entry.
    ///
    /// - Returns: whether it is to be written by itself. ``due(at:)`` comes first: it begins each minute anew.
    package mutating func admits(_ entry: AuditEntry) -> Bool {
        let isDone = entry.outcome == AuditEntry.done
        let budget = Kind(
            actor: entry.actor, action: isDone ? entry.action : nil, outcome: nil, job: isDone ? entry.job : nil)
        seen[budget, default: 0] += 1
        guard seen[budget, default: 0] > Self.individually else { return true }
        let kind = Kind(
            actor: entry.actor, action: entry.action, outcome: entry.outcome, job: isDone ? entry.job : nil)
        if counted[kind] == nil {
            var first = entry
            first.job = kind.job
            first.request = nil
            counted[kind] = first
        } else {
            counted[kind]!.count += entry.count
        }
        return false
    }

    /// What was counted in a minute that is over; with `all` also in this one.
    package mutating func due(at now: Date, all: Bool = false) -> [AuditEntry] {
        let minute = Int((now.timeIntervalSince1970 / 60).rounded(.down))
        guard all || minute != self.minute else { return [] }
        defer {
            if minute != self.minute { seen = [:] }
            self.minute = minute
            counted = [:]
        }
        return counted.values.sorted { ($0.time, $0.action) < ($1.time, $1.action) }
    }
}

extension AuditEntry {
    /// The outcome of what was done; every other is the status of a refusal.
    package static let done = "ok"
}

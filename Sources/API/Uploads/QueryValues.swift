import Jobs

/// A client's own name for a job, which the job tells and nothing else does: no log, no webhook, no event.
///
/// - Throws: ``Problem``: not 1 to 64 printable characters of ASCII.
func checkedLabel(_ text: String?) throws(Problem) -> String? {
    guard let text else { return nil }
    guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
        throw Problem(
            400, "bad_label",
            "label must be 1 to 64 printable ASCII characters, such as an order's number. It must not name a patient.")
    }
    return text
}

/// The priority that a query names; nil where it names none.
func checkedPriority(_ text: String?) throws -> JobPriority? {
    guard let text else { return nil }
    guard let priority = JobPriority(rawValue: text) else {
        let known = JobPriority.allCases.map(\.rawValue).joined(separator: ", ")
        throw Problem(400, "bad_query", "priority must be one of \(known).")
    }
    return priority
}

import Foundation
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

/// A time of a query (RFC 3339 section 5.6). The offset is taken apart here: Foundation's style refuses the larger ones.
///
/// - Throws: ``Problem``: no such time.
func checkedTime(_ text: String, _ name: String) throws(Problem) -> Date {
    let form =
        /([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?(?:Z|([+-])([01][0-9]|2[0-3]):?([0-5][0-9]))/
    // A plus sign that was not encoded has become a blank.
    let text = text.uppercased().replacing(" ", with: "+")
    guard let parts = text.wholeMatch(of: form), let time = try? Date.ISO8601FormatStyle().parse("\(parts.1)Z") else {
        throw Problem(400, "bad_query", "\(name) must be a time such as 2027-01-31T08:00:00Z.")
    }
    let fraction = parts.2.flatMap { Double("0\($0)") } ?? 0
    let minutes = Double(parts.4.flatMap { Int($0) } ?? 0) * 60 + Double(parts.5.flatMap { Int($0) } ?? 0)
    return time + fraction + (parts.3 == "-" ? 60 : -60) * minutes
}

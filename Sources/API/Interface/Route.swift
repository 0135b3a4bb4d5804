import Access
import Foundation
import HTTPDaemon
import Jobs
import Logging

/// One address and method.
struct Route: Sendable {
    /// As openapi.yaml writes it.
    let method: String, path: String
    /// What a caller must be allowed to do; nil for what everyone may ask.
    let action: Action?
    /// Whether the body is written to files in the spool; others have none.
    var takesFiles = false
    /// What the audit table calls it; nil for what is not kept there.
    var audited: String?
    let handle: @Sendable (Call) throws -> Handling
}

/// What a handler makes of a request.
enum Handling {
    /// The response.
    case now(Response)
    /// Called at once with what the response is given to later.
    case later(@Sendable (Reply) -> Void)
    /// A child process is needed: the response is made in one of the ``Places``.
    case inPlace(Places.Kind, @Sendable () throws -> Response)
}

/// What a handler is given.
struct Call: Sendable {
    let request: Request
    /// What stands for `{id}`, or another name in braces, in the path; "" where nothing does.
    let id: String
    /// Who asks, and for what.
    let caller: Caller, action: Action?
    let logger: Logger
    /// Says no if the caller's token is no longer in force, or does no longer allow what is asked for.
    let check: @Sendable () throws(AccessRefusal) -> Void

    /// The query's parameters, none but `names`.
    func query(_ names: String...) throws -> [String: String] { try query(names) }

    /// The query's parameters, none but `names`.
    func query(_ names: [String]) throws -> [String: String] {
        let query = request.head.query
        guard let unknown = query.keys.sorted().first(where: { !names.contains($0) }) else { return query }
        let known = names.isEmpty ? "Nothing" : "Only \(names.joined(separator: ", "))"
        throw Problem(400, "bad_query", "\(unknown.prefix(40)) is not known here. \(known) may be asked for.")
    }
}

/// The largest number of an event or entry that a client may name: the largest that every JSON reader takes exactly.
let largestNumber = (1 << 53) - 1

/// A whole number of the query; nil if it is not there.
func wholeNumber(_ text: String?, _ name: String, in range: ClosedRange<Int>) throws(Problem) -> Int? {
    guard let text else { return nil }
    guard let number = Int(text), range.contains(number) else {
        throw Problem(
            400, "bad_query", "\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound).")
    }
    return number
}

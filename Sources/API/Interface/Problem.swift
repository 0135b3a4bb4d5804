import Foundation
import HTTPDaemon

/// An error as RFC 9457 writes it: the status, a stable code for programs, and a sentence that says what to change.
struct Problem: Error {
    let status: Int
    let code: String
    let detail: String
    var headers: [(String, String)] = []

    init(_ status: Int, _ code: String, _ detail: String, headers: [(String, String)] = []) {
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers
    }

    var response: Response {
        var response = Response.problem(status, detail: detail, code: code)
        response.headers += headers
        return response
    }

    static let storageFull = Problem(
        507, "storage_full", "The server's disk is nearly full. Try again when results have been deleted.",
        headers: [("Retry-After", "600")])
}

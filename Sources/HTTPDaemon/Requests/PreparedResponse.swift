import Foundation
import Logging

/// A response that can be sent as it is: its fields are checked, its file is open.
///
/// Holds a file descriptor: exactly one of sending it and ``discard()`` must follow.
struct PreparedResponse: Sendable {
    private(set) var status: Int
    private(set) var headers: [(String, String)]
    private(set) var body: Body

    enum Body: Sendable {
        case data(Data)
        case file(descriptor: Int32, range: Range<Int>)
    }

    /// What every answer says: nobody but who asked may keep it, show it within another site's page, or learn of its
    /// address from a link in it. Whatever an answer tells may be of a patient.
    private static let own = [
        ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "private, no-store"),
        ("Cross-Origin-Resource-Policy", "same-origin"), ("Referrer-Policy", "no-referrer"),
    ]

    /// Fields that only the daemon sets.
    private static let reserved: Set<String> = Set(own.map { $0.0.lowercased() }).union([
        "connection", "content-length", "date", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
        "x-request-id",
    ])

    /// Checks `response` and opens its file; what cannot be sent becomes a 500 and a line in the log.
    init(_ response: Response, id: String, logger: Logger) {
        do throws(Fault) {
            try self.init(checking: response, id: id)
        } catch {
            if error.isGone {
                // Another request deleted it after this one had looked.
                self.init(known: .problem(410, detail: "It was deleted just now.", code: "deleted"), id: id)
                return
            }
            logger.error("response not sendable", metadata: ["reason": "\(error.reason)", "request": "\(id)"])
            self.init(known: .internalError, id: id)
        }
    }

    private struct Fault: Error {
        let reason: String
        var isGone = false
    }

    private init(checking response: Response, id: String) throws(Fault) {
        guard 200...599 ~= response.status else { throw Fault(reason: "status \(response.status)") }
        for (name, value) in response.headers {
            let isClean = isToken(name.utf8) && cleanText(Array(value.utf8)) != nil
            guard isClean else { throw Fault(reason: "header field that is not one printable line") }
        }
        let descriptor: Int32
        guard case .file(let url) = response.body else {
            self.init(known: response, id: id)
            return
        }
        descriptor = open(url.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let code = errno
            throw Fault(reason: "file: \(String(cString: strerror(code)))", isGone: code == ENOENT)
        }
        var info = stat()
        guard fstat(descriptor, &info) == 0, info.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw Fault(reason: "file: not a regular file")
        }
        self.init(response, body: .file(descriptor: descriptor, range: 0..<Int(info.st_size)), id: id)
    }

    private init(known response: Response, id: String) {
        guard case .data(let data) = response.body else {
            self.init(response, body: .data(Data()), id: id)
            return
        }
        self.init(response, body: .data(data), id: id)
    }

    private init(_ response: Response, body: Body, id: String) {
        status = response.status
        headers =
            response.headers.filter { !Self.reserved.contains($0.0.lowercased()) }
            + Self.own + [("X-Request-Id", id)]
        self.body = body
    }

    /// How many bytes the body has.
    var bytes: Int {
        switch body {
        case .data(let data): data.count
        case .file(_, let range): range.count
        }
    }

    /// Leaves only what the request asks for, where the answer has an `ETag`: RFC 9110 sections 13 and 14.
    mutating func select(by request: Headers) {
        guard status == 200, let tag = headers.first(where: { $0.0.lowercased() == "etag" })?.1 else { return }
        let whole = bytes
        headers.append(("Accept-Ranges", "bytes"))
        switch Selection(request, tag: tag, bytes: whole) {
        case .whole: break
        case .part(let range):
            status = 206
            headers.append(("Content-Range", "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(whole)"))
            switch body {
            case .data(let data): body = .data(data.dropFirst(range.lowerBound).prefix(range.count))
            case .file(let descriptor, _): body = .file(descriptor: descriptor, range: range)
            }
        case .notModified: empty(status: 304)
        case .unsatisfiable:
            empty(status: 416)
            headers.append(("Content-Range", "bytes */\(whole)"))
        }
    }

    private mutating func empty(status: Int) {
        discard()
        self.status = status
        body = .data(Data())
        headers.removeAll { ["content-type", "content-disposition"].contains($0.0.lowercased()) }
    }

    /// Gives up a response that is not sent.
    func discard() {
        if case .file(let descriptor, _) = body { close(descriptor) }
    }

    /// The response as it goes over the wire, for a connection that ends with it; nil for a file.
    func wireBytes(withBody: Bool) -> [UInt8]? {
        guard case .data(let data) = body else { return nil }
        var text = "HTTP/1.1 \(status) \(StatusName.of(status))\r\nDate: \(Self.date())\r\n"
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        text += "Connection: close\r\nContent-Length: \(data.count)\r\n\r\n"
        return Array(text.utf8) + (withBody ? Array(data) : [])
    }

    /// Now, as RFC 9110 section 5.6.7 writes it.
    private static func date() -> String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let two = { (value: Int32) in value < 10 ? "0\(value)" : "\(value)" }
        return
            "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(1900 + parts.tm_year) "
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)) GMT"
    }
}

/// What of an answer a request wants: RFC 9110 sections 13.1.2 (`If-None-Match`), 13.1.5 (`If-Range`) and 14 (`Range`).
/// Only an answer with an `ETag` can be chosen from.
enum Selection: Equatable {
    /// All of it.
    case whole
    /// Nothing: the client has it.
    case notModified
    /// These bytes of it.
    case part(Range<Int>)
    /// It has no such bytes.
    case unsatisfiable

    /// - Parameters:
    ///   - headers: the request's.
    ///   - tag: the answer's `ETag`, with its quotes.
    ///   - bytes: how many bytes the whole answer has.
    init(_ headers: Headers, tag: String, bytes: Int) {
        if let known = headers["If-None-Match"] {
            let tags = known.split(separator: ",").map { $0.drop { $0 == " " }.trimmingSuffix(while: { $0 == " " }) }
            if tags.contains(where: { $0 == "*" || $0 == tag || $0 == "W/\(tag)" }) {
                self = .notModified
                return
            }
        }
        self = .whole
        guard let text = headers["Range"] else { return }
        // A part of something else would be put together with what the client has of this: then all is sent.
        if let condition = headers["If-Range"], condition != tag { return }
        // Several ranges, and units that are not bytes, may be ignored.
        guard text.lowercased().hasPrefix("bytes="), let range = Self.range(text.dropFirst(6), of: bytes) else {
            return
        }
        self = range.isEmpty ? .unsatisfiable : .part(range)
    }

    /// The bytes that `first-last`, `first-` or `-count` means, empty where there are none; nil if it is not of that form.
    private static func range(_ text: Substring, of bytes: Int) -> Range<Int>? {
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, ends.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }) else {
            return nil
        }
        // A number too large for Int is beyond the end as well.
        let numbers = ends.map { $0.isEmpty ? nil : Int($0) ?? .max }
        switch (numbers[0], numbers[1]) {
        case (let first?, let last?):
            guard first <= last else { return nil }
            return first < bytes ? first..<min(bytes, last == .max ? bytes : last + 1) : 0..<0
        case (let first?, nil): return first < bytes ? first..<bytes : 0..<0
        case (nil, let count?): return bytes - min(bytes, count)..<bytes
        case (nil, nil): return nil
        }
    }
}

extension Substring {
    fileprivate func trimmingSuffix(while condition: (Character) -> Bool) -> Substring {
        var rest = self
        while let last = rest.last, condition(last) { rest.removeLast() }
        return rest
    }
}

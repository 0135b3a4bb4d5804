import Foundation

@testable import HTTPDaemon

/// The head of a request as lines of text: a head that passes has a harmless path, no more than one meaning, and says the
/// same when it is written and read again.
func fuzzHead(_ input: UnsafeRawBufferPointer) throws(BrokenPromise) {
    var lines = input.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Array($0) }
    let first = lines.removeFirst().split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
    guard first.count >= 2 else { return }
    let fields = lines.prefix(64).map { line -> (name: [UInt8], value: [UInt8]) in
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        return (Array(line[..<colon]), Array(line[colon...].dropFirst().drop { $0 == UInt8(ascii: " ") }))
    }
    let version = first.count > 2 && first[2].last == UInt8(ascii: "0") ? "HTTP/1.0" : "HTTP/1.1"
    let checked = outcome { () throws(Refusal) in
        try CheckedHead(
            method: Array(first[0]), target: Array(first[1]), version: version, fields: fields,
            peerAddress: "127.0.0.1")
    }
    guard let checked = checked.value else {
        let refusal = checked.failure
        return try promise((400...499).contains(refusal?.status ?? 0), "refused with \(refusal?.status ?? 0)")
    }
    try checkHead(checked.head)
    let lengths = fields.filter { String(decoding: $0.name, as: UTF8.self).lowercased() == "content-length" }
    let codings = fields.filter { String(decoding: $0.name, as: UTF8.self).lowercased() == "transfer-encoding" }
    try promise(lengths.count + codings.count <= 1, "two framings are accepted")
    if case .length(let bytes) = checked.framing { try promise(bytes > 0, "a length of \(bytes)") }
    try checkRange(checked.head.headers)
    _ = checked.head.headers["content-type"].flatMap { HeaderValue($0) }.map { ($0.extendedFileName, $0.parameters) }
}

/// What every handler may rely on.
func checkHead(_ head: RequestHead) throws(BrokenPromise) {
    let path = head.path
    let segments = path.split(separator: "/", omittingEmptySubsequences: false)
    try promise(path == "*" || path.hasPrefix("/"), "a path of \(path.debugDescription)")
    try promise(!segments.contains("..") && !segments.contains("."), "a path of \(path.debugDescription)")
    try promise(!path.utf8.contains(UInt8(ascii: "\\")) && !path.contains("//"), "a path of \(path.debugDescription)")
    // Whoever cuts the path into characters must find the slashes of whoever cuts it into bytes.
    let slashes = path.utf8.count { $0 == UInt8(ascii: "/") }
    try promise(path == "*" || slashes == segments.count - 1, "a path of \(path.debugDescription)")
    let texts = [path, head.method, head.id] + head.query.keys + head.query.values
    for text in texts { try promise(isClean(text), "a control character in \(text.debugDescription)") }
    try promise(!head.id.isEmpty && head.id.utf8.count <= 64, "an id of \(head.id.debugDescription)")
    guard path != "*" else { return }
    var target = path.split(separator: "/", omittingEmptySubsequences: false).map { encoded($0) }.joined(separator: "/")
    if !head.query.isEmpty {
        target += "?" + head.query.map { "\(encoded($0.key))=\(encoded($0.value))" }.joined(separator: "&")
    }
    let again = outcome { () throws(Refusal) in try RequestTarget(target.utf8, method: head.method) }
    try promise(again.value?.path == path && again.value?.query == head.query, "\(target) is read as \(again)")
}

private func checkRange(_ headers: Headers) throws(BrokenPromise) {
    for bytes in [0, 1, 100, Int(Int32.max) + 7] {
        guard case .part(let range) = Selection(headers, tag: "\"tag\"", bytes: bytes) else { continue }
        try promise(range.lowerBound >= 0 && range.upperBound <= bytes && !range.isEmpty, "bytes \(range) of \(bytes)")
    }
}

private func isClean(_ text: some StringProtocol) -> Bool {
    text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
}

private func encoded(_ text: some StringProtocol) -> String {
    text.utf8.map { byte in
        let digits = String(byte, radix: 16, uppercase: true)
        return "%" + (digits.count == 1 ? "0" : "") + digits
    }.joined()
}

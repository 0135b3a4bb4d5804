import Foundation

@testable import HTTPDaemon

/// A multipart body that arrives in pieces: how it is cut changes nothing, all bytes are accounted for, and the files it
/// makes are the ones that are told.
///
/// Input: a byte that chooses kind and boundary, a byte with the number of cuts (at most 15), two bytes for each cut,
/// then the body.
func fuzzMultipart(_ input: UnsafeRawBufferPointer) throws(BrokenPromise) {
    guard input.count >= 2 else { return }
    let kind: FormData.Kind = input[0] & 1 == 0 ? .formData : .related
    let boundary = ["b", "--", "XX", "0123456789abcdef"][Int(input[0] >> 1) & 3]
    let cuts = Int(input[1] & 15)
    guard input.count >= 2 + 2 * cuts else { return }
    let body = UnsafeRawBufferPointer(rebasing: input[(2 + 2 * cuts)...])
    let places = (0..<cuts).map { cut in
        Int(input.loadUnaligned(fromByteOffset: 2 + 2 * cut, as: UInt16.self)) % (body.count + 1)
    }
    let whole = parse(body, cuts: [], boundary: boundary)
    let pieces = parse(body, cuts: places.sorted(), boundary: boundary)
    let bytewise = body.count <= 512 ? parse(body, cuts: Array(0..<body.count), boundary: boundary) : whole
    try promise(whole == pieces, "cut at \(places): \(pieces), whole: \(whole)")
    try promise(whole == bytewise, "byte by byte: \(bytewise), whole: \(whole)")
    let content = whole.parts.reduce(0) { $0 + $1.content.count }
    try promise(content <= body.count, "\(content) bytes of content in a body of \(body.count)")
    if whole.fault == nil {
        try promise(whole.parts.allSatisfy(\.hasEnded), "a part without end")
        for part in whole.parts {
            // The plain definition: content holds no delimiter.
            let text = Data(part.content)
            try promise(text.range(of: Data("\r\n--\(boundary)".utf8)) == nil, "a boundary inside a part")
        }
    }
    try checkBody(body, cuts: places.sorted(), kind: kind, boundary: boundary, whole: whole)
}

private struct Parsed: Equatable {
    var parts: [Part] = []
    var fault: BodyError?

    struct Part: Equatable {
        var headers: [String]
        var content: [UInt8] = []
        var hasEnded = false
    }
}

private func parse(_ body: UnsafeRawBufferPointer, cuts: [Int], boundary: String) -> Parsed {
    guard var parser = MultipartParser(boundary: boundary) else { return Parsed(fault: .multipart(.noBoundary)) }
    var parsed = Parsed()
    do throws(BodyError) {
        var start = 0
        for end in cuts + [body.count] {
            // A copy of its own, so that reading past a piece's end reads past an allocation.
            let piece = Array(body[start..<end])
            start = end
            try piece.withUnsafeBufferPointer { (bytes) throws(BodyError) in
                try parser.feed(UnsafeRawBufferPointer(bytes)) { (event) throws(BodyError) in
                    switch event {
                    case .partBegins(let headers):
                        parsed.parts.append(.init(headers: headers.map { "\($0.name): \($0.value)" }))
                    case .content(let run): parsed.parts[parsed.parts.count - 1].content += run
                    case .partEnds:
                        // The delimiter before the first part ends nothing.
                        if !parsed.parts.isEmpty { parsed.parts[parsed.parts.count - 1].hasEnded = true }
                    }
                }
            }
        }
        try parser.finish()
    } catch {
        // How much of a broken part was seen depends on the cuts; that it is broken, and why, does not.
        parsed = Parsed(fault: error)
    }
    return parsed
}

/// The same body through all of what a request's body passes.
private func checkBody(
    _ body: UnsafeRawBufferPointer, cuts: [Int], kind: FormData.Kind, boundary: String, whole: Parsed
) throws(BrokenPromise) {
    try Scratch.folder { (folder) throws(BrokenPromise) in
        let type = kind == .formData ? "multipart/form-data" : "multipart/related"
        let head = RequestHead(
            method: "POST", path: "/", headers: ["Content-Type": "\(type); boundary=\"\(boundary)\""])
        var made: [URL] = []
        let received = outcome { () throws(BodyError) in
            var receiver = try BodyReceiver(
                plan: .files(folder: folder, limit: 1 << 20), head: head, declared: body.count,
                limits: PartLimits(parts: 8, fields: 4),
                write: { Glibc.write($0, $1.baseAddress, $1.count) })
            defer { made = receiver.abandon() }
            var start = 0
            for end in cuts + [body.count] {
                try receiver.feed(UnsafeRawBufferPointer(rebasing: body[start..<end]))
                start = end
            }
            return try receiver.finish()
        }
        try promise(Set(made.map(\.lastPathComponent)) == Set(Scratch.names(in: folder)), "files nobody knows of")
        guard case .parts(let parts)? = received.value else {
            return try promise(received.failure != nil, "a form that is no form: \(received)")
        }
        try promise(whole.fault == nil && parts.count == whole.parts.count, "\(parts.count) parts of \(whole)")
        for (part, expected) in zip(parts, whole.parts) {
            try promise(kind == .related || !part.name.isEmpty, "a field without a name")
            switch part.content {
            case .memory(let data):
                try promise(data.elementsEqual(expected.content), "another field in memory")
            case .file(let url, let bytes):
                try promise(Scratch.size(url) == bytes && bytes == expected.content.count, "a file of another size")
                try promise(Scratch.read(url) == expected.content, "another file")
            }
        }
    }
}

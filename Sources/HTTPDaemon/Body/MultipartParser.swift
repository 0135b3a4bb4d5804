import Glibc

/// Cuts a multipart body (RFC 2046 section 5.1) into parts while it arrives; holds no content back but the bytes that
/// may be the beginning of a boundary.
///
/// It is our own because libmicrohttpd's post-processor cannot do what is needed: it knows multipart/form-data only,
/// not the multipart/related of DICOMweb, takes lines that end in a bare LF, does not tell a body that was cut off from
/// one that is complete, and once read past its buffer (CVE-2023-27371). This one knows nothing of either kind, and its
/// result does not depend on how the body was cut into chunks.
///
/// Strict where leniency helps nobody: lines end in CR LF, a line that begins with the boundary is one, header lines
/// are not folded.
struct MultipartParser {
    /// What was found; the bytes are valid only while they are being received.
    enum Event {
        case partBegins([(name: String, value: String)])
        case content(UnsafeRawBufferPointer)
        case partEnds
    }

    static let headerLimit = 8 * 1024
    static let headerLineLimit = 16
    static let preambleLimit = 1024
    static let paddingLimit = 128
    /// RFC 2046 has at most 70 characters; Orthanc's DICOMweb plugin sends 73.
    static let boundaryLimit = 200

    private enum State { case preamble, delimiterTail, headers, content, epilogue }
    private enum Tail { case start, dash, padding, carriageReturn }

    private let delimiter: [UInt8]  // CR LF - - boundary
    private var state = State.preamble
    private var matched = 2  // bytes of the delimiter seen; the body begins as if CR LF came before it
    private var tail = Tail.start
    private var preambleBytes = 0
    private var paddingBytes = 0
    private var line: [UInt8] = []
    private var headerBytes = 0
    private var headers: [(name: String, value: String)] = []

    /// Nil if `boundary` is not 1 to ``boundaryLimit`` of the characters of RFC 2046, the last not a space.
    init?(boundary: String) {
        let isAllowed = { (byte: UInt8) in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"):
                true
            default: "'()+_,-./:=? ".utf8.contains(byte)
            }
        }
        let bytes = Array(boundary.utf8)
        guard 1...Self.boundaryLimit ~= bytes.count, bytes.allSatisfy(isAllowed), bytes.last != UInt8(ascii: " ") else {
            return nil
        }
        delimiter = Array("\r\n--".utf8) + bytes
    }

    /// Takes the next bytes of the body.
    mutating func feed(
        _ bytes: UnsafeRawBufferPointer, _ receive: (Event) throws(BodyError) -> Void
    ) throws(BodyError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            switch state {
            case .preamble:
                try skipPreamble(&rest)
            case .content:
                if try search(&rest, content: { (run) throws(BodyError) in try receive(.content(run)) }) {
                    try receive(.partEnds)
                    state = .delimiterTail
                }
            case .delimiterTail:
                try readTail(rest.removeFirst())
            case .headers:
                if try readHeader(rest.removeFirst()) {
                    let whole = headers
                    headers = []
                    state = .content
                    try receive(.partBegins(whole))
                }
            case .epilogue:
                return
            }
        }
    }

    /// To be called when the body is over: a body without its closing boundary was cut off.
    func finish() throws(BodyError) {
        guard state == .epilogue else { throw .multipart(.truncated) }
    }

    private mutating func skipPreamble(_ rest: inout Slice<UnsafeRawBufferPointer>) throws(BodyError) {
        let before = rest.count
        if try search(&rest, content: { (_) throws(BodyError) in }) { state = .delimiterTail }
        preambleBytes += before - rest.count
        guard preambleBytes <= Self.preambleLimit + delimiter.count else { throw .multipart(.noBoundary) }
    }

    /// Moves `rest` past the next delimiter and says true, or to its end; hands on what lies before in long runs.
    ///
    /// A carriage return stands only at the head of the delimiter, so a match that fails can begin anew only where it
    /// failed, and only the last carriage return of a chunk can begin a match that goes on in the next.
    private mutating func search(
        _ rest: inout Slice<UnsafeRawBufferPointer>, content: (UnsafeRawBufferPointer) throws(BodyError) -> Void
    ) throws(BodyError) -> Bool {
        if matched > 0 {
            while matched < delimiter.count, let next = rest.first, next == delimiter[matched] {
                matched += 1
                rest.removeFirst()
            }
            if matched < delimiter.count {
                if rest.isEmpty { return false }
                let heldBack = Array(delimiter[..<matched])
                matched = 0
                try heldBack.withUnsafeBufferPointer { (run) throws(BodyError) in
                    try content(UnsafeRawBufferPointer(run))
                }
            }
        }
        if matched == 0 {
            let run = UnsafeRawBufferPointer(rebasing: rest)
            guard let length = firstDelimiter(in: run) else {
                let kept = run.count - partialMatch(atEndOf: run)
                matched = run.count - kept
                rest = rest.dropFirst(run.count)
                if kept > 0 { try content(UnsafeRawBufferPointer(rebasing: run[..<kept])) }
                return false
            }
            rest = rest.dropFirst(length + delimiter.count)
            if length > 0 { try content(UnsafeRawBufferPointer(rebasing: run[..<length])) }
        }
        matched = 0
        tail = .start
        paddingBytes = 0
        return true
    }

    /// How many bytes lie before the first whole delimiter; nil without one.
    private func firstDelimiter(in run: UnsafeRawBufferPointer) -> Int? {
        var start = 0
        while run.count - start >= delimiter.count {
            let candidates = run.count - start - delimiter.count + 1
            guard let base = run.baseAddress, let found = memchr(base + start, Int32(UInt8(ascii: "\r")), candidates)
            else { return nil }
            if memcmp(found, delimiter, delimiter.count) == 0 { return UnsafeRawPointer(found) - base }
            start = UnsafeRawPointer(found) - base + 1
        }
        return nil
    }

    /// How many bytes at the end of `run` may be the beginning of a delimiter.
    private func partialMatch(atEndOf run: UnsafeRawBufferPointer) -> Int {
        let window = run.suffix(delimiter.count - 1)
        guard let start = window.lastIndex(of: UInt8(ascii: "\r")) else { return 0 }
        let length = run.count - start
        return run[start...].elementsEqual(delimiter[..<length]) ? length : 0
    }

    /// What may stand between a boundary and the end of its line: "--" after the last one, or blanks.
    private mutating func readTail(_ byte: UInt8) throws(BodyError) {
        switch (tail, byte) {
        case (.start, UInt8(ascii: "-")): tail = .dash
        case (.dash, UInt8(ascii: "-")): state = .epilogue
        case (.start, UInt8(ascii: " ")), (.start, UInt8(ascii: "\t")),
            (.padding, UInt8(ascii: " ")), (.padding, UInt8(ascii: "\t")):
            tail = .padding
            paddingBytes += 1
            guard paddingBytes <= Self.paddingLimit else { throw .multipart(.badBoundaryLine) }
        case (.start, UInt8(ascii: "\r")), (.padding, UInt8(ascii: "\r")): tail = .carriageReturn
        case (.carriageReturn, UInt8(ascii: "\n")):
            state = .headers
            headerBytes = 0
        default: throw .multipart(.badBoundaryLine)
        }
    }

    /// Takes a byte of a part's head; true when the head is complete.
    private mutating func readHeader(_ byte: UInt8) throws(BodyError) -> Bool {
        headerBytes += 1
        guard headerBytes <= Self.headerLimit else { throw .multipart(.headerTooLong) }
        let afterReturn = line.last == UInt8(ascii: "\r")
        guard byte == UInt8(ascii: "\n") else {
            guard !afterReturn else { throw .multipart(.badHeader) }
            line.append(byte)
            return false
        }
        guard afterReturn else { throw .multipart(.badHeader) }
        line.removeLast()
        if line.isEmpty { return true }
        guard headers.count < Self.headerLineLimit else { throw .multipart(.headerTooLong) }
        headers.append(try Self.header(line))
        line.removeAll(keepingCapacity: true)
        return false
    }

    private static func header(_ line: [UInt8]) throws(BodyError) -> (name: String, value: String) {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), isToken(line[..<colon]) else {
            throw .multipart(.badHeader)
        }
        let value = line[(colon + 1)...].map { $0 == UInt8(ascii: "\t") ? UInt8(ascii: " ") : $0 }
        guard let text = cleanText(value) else { throw .multipart(.badHeader) }
        let trimmed = text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
        return (String(decoding: line[..<colon], as: UTF8.self).lowercased(), String(trimmed))
    }
}

/// Follows the bytes of a connection, and judges how chunked bodies are framed (RFC 9112 section 7.1).
///
/// libmicrohttpd 0.9.75 takes a bare LF for CR LF there, waits for the bytes of a chunk of 2^64 - 1, and answers 500 to an
/// extension that fills its buffer. It shows neither sizes nor line ends, so they are looked at as they are read; what it
/// would let pass is changed into what it answers 400.
struct ChunkFraming {
    fileprivate enum Place {
        /// In a head, or between requests.
        case head
        /// In a body of known length.
        case body(left: Int)
        case size(value: Int, digits: Int)
        case sizeExtension(value: Int, bytes: Int)
        case sizeEnd(value: Int)
        case data(left: Int)
        case dataEnd
        case dataLineFeed
        case trailer(bytes: Int)
        case trailerEnd(isLast: Bool)
        /// Something was wrong: these bytes are read instead of what comes, then nothing is.
        case broken([UInt8])
    }

    private var place = Place.head
    private var length = HeadLength()
    /// Bytes of the head that is coming, and what came behind it.
    private var unclaimed = 0

    /// Larger chunks do not exist: no body may be as large.
    private static let largestChunk = 1 << 40
    private static let longestExtension = 256

    /// Whether the client has been told: what still comes is thrown away.
    var isRefused = false
    /// Whether it was the Content-Length of a head, and not a chunk.
    var hasBadLength: Bool { length.isBad }
    /// Whether something was wrong.
    var isBroken: Bool { if case .broken = place { true } else { false } }

    /// Looks at bytes that were read.
    ///
    /// - Parameters:
    ///   - bytes: a buffer of which the first `count` bytes were read just now.
    /// - Returns: how many bytes are to be taken for read; 0 ends the connection.
    mutating func read(_ count: Int, in bytes: UnsafeMutableBufferPointer<UInt8>) -> Int {
        if !isBroken {
            var index = 0
            while index < count, !isBroken { pass(bytes, &index, count) }
            guard case .broken(let instead) = place else { return count }
            return replace(from: index - 1, in: bytes, by: instead)
        }
        guard case .broken(let instead) = place, !isRefused else { return count }
        return replace(from: 0, in: bytes, by: instead)
    }

    /// A head was understood.
    ///
    /// - Parameters:
    ///   - headBytes: its length.
    ///   - rest: where in memory the bytes lie that came behind it.
    mutating func headEnded(
        _ framing: CheckedHead.Framing, headBytes: Int, rest: UnsafeMutablePointer<UInt8>
    ) {
        let count = max(0, unclaimed - headBytes)
        length = HeadLength()
        switch framing {
        case .none: begin(rest, count)
        case .length(let length) where count < length: (unclaimed, place) = (0, .body(left: length - count))
        case .length(let length): begin(rest + length, count - length)
        case .chunked:
            (unclaimed, place) = (0, .size(value: 0, digits: 0))
            let bytes = UnsafeMutableBufferPointer(start: rest, count: count)
            var index = 0
            while index < count, !isBroken { pass(bytes, &index, count) }
        }
    }

    /// The next head begins with these bytes, but for line ends before it.
    private mutating func begin(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int) {
        unclaimed = UnsafeBufferPointer(start: bytes, count: count).drop { $0 == 0x0D || $0 == 0x0A }.count
        // Where libmicrohttpd has it already, it cannot be changed any more.
        if unclaimed > 0 { length = .passed }
    }

    /// Goes over the next byte, or over all that need no look.
    private mutating func pass(_ bytes: UnsafeMutableBufferPointer<UInt8>, _ index: inout Int, _ count: Int) {
        let byte = bytes[index]
        let isLineFeed = byte == UInt8(ascii: "\n")
        let isReturn = byte == UInt8(ascii: "\r")
        var step = 1
        switch place {
        case .head where unclaimed == 0 && (isLineFeed || isReturn): break  // before a head they are passed over
        case .head:
            step = length.pass(UnsafeMutableBufferPointer(rebasing: bytes[index..<count]))
            unclaimed += step
            if let instead = length.instead { place = .broken(instead) }
        case .body(let left):
            step = min(left, count - index)
            place = step == left ? .head : .body(left: left - step)
        case .size(let value, let digits):
            switch byte {
            case UInt8(ascii: "\r") where digits > 0: place = .sizeEnd(value: value)
            case UInt8(ascii: ";") where digits > 0: place = .sizeExtension(value: value, bytes: 0)
            default:
                let next = Self.digit(byte).map { value << 4 | $0 } ?? .max
                place = next <= Self.largestChunk && digits < 16 ? .size(value: next, digits: digits + 1) : .badSize
            }
        case .sizeExtension(let value, let length):
            if isReturn {
                place = .sizeEnd(value: value)
            } else {
                let isFine = !isLineFeed && length < Self.longestExtension
                place = isFine ? .sizeExtension(value: value, bytes: length + 1) : .badExtension(of: value)
            }
        case .sizeEnd(let value):
            place = !isLineFeed ? .broken([byte]) : value == 0 ? .trailer(bytes: 0) : .data(left: value)
        case .data(let left):
            step = min(left, count - index)
            place = step == left ? .dataEnd : .data(left: left - step)
        case .dataEnd: place = isReturn ? .dataLineFeed : .broken(Array("XX".utf8))
        case .dataLineFeed: place = isLineFeed ? .size(value: 0, digits: 0) : .broken([byte])
        case .trailer(let length):
            if isReturn {
                place = .trailerEnd(isLast: length == 0)
            } else {
                // A line without a colon.
                place = isLineFeed ? .broken(Array("X\r\nX\r\n".utf8)) : .trailer(bytes: length + 1)
            }
        case .trailerEnd(let isLast):
            // A bare CR would end the line, or the trailers: nothing can be put in its place any more.
            place = !isLineFeed ? .broken([]) : isLast ? .head : .trailer(bytes: 0)
        case .broken: step = count - index
        }
        index += step
    }

    /// Puts `instead` where something wrong was read; what does not fit is read next.
    private mutating func replace(
        from start: Int, in bytes: UnsafeMutableBufferPointer<UInt8>, by instead: [UInt8]
    ) -> Int {
        let fitting = min(instead.count, bytes.count - start)
        for (offset, byte) in instead.prefix(fitting).enumerated() { bytes[start + offset] = byte }
        place = .broken(Array(instead.dropFirst(fitting)))
        return start + fitting
    }

    private static func digit(_ byte: UInt8) -> Int? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte) - 0x30
        case UInt8(ascii: "a")...UInt8(ascii: "f"), UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte | 0x20) - 0x57
        default: nil
        }
    }
}

extension ChunkFraming.Place {
    /// A CR without LF.
    fileprivate static let badSize = Self.broken(Array("\rX".utf8))

    /// libmicrohttpd takes any: its line is ended, and what follows is refused as data, or as a trailer without a colon.
    fileprivate static func badExtension(of value: Int) -> Self {
        .broken(Array((value == 0 ? "\r\nX\r\n" : "\r\nX").utf8))
    }
}

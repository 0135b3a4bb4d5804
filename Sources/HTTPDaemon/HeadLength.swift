/// Follows a head up to its Content-Length, and judges that (RFC 9110 section 8.6).
///
/// libmicrohttpd 0.9.75 sends the head of its answer twice where the value is no number, or has a blank behind it. So a bad one is
/// replaced, while it is read, by the end of a head that has a good one, and the request is refused like any other.
struct HeadLength {
    private enum Place {
        /// So many bytes of a line are those of the name.
        case name(Int)
        case otherLine
        /// Blanks before the value, or so many digits of it.
        case blanks
        case digits(Int)
        /// Behind the head, or behind what can be judged.
        case passed
        case bad(instead: [UInt8])
    }

    private static let name = Array("content-length:".utf8)
    /// A longer number is more than any disk has.
    private static let mostDigits = 18

    private var place = Place.name(0)
    private var isLineEmpty = true

    /// For a head of which some was read unseen.
    static var passed: HeadLength {
        var length = HeadLength()
        length.place = .passed
        return length
    }

    /// What is to be read from the last byte that was passed on, if that made the value bad.
    var instead: [UInt8]? { if case .bad(let instead) = place { instead } else { nil } }
    /// Whether the value was bad.
    var isBad: Bool { instead != nil }

    /// Goes over bytes of a head, and what comes behind it.
    ///
    /// - Returns: how many were passed: all, or those up to the first bad one.
    mutating func pass(_ bytes: UnsafeMutableBufferPointer<UInt8>) -> Int {
        for (index, byte) in bytes.enumerated() {
            if case .passed = place { break }
            pass(byte)
            if isBad { return index + 1 }
        }
        return bytes.count
    }

    private mutating func pass(_ byte: UInt8) {
        let isLineEnd = byte == UInt8(ascii: "\n")
        let isReturn = byte == UInt8(ascii: "\r")
        switch place {
        case .name where isReturn: break
        case .name(let matched) where !isLineEnd:
            isLineEmpty = false
            let isNext = byte | 0x20 == Self.name[matched] | 0x20
            place = !isNext ? .otherLine : matched + 1 == Self.name.count ? .blanks : .name(matched + 1)
        case .name:
            place = isLineEmpty ? .passed : .name(0)
            isLineEmpty = true
        case .otherLine where isLineEnd: (place, isLineEmpty) = (.name(0), true)
        case .otherLine, .passed, .bad: break
        case .blanks where byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t"): break
        case .blanks:
            place = Self.isDigit(byte) ? .digits(1) : .bad(instead: Array("0\r\n\r\n".utf8))
        case .digits(let count) where Self.isDigit(byte) && count < Self.mostDigits: place = .digits(count + 1)
        case .digits:
            place = isReturn ? .otherLine : isLineEnd ? .name(0) : .bad(instead: Array("\r\n\r\n".utf8))
            isLineEmpty = true
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}

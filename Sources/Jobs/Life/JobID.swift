public import Foundation
import Synchronization

/// A job's name: a UUID of version 7 in lower case, such as `0190a2b4-6f00-7c3e-9d41-2f8b6a0c51e7`.
///
/// The first 48 bits are the milliseconds since 1970 at which it was made, so that names sort by age; 62 bits are random,
/// so that none can be guessed. Names made by one process strictly increase, even within a millisecond and
/// when the clock is set back.
///
/// Layout and counter: RFC 9562, sections 5.7 and 6.2 (method 1).
public struct JobID: Hashable, Sendable {
    /// The 36 characters of the name.
    public let description: String

    /// A new name.
    public init() {
        self.init(at: Date())
    }

    /// When the name was made, as the clock of then told.
    public var time: Date {
        let digits = description.filter { $0 != "-" }.prefix(12)
        return Date(timeIntervalSince1970: Double(UInt64(digits, radix: 16) ?? 0) / 1_000)
    }

    /// A name that sorts before all that are made at a time or later, and behind all earlier ones.
    public static func bound(at time: Date) -> JobID {
        let milliseconds = UInt64(min(max(0, (time.timeIntervalSince1970 * 1_000).rounded(.up)), 0xFFFF_FFFF_FFFF))
        let digits = hexadecimal(milliseconds << 16 | 0x7000)
        let parts = [digits.prefix(8), digits.dropFirst(8).prefix(4), digits.suffix(4)]
        return JobID(parts.joined(separator: "-") + "-8000-000000000000")!
    }

    init(at now: Date) {
        let milliseconds = UInt64(max(0, now.timeIntervalSince1970 * 1_000))
        let (time, counter) = lastMade.withLock { $0.next(at: milliseconds & 0xFFFF_FFFF_FFFF) }
        let high = time << 16 | 0x7000 | counter
        let low = 0x8000_0000_0000_0000 | UInt64.random(in: 0...0x3FFF_FFFF_FFFF_FFFF)
        let digits = hexadecimal(high) + hexadecimal(low)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(index) { text.append("-") }
            text.append(digit)
        }
        description = text
    }

    /// The name that `text` spells, or nil unless it is exactly a lower-case UUID of version 7.
    public init?(_ text: String) {
        let characters = Array(text.utf8)
        guard characters.count == 36 else { return nil }
        for (index, character) in characters.enumerated() {
            switch (index, character) {
            case (8, _), (13, _), (18, _), (23, _): guard character == UInt8(ascii: "-") else { return nil }
            case (14, _): guard character == UInt8(ascii: "7") else { return nil }
            case (19, _): guard "89ab".utf8.contains(character) else { return nil }
            default: guard "0123456789abcdef".utf8.contains(character) else { return nil }
            }
        }
        description = text
    }
}

extension JobID: CustomStringConvertible, Comparable {
    /// Older names come first.
    public static func < (a: JobID, b: JobID) -> Bool { a.description < b.description }
}

extension JobID: Codable {
    /// Reads the name from a single string.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let id = JobID(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "This is not a job's name.")
        }
        self = id
    }

    /// Writes the name as a single string.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The time and counter of the last name made by this process.
private struct LastMade {
    var milliseconds: UInt64 = 0
    var counter: UInt64 = 0

    /// A later pair than any before. The 12-bit counter starts in its lower half, so that it has room to grow.
    mutating func next(at now: UInt64) -> (milliseconds: UInt64, counter: UInt64) {
        if now > milliseconds {
            milliseconds = now
            counter = .random(in: 0...0x7FF)
        } else if counter < 0xFFF {
            counter += 1
        } else {
            milliseconds += 1
            counter = .random(in: 0...0x7FF)
        }
        return (milliseconds, counter)
    }
}

private let lastMade = Mutex(LastMade())

/// 16 lower-case digits.
private func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}

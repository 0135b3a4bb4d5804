import Digests
import Foundation

/// A UID that follows from a name: a UUID of version 8 (RFC 9562) made of the name's SHA-256, written as PS3.5 section B.2
/// has it.
public func derivedUID(_ name: String) -> String {
    var hash = ContentHash()
    hash.add(Data("hepar/\(name)".utf8))
    // 128 of its bits, six of which say what kind of UUID it is.
    var number = UInt128(hash.hexadecimal().prefix(32), radix: 16)!
    number = number & ~(0xF << 76) | 0x8 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return "2.25.\(number)"
}

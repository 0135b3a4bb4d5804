import Glibc

/// An IPv4 or IPv6 address. `::ffff:192.0.2.1` is the same address as `192.0.2.1`.
public struct IPAddress: Hashable, Sendable {
    /// 128 bits; IPv4 addresses are kept as IPv6 has them, below `::ffff:0:0/96`.
    let bits: UInt128

    /// Reads an address in numbers: four decimal numbers, or IPv6 with or without `%zone`, which is dropped. Nothing
    /// else is taken: no name, no port, no brackets, no octal or shortened IPv4.
    public init?(_ text: some StringProtocol) {
        guard !text.utf8.contains(0) else { return nil }  // C would read up to it
        var four = in_addr()
        if inet_pton(AF_INET, String(text), &four) == 1 {
            bits = Self.mappedPrefix | UInt128(UInt32(bigEndian: four.s_addr))
            return
        }
        var six = in6_addr()
        let withoutZone = text.prefix { $0 != "%" }
        guard inet_pton(AF_INET6, String(withoutZone), &six) == 1 else { return nil }
        bits = withUnsafeBytes(of: six) { $0.reduce(UInt128(0)) { $0 << 8 | UInt128($1) } }
    }

    init(bits: UInt128) { self.bits = bits }

    /// Whether it is an IPv4 address.
    public var isIPv4: Bool { bits & ~0xFFFF_FFFF == Self.mappedPrefix }

    /// Whether it is this machine's own: `127.0.0.0/8` or `::1`.
    public var isLoopback: Bool {
        isIPv4 ? bits >> 24 & 0xFF == 127 : bits == 1
    }

    private static let mappedPrefix = UInt128(0xFFFF) << 32
}

extension IPAddress: CustomStringConvertible {
    /// The usual text: `192.0.2.1`, `2001:db8::1`.
    public var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        if isIPv4 {
            var four = in_addr(s_addr: UInt32(truncatingIfNeeded: bits).bigEndian)
            inet_ntop(AF_INET, &four, &text, socklen_t(text.count))
        } else {
            var six = in6_addr()
            withUnsafeMutableBytes(of: &six) { bytes in
                for index in 0..<16 { bytes[index] = UInt8(truncatingIfNeeded: bits >> (8 * (15 - index))) }
            }
            inet_ntop(AF_INET6, &six, &text, socklen_t(text.count))
        }
        return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
}

/// A block of addresses, as `10.0.0.0/8` or `2001:db8::/32`; a bare address is a block of one.
public struct AddressRange: Hashable, Sendable {
    private let base: IPAddress
    private let mask: UInt128

    /// Reads a block in CIDR notation.
    ///
    /// - Throws: ``AddressRangeError``.
    public init(_ text: String) throws(AddressRangeError) {
        let sides = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard !text.contains("%"), let base = IPAddress(sides[0]) else { throw .notARange(text) }
        // As 2001:db8:: and ::ffff:10.0.0.0 have it, the length of what is written with colons counts 128 bits.
        let (offset, widest) = sides[0].contains(":") ? (0, 128) : (96, 32)
        var length = widest
        if sides.count == 2 {
            guard 1...3 ~= sides[1].utf8.count, sides[1].utf8.allSatisfy({ 0x30...0x39 ~= $0 }),
                let given = Int(sides[1]), given <= widest
            else { throw .notARange(text) }
            length = given
        }
        let bits = length + offset
        let mask = bits == 0 ? 0 : UInt128.max << (128 - bits)
        guard base.bits & ~mask == 0 else {
            throw .bitsBelowTheMask(text, meant: "\(IPAddress(bits: base.bits & mask))/\(length)")
        }
        self.base = base
        self.mask = mask
    }

    /// Whether the address is in the block. An IPv4 address is in no block of IPv6, not even in `::/0`.
    public func contains(_ address: IPAddress) -> Bool {
        base.isIPv4 == address.isIPv4 && address.bits & mask == base.bits
    }
}

/// Why a text is no block of addresses.
public enum AddressRangeError: Error, Equatable, Sendable {
    case notARange(String)
    /// An address and a mask that cuts it: one of them is not what was meant.
    case bitsBelowTheMask(String, meant: String)
}

extension AddressRangeError: CustomStringConvertible {
    /// What is wrong and what to change.
    public var description: String {
        switch self {
        case .notARange(let text):
            "\(text.debugDescription) is not a block of addresses. Give one as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7."
        case .bitsBelowTheMask(let text, let meant):
            "\"\(text)\" has an address that reaches beyond its mask. \(meant) may be what is meant."
        }
    }
}

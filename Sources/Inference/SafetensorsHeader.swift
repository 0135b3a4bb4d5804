/// The judged header of a safetensors file: what `Safetensors(reading:)` may allocate and read.
struct SafetensorsHeader {
    /// Where one tensor lies: `count` elements from byte `offset` of the data, inside the file for certain.
    struct Entry {
        let name: String
        let type: Safetensors.ElementType
        let shape: [Int]
        let count: Int
        let offset: Int
    }

    /// The longest header that is read, in bytes; a network's takes about 20 kB.
    static let longest = 8 << 20

    private(set) var metadata: [String: String] = [:]
    /// Tensors in the order in which they lie in the file.
    private(set) var entries: [Entry] = []

    /// Parses the header's JSON and checks that the tensors fill `dataBytes` bytes without gap or overlap.
    init(parsing bytes: [UInt8], dataBytes: Int) throws(ModelError) {
        var parser = HeaderParser(bytes)
        var names: Set<String> = []
        var hasMetadata = false
        try parser.object { parser, key throws(ModelError) in
            if key == "__metadata__" {
                guard !hasMetadata else { throw .malformed(reason: "its header has \"__metadata__\" twice") }
                hasMetadata = true
                metadata = try parser.strings()
            } else {
                guard names.insert(key).inserted else {
                    throw .invalidTensor(name: key, reason: "the header names it twice")
                }
                entries.append(try parser.entry(name: key))
            }
        }
        try parser.end()

        entries.sort { ($0.offset, $0.count, $0.name) < ($1.offset, $1.count, $1.name) }
        var end = 0
        for entry in entries {
            guard entry.offset == end else {
                let fault = entry.offset < end ? "overlaps the tensor before it" : "leaves a gap before it"
                throw .invalidTensor(name: entry.name, reason: "its place in the file \(fault)")
            }
            // Cannot overflow: the parser saw that count · bytes is the difference of two valid offsets.
            end += entry.count * entry.type.bytes
            guard end <= dataBytes else {
                throw .invalidTensor(
                    name: entry.name, reason: "it ends at byte \(end) of the data, but the file has only \(dataBytes)")
            }
        }
        guard end == dataBytes else {
            throw .malformed(reason: "\(dataBytes - end) bytes after the last tensor belong to none")
        }
    }
}

/// Reads the JSON of a safetensors header, and no more of JSON than the format uses.
private struct HeaderParser {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// `{ "key": value, … }`; `value` must consume the value.
    mutating func object(
        _ value: (inout HeaderParser, String) throws(ModelError) -> Void
    ) throws(ModelError) {
        try expect("{")
        if consume("}") { return }
        repeat {
            let key = try string()
            try expect(":")
            try value(&self, key)
        } while consume(",")
        try expect("}")
    }

    /// An object whose values are strings.
    mutating func strings() throws(ModelError) -> [String: String] {
        var result: [String: String] = [:]
        try object { parser, key throws(ModelError) in
            let value = try parser.string()
            guard result.updateValue(value, forKey: key) == nil else {
                throw .invalidMetadata(key: key, reason: "is there twice")
            }
        }
        return result
    }

    /// `{"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}`, keys in any order.
    mutating func entry(name: String) throws(ModelError) -> SafetensorsHeader.Entry {
        var typeName: String?
        var shape: [Int]?
        var offsets: [Int]?
        try object { parser, key throws(ModelError) in
            let isNew =
                switch key {
                case "dtype": typeName == nil
                case "shape": shape == nil
                case "data_offsets": offsets == nil
                default: false
                }
            guard isNew else {
                throw .invalidTensor(name: name, reason: "unexpected key \(String(reflecting: key)) in the header")
            }
            switch key {
            case "dtype": typeName = try parser.string()
            case "shape": shape = try parser.integers(of: name)
            default: offsets = try parser.integers(of: name)
            }
        }
        guard let typeName, let shape, let offsets, offsets.count == 2 else {
            throw .invalidTensor(name: name, reason: "the header must give dtype, shape and two data_offsets")
        }
        guard let type = Safetensors.ElementType(rawValue: typeName) else {
            throw .invalidTensor(
                name: name, reason: "element type \(String(reflecting: typeName)) is not supported; use F32 or F16")
        }
        guard shape.count <= 8 else { throw .invalidTensor(name: name, reason: "it has more than 8 axes") }
        var bytes = type.bytes
        for length in shape {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: length)
            guard !overflow else { throw .invalidTensor(name: name, reason: "its shape \(shape) is too large") }
            bytes = product
        }
        guard offsets[0] <= offsets[1], offsets[1] - offsets[0] == bytes else {
            throw .invalidTensor(
                name: name, reason: "its data_offsets \(offsets) do not hold the \(bytes) bytes of shape \(shape)")
        }
        return SafetensorsHeader.Entry(
            name: name, type: type, shape: shape, count: bytes / type.bytes, offset: offsets[0])
    }

    /// Only spaces may follow the header's object.
    mutating func end() throws(ModelError) {
        skipSpace()
        guard position == bytes.count else { throw fault("text after its end") }
    }

    /// An array of numbers that are not negative, each at most 2⁵³.
    private mutating func integers(of name: String) throws(ModelError) -> [Int] {
        try expect("[")
        var values: [Int] = []
        if consume("]") { return values }
        repeat {
            skipSpace()
            let start = position
            var value = 0
            while position < bytes.count, let digit = Self.digit(bytes[position]) {
                value = value * 10 + digit
                position += 1
                guard value <= 1 << 53 else {
                    throw .invalidTensor(name: name, reason: "a number of its header entry is too large")
                }
            }
            guard position > start, values.count < 64 else {
                throw .invalidTensor(name: name, reason: "its header entry needs short lists of whole numbers from 0")
            }
            values.append(value)
        } while consume(",")
        guard consume("]") else {
            throw .invalidTensor(name: name, reason: "its header entry needs short lists of whole numbers from 0")
        }
        return values
    }

    private static func digit(_ byte: UInt8) -> Int? {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") ? Int(byte - UInt8(ascii: "0")) : nil
    }

    private mutating func string() throws(ModelError) -> String {
        try expect("\"")
        var utf8: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: utf8, as: UTF8.self) else { throw fault("text that is not UTF-8") }
                return text
            case UInt8(ascii: "\\"): utf8 += Array(String(try escape()).utf8)
            case 0..<0x20: throw fault("a control character in a string")
            default: utf8.append(byte)
            }
        }
        throw fault("a string without end")
    }

    /// The character that follows a backslash.
    private mutating func escape() throws(ModelError) -> Unicode.Scalar {
        guard position < bytes.count else { throw fault("a string without end") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"):
            var code = try fourHexDigits()
            if (0xD800..<0xDC00).contains(code) {
                guard position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
                    bytes[position + 1] == UInt8(ascii: "u")
                else { throw fault("half a surrogate pair") }
                position += 2
                let low = try fourHexDigits()
                guard (0xDC00..<0xE000).contains(low) else { throw fault("half a surrogate pair") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw fault("half a surrogate pair") }
            return scalar
        default: throw fault("an unknown escape in a string")
        }
    }

    private mutating func fourHexDigits() throws(ModelError) -> UInt32 {
        guard position + 4 <= bytes.count else { throw fault("a string without end") }
        var code: UInt32 = 0
        for byte in bytes[position..<position + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw fault("an unknown escape in a string")
            }
            code = code << 4 | UInt32(digit)
        }
        position += 4
        return code
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    }

    private mutating func consume(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(ModelError) {
        guard consume(character) else { throw fault("no \(character) where one is needed") }
    }

    private func fault(_ what: String) -> ModelError {
        .malformed(reason: "its header has \(what), at byte \(8 + position)")
    }
}

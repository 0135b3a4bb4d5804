import Foundation

/// The judged header of a safetensors file: what `Safetensors(reading:)` may allocate and read.
///
/// Of a key that the JSON has twice, Foundation gives one. Of two entries of one tensor the other's bytes then belong to
/// none, which is refused.
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
        // UTF-8, as the format has it: the decoder would take other encodings of JSON too.
        guard bytes.first == UInt8(ascii: "{"), !bytes.prefix(2).contains(0) else {
            throw .malformed(reason: "its header is not a JSON object")
        }
        let document: Document
        do {
            document = try JSONDecoder().decode(Document.self, from: Data(bytes))
        } catch let error as DecodingError {
            throw Self.fault(error)
        } catch {
            throw error as? ModelError ?? .malformed(reason: "its header is not JSON: \(error)")
        }
        metadata = document.metadata
        entries = document.entries
        entries.sort { ($0.offset, $0.count, $0.name) < ($1.offset, $1.count, $1.name) }
        var end = 0
        for entry in entries {
            guard entry.offset == end else {
                let fault = entry.offset < end ? "overlaps the tensor before it" : "leaves a gap before it"
                throw .invalidTensor(name: entry.name, reason: "its place in the file \(fault)")
            }
            // Cannot overflow: the entry's check saw that count · bytes is the difference of two valid offsets.
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

    /// What the decoder found, told of the tensor in whose entry it is.
    private static func fault(_ error: DecodingError) -> ModelError {
        let context: DecodingError.Context? =
            switch error {
            case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
                .dataCorrupted(let context):
                context
            @unknown default: nil
            }
        guard let name = context?.codingPath.first?.stringValue, name != Document.metadataKey else {
            let words = (context?.debugDescription ?? "").trimmingCharacters(in: ["."])
            return .malformed(reason: "its header is not that of the format: \(words)")
        }
        return .invalidTensor(
            name: name, reason: "the header must give dtype, shape and two data_offsets, whole numbers")
    }
}

/// `{"__metadata__": {…}, "tensor": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}`
private struct Document: Decodable {
    static let metadataKey = "__metadata__"

    var metadata: [String: String] = [:]
    var entries: [SafetensorsHeader.Entry] = []

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        for key in container.allKeys {
            if key.stringValue == Self.metadataKey {
                metadata = try container.decode([String: String].self, forKey: key)
            } else {
                let fields = try container.nestedContainer(keyedBy: Key.self, forKey: key)
                entries.append(try Self.entry(name: key.stringValue, fields))
            }
        }
    }

    private struct Key: CodingKey, Hashable {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private static func entry(
        name: String, _ fields: KeyedDecodingContainer<Key>
    ) throws -> SafetensorsHeader.Entry {
        let known = ["dtype", "shape", "data_offsets"]
        if let key = fields.allKeys.first(where: { !known.contains($0.stringValue) })?.stringValue {
            throw ModelError.invalidTensor(
                name: name, reason: "unexpected key \(String(reflecting: key)) in the header")
        }
        let typeName = try fields.decode(String.self, forKey: Key(stringValue: "dtype"))
        let shape = try fields.decode([Int].self, forKey: Key(stringValue: "shape"))
        let offsets = try fields.decode([Int].self, forKey: Key(stringValue: "data_offsets"))
        guard let type = Safetensors.ElementType(rawValue: typeName) else {
            throw ModelError.invalidTensor(
                name: name, reason: "element type \(String(reflecting: typeName)) is not supported; use F32 or F16")
        }
        guard shape.count <= 8 else { throw ModelError.invalidTensor(name: name, reason: "it has more than 8 axes") }
        guard offsets.count == 2, (shape + offsets).allSatisfy({ (0...1 << 53).contains($0) }) else {
            throw ModelError.invalidTensor(
                name: name, reason: "shape and two data_offsets must be whole numbers from 0 to 2⁵³")
        }
        var bytes = type.bytes
        for length in shape {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: length)
            guard !overflow else {
                throw ModelError.invalidTensor(name: name, reason: "its shape \(shape) is too large")
            }
            bytes = product
        }
        guard offsets[0] <= offsets[1], offsets[1] - offsets[0] == bytes else {
            throw ModelError.invalidTensor(
                name: name, reason: "its data_offsets \(offsets) do not hold the \(bytes) bytes of shape \(shape)")
        }
        return SafetensorsHeader.Entry(
            name: name, type: type, shape: shape, count: bytes / type.bytes, offset: offsets[0])
    }
}

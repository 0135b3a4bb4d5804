internal import Digests
public import Foundation

/// A dense array of single-precision numbers, the last axis fastest.
public struct Tensor: Equatable, Sendable {
    /// Length of each axis; an empty shape is one number.
    public let shape: [Int]
    /// The numbers, as many as the product of `shape`.
    public let values: [Float]

    /// A tensor of the given shape; the number of values must be the product of `shape`.
    public init(shape: [Int], values: [Float]) {
        precondition(shape.reduce(1, *) == values.count, "\(values.count) values do not fill \(shape)")
        self.shape = shape
        self.values = values
    }
}

/// Named tensors and a description, as a safetensors file holds them.
///
/// Format: 8 bytes with the header's length (little-endian), the header as a JSON object that gives each tensor's
/// element type, shape and place, then the tensors' bytes without gaps.
/// Source: github.com/huggingface/safetensors, "Format".
public struct Safetensors: Sendable {
    /// How a file stores each number.
    public enum ElementType: String, CaseIterable, Sendable {
        /// IEEE single precision.
        case float32 = "F32"
        /// IEEE half precision: 11 significant bits, largest value 65 504.
        case float16 = "F16"

        /// Bytes a number takes.
        public var bytes: Int { self == .float32 ? 4 : 2 }
    }

    /// The description: keys and values are strings.
    public var metadata: [String: String]
    /// SHA-256 of the file that this was read from, in hexadecimal digits; nil for what was made in memory.
    public let sha256: String?
    /// Tensors by name.
    public var tensors: [String: Tensor]

    /// A file's content, made in memory.
    public init(metadata: [String: String] = [:], tensors: [String: Tensor]) {
        self.metadata = metadata
        self.tensors = tensors
        sha256 = nil
    }
}

extension Safetensors {
    /// Reads a file whole.
    ///
    /// The header is judged before anything is allocated for it: no more is ever allocated than the file's own size
    /// justifies. Elements may be F32 or F16; both arrive as single precision, exactly.
    ///
    /// - Throws: ``ModelError/unreadable(reason:)``, ``ModelError/malformed(reason:)`` or
    ///   ``ModelError/invalidTensor(name:reason:)``.
    public init(reading url: URL) throws(ModelError) {
        let file = try InputFile(path: url.path)
        let length = try file.read(count: 8, at: 0).enumerated().reduce(UInt64(0)) { sum, byte in
            sum | UInt64(byte.element) << (8 * UInt64(byte.offset))
        }
        guard length <= UInt64(SafetensorsHeader.longest) else {
            throw .malformed(reason: "its header of \(length) bytes is above \(SafetensorsHeader.longest)")
        }
        let start = 8 + Int(length)
        guard start <= file.size else {
            throw .malformed(reason: "its header of \(length) bytes does not fit into \(file.size) bytes")
        }
        let header = try SafetensorsHeader(
            parsing: try file.read(count: Int(length), at: 8), dataBytes: file.size - start)

        sha256 = try file.sha256()
        metadata = header.metadata
        tensors = [:]
        tensors.reserveCapacity(header.entries.count)
        for entry in header.entries {
            let values =
                switch entry.type {
                case .float32: try file.readFloats(count: entry.count, at: start + entry.offset)
                case .float16: try file.readHalves(count: entry.count, at: start + entry.offset)
                }
            tensors[entry.name] = Tensor(shape: entry.shape, values: values)
        }
    }
}

/// A regular file that is open for reading; closed when it goes out of scope.
private struct InputFile: ~Copyable {
    let size: Int
    private let descriptor: Int32

    init(path: String) throws(ModelError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(reason: String(cString: strerror(errno))) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw .unreadable(reason: "it is not a regular file")
        }
        self.descriptor = descriptor
        size = Int(status.st_size)
    }

    deinit { close(descriptor) }

    func read(count: Int, at offset: Int) throws(ModelError) -> [UInt8] {
        guard count <= size - offset else { throw .malformed(reason: "it ends after \(size) bytes") }
        return try readElements(count: count, at: offset)
    }

    /// SHA-256 of the whole file, in hexadecimal digits.
    func sha256() throws(ModelError) -> String {
        var hash = ContentHash()
        for offset in stride(from: 0, to: size, by: 1 << 20) {
            hash.add(try read(count: min(1 << 20, size - offset), at: offset))
        }
        return hash.hexadecimal()
    }

    func readFloats(count: Int, at offset: Int) throws(ModelError) -> [Float] {
        try readElements(count: count, at: offset)
    }

    func readHalves(count: Int, at offset: Int) throws(ModelError) -> [Float] {
        let halves: [UInt16] = try readElements(count: count, at: offset)
        return halves.map { Float(Float16(bitPattern: $0)) }
    }

    /// Reads `count` numbers as they lie in the file; numbers are little-endian there and in memory.
    private func readElements<Element: BitwiseCopyable>(
        count: Int, at offset: Int
    ) throws(ModelError) -> [Element] {
        let wanted = count * MemoryLayout<Element>.stride
        var got = 0
        let elements = [Element](unsafeUninitializedCapacity: count) { buffer, initialised in
            while got < wanted {
                let bytes = pread(
                    descriptor, UnsafeMutableRawPointer(buffer.baseAddress!) + got, wanted - got, off_t(offset + got))
                if bytes < 0 && errno == EINTR { continue }
                guard bytes > 0 else { break }
                got += bytes
            }
            initialised = got / MemoryLayout<Element>.stride
        }
        guard got == wanted else { throw .unreadable(reason: "it became shorter while it was read") }
        return elements
    }
}

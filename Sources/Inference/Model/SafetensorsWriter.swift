public import Foundation

extension Safetensors {
    /// Writes a file; the same content gives the same bytes.
    ///
    /// The bytes go to a temporary file in the same folder, which is flushed to disk and then renamed, so that a
    /// reader sees the old file or the new one, whole. Tensors lie in the order of their names.
    ///
    /// - Throws: ``ModelError/unwritable(reason:)``; ``ModelError/outOfRange(name:value:allowed:)`` for a finite value
    ///   that F16 cannot hold.
    public func write(to url: URL, as type: ElementType = .float32) throws(ModelError) {
        let names = tensors.keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
        let file = try OutputFile(path: url.path)
        try file.append(header(of: names, as: type))
        for name in names {
            guard let tensor = tensors[name] else { continue }
            switch type {
            case .float32: try file.append(tensor.values)
            case .float16: try file.append(try halves(of: tensor, name: name))
            }
        }
        try file.publish()
    }

    /// The header's length and text, padded with spaces so that the data begin at a multiple of 8 bytes.
    private func header(of names: [String], as type: ElementType) -> [UInt8] {
        var offset = 0
        var members: [String] = []
        if !metadata.isEmpty {
            let pairs = metadata.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(quoted($0.value))" }
            members.append("\"__metadata__\":{\(pairs.joined(separator: ","))}")
        }
        for name in names {
            guard let tensor = tensors[name] else { continue }
            let end = offset + tensor.values.count * type.bytes
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            let place = "\"shape\":[\(shape)],\"data_offsets\":[\(offset),\(end)]"
            members.append("\(quoted(name)):{\"dtype\":\"\(type.rawValue)\",\(place)}")
            offset = end
        }
        var text = Array("{\(members.joined(separator: ","))}".utf8)
        text += Array(repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
        return withUnsafeBytes(of: UInt64(text.count).littleEndian) { Array($0) } + text
    }

    private func halves(of tensor: Tensor, name: String) throws(ModelError) -> [UInt16] {
        let halves = tensor.values.map { Float16($0) }
        if let index = halves.indices.first(where: { !halves[$0].isFinite && tensor.values[$0].isFinite }) {
            throw .outOfRange(name: name, value: tensor.values[index], allowed: "-65504 to 65504 in an F16 file")
        }
        return halves.map(\.bitPattern)
    }
}

/// A JSON string.
private func quoted(_ text: String) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .withoutEscapingSlashes
    return (try? encoder.encode(text)).map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
}

/// A temporary file beside `path` that takes its place when `publish` is called, and is removed otherwise.
private final class OutputFile {
    private let path: String
    private let temporaryPath: String
    private var descriptor: Int32

    init(path: String) throws(ModelError) {
        self.path = path
        temporaryPath = "\(path).\(UUID().uuidString).part"
        descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .unwritable(reason: String(cString: strerror(errno))) }
    }

    deinit {
        if descriptor >= 0 {
            close(descriptor)
            unlink(temporaryPath)
        }
    }

    func append<Element: BitwiseCopyable>(_ elements: [Element]) throws(ModelError) {
        let status = elements.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let count = Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return count < 0 ? errno : EIO }
                written += count
            }
            return 0
        }
        guard status == 0 else { throw .unwritable(reason: String(cString: strerror(status))) }
    }

    /// Flushes file and folder to disk around the rename: after a power cut the file is old or new, never half.
    func publish() throws(ModelError) {
        guard fsync(descriptor) == 0, rename(temporaryPath, path) == 0 else {
            throw .unwritable(reason: String(cString: strerror(errno)))
        }
        close(descriptor)
        descriptor = -1
        let folder = open((path as NSString).deletingLastPathComponent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { return }
        fsync(folder)
        close(folder)
    }
}

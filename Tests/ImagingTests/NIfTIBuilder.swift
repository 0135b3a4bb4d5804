import Foundation
import Imaging

/// Makes NIfTI files byte by byte, from the format's own description and not with the code under test.
struct NIfTIBuilder {
    var version = 1
    var isBigEndian = false
    var dim = [3, 4, 3, 2, 1, 1, 1, 1]
    var pixdim = [1.0, 0.8, 0.7, 2.5, 0, 0, 0, 0]
    var type = VoxelType.int16
    var bitpix: Int?
    var voxelOffset: Double?
    var slope = 1.0
    var intercept = 0.0
    var units = 2
    var sformCode = 1
    var qformCode = 0
    /// Rows x, y, z of the sform.
    var srows: [[Double]] = [[-0.8, 0, 0, 10], [0, -0.7, 0, 20], [0, 0, 2.5, -30]]
    /// b, c, d and the three offsets.
    var quaternion = [0.0, 0, 1, 10, 20, -30]
    var descrip = ""
    /// Stored values, one a voxel.
    var values: [Double] = []
    /// Bytes between header and voxels.
    var extender: [UInt8] = [0, 0, 0, 0]

    var headerSize: Int { version == 1 ? 348 : 540 }

    /// The header alone.
    var header: [UInt8] {
        var h = [UInt8](repeating: 0, count: headerSize)
        func put<T: FixedWidthInteger>(_ value: T, _ at: Int) {
            let ordered = isBigEndian ? value.bigEndian : value.littleEndian
            withUnsafeBytes(of: ordered) { h.replaceSubrange(at..<at + $0.count, with: $0) }
        }
        func real(_ value: Double, _ at: Int) {
            version == 1 ? put(Float(value).bitPattern, at) : put(value.bitPattern, at)
        }
        func text(_ value: String, _ at: Int) { h.replaceSubrange(at..<at + value.utf8.count, with: value.utf8) }
        let width = version == 1 ? 4 : 8
        let offset = voxelOffset ?? Double(headerSize + extender.count)
        put(Int32(headerSize), 0)
        if version == 1 {
            text("n+1", 344)
            for (i, d) in dim.enumerated() { put(Int16(truncatingIfNeeded: d), 40 + 2 * i) }
            put(Int16(type.code), 70)
            put(Int16(bitpix ?? type.size * 8), 72)
            real(offset, 108)
            h[123] = UInt8(units)
            put(Int16(qformCode), 252)
            put(Int16(sformCode), 254)
            text(descrip, 148)
            text(descrip.isEmpty ? "" : "aux", 228)
            text(descrip.isEmpty ? "" : "db", 14)
            text(descrip.isEmpty ? "" : "intent", 328)
        } else {
            text("n+2\0\r\n\u{1A}", 4)
            h[11] = 10
            for (i, d) in dim.enumerated() { put(Int64(d), 16 + 8 * i) }
            put(Int16(type.code), 12)
            put(Int16(bitpix ?? type.size * 8), 14)
            put(Int64(offset), 168)
            put(Int32(units), 500)
            put(Int32(qformCode), 344)
            put(Int32(sformCode), 348)
            text(descrip, 240)
            text(descrip.isEmpty ? "" : "aux", 320)
            text(descrip.isEmpty ? "" : "intent", 508)
        }
        for (i, p) in pixdim.enumerated() { real(p, (version == 1 ? 76 : 104) + width * i) }
        real(slope, version == 1 ? 112 : 176)
        real(intercept, version == 1 ? 116 : 184)
        for (i, q) in quaternion.enumerated() { real(q, (version == 1 ? 256 : 352) + width * i) }
        for (i, s) in srows.flatMap({ $0 }).enumerated() { real(s, (version == 1 ? 280 : 400) + width * i) }
        return h
    }

    /// The whole file; 0, 1, 2 ... where no values are given.
    var file: [UInt8] {
        let count = dim[1] * dim[2] * dim[3]
        let stored = values.isEmpty ? (0..<count).map(Double.init) : values
        return header + extender + stored.flatMap(encode)
    }

    private func encode(_ value: Double) -> [UInt8] {
        func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
            withUnsafeBytes(of: isBigEndian ? value.bigEndian : value.littleEndian) { Array($0) }
        }
        switch type {
        case .uint8: return bytes(UInt8(value))
        case .int8: return bytes(Int8(value))
        case .uint16: return bytes(UInt16(value))
        case .int16: return bytes(Int16(value))
        case .uint32: return bytes(UInt32(value))
        case .int32: return bytes(Int32(value))
        case .uint64: return bytes(UInt64(value))
        case .int64: return bytes(Int64(value))
        case .float32: return bytes(Float(value).bitPattern)
        case .float64: return bytes(value.bitPattern)
        }
    }

    /// Writes the file, through the system's gzip where `name` ends so and it is not told otherwise.
    @discardableResult
    func write(to folder: URL, as name: String = "scan.nii", compressed: Bool? = nil) throws -> URL {
        try save(file, to: folder, as: name, compressed: compressed ?? name.lowercased().hasSuffix(".gz"))
    }
}

/// Writes bytes, through the system's gzip where wanted.
@discardableResult
func save(_ bytes: [UInt8], to folder: URL, as name: String, compressed: Bool = false) throws -> URL {
    let url = folder.appending(path: name)
    guard compressed else {
        try Data(bytes).write(to: url)
        return url
    }
    let plain = folder.appending(path: "plain-\(UUID().uuidString)")
    try Data(bytes).write(to: plain)
    try Data().write(to: url)
    let gzip = Process()
    gzip.executableURL = URL(filePath: "/bin/gzip")
    gzip.arguments = ["-nc", plain.path]
    gzip.standardOutput = try FileHandle(forWritingTo: url)
    try gzip.run()
    gzip.waitUntilExit()
    try FileManager.default.removeItem(at: plain)
    return url
}

/// The bytes of a file, through the system's gzip where it is compressed.
func contents(of url: URL) throws -> [UInt8] {
    guard url.path.lowercased().hasSuffix(".gz") else { return Array(try Data(contentsOf: url)) }
    let gzip = Process()
    gzip.executableURL = URL(filePath: "/bin/gzip")
    gzip.arguments = ["-dc", url.path]
    let pipe = Pipe()
    gzip.standardOutput = pipe
    try gzip.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    gzip.waitUntilExit()
    return Array(data)
}

/// What `body` throws, or nil.
func failure(_ body: () throws(VolumeError) -> Void) -> VolumeError? {
    do throws(VolumeError) {
        try body()
        return nil
    } catch {
        return error
    }
}

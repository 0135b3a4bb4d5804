internal import CZlib
import Foundation

/// A zip made of raw bytes, so that it can lie.
struct ZipBuilder {
    struct Entry {
        var name: String
        var bytes: [UInt8] = []
        var isDeflated = false
        var flags: UInt16 = 0
        var method: UInt16?
        /// The size that both headers declare; the real one if nil.
        var declaredSize: UInt32?
        /// Unix mode; 0o100644 is a file, 0o120777 a link.
        var mode: UInt32 = 0o100644
    }

    var entries: [Entry]

    var bytes: [UInt8] {
        var file: [UInt8] = []
        var directory: [UInt8] = []
        for entry in entries {
            let data = entry.isDeflated ? deflated(entry.bytes) : entry.bytes
            let method = entry.method ?? (entry.isDeflated ? 8 : 0)
            let sum = entry.bytes.withUnsafeBufferPointer { crc32(0, $0.baseAddress, UInt32($0.count)) }
            let common =
                little(UInt16(20)) + little(entry.flags) + little(method) + little(UInt32(0)) + little(UInt32(sum))
                + little(UInt32(data.count)) + little(entry.declaredSize ?? UInt32(entry.bytes.count))
                + little(UInt16(entry.name.utf8.count)) + little(UInt16(0))
            let offset = UInt32(file.count)
            file += [0x50, 0x4B, 3, 4] + common + Array(entry.name.utf8) + data
            // Made on Unix, whose mode is the upper half of the external attributes.
            directory += [0x50, 0x4B, 1, 2, 20, 3] + common + little(UInt16(0)) + little(UInt16(0))
            directory += little(UInt16(0)) + little(entry.mode << 16) + little(offset) + Array(entry.name.utf8)
        }
        let count = little(UInt16(entries.count))
        return file + directory + [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + count + count + little(UInt32(directory.count))
            + little(UInt32(file.count)) + [0, 0]
    }

    private func little<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    /// What gzip has between its header of 10 bytes and its trailer of 8.
    private func deflated(_ plain: [UInt8]) -> [UInt8] {
        var stream = z_stream()
        precondition(hepar_deflate_init_gzip(&stream, 9) == Z_OK)
        defer { deflateEnd(&stream) }
        var input = plain
        var output = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(plain.count))) + 32)
        let count = input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(output.count)
                precondition(deflate(&stream, Z_FINISH) == Z_STREAM_END)
                return output.count - Int(stream.avail_out)
            }
        }
        return Array(output[10..<count - 8])
    }
}

internal import CZlib
import Foundation

/// Reads a file from its beginning, inflating it where its content is gzip, whatever its name is.
///
/// Uses about 300 KB however large the file is. A gzip file may have several members, as `cat a.gz b.gz` makes.
final class ByteSource {
    /// Whether the content is gzip.
    private(set) var isCompressed = false
    /// Whether a compressed file stopped before the end that gzip marks.
    private(set) var endedEarly = false
    /// Bytes of the file as it is stored.
    let storedBytes: Int

    private let descriptor: Int32
    private let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
    private var unread: Range<Int> = 0..<0
    private var stream: UnsafeMutablePointer<z_stream>?
    private var ended = false

    /// Opens a regular file and looks at its first two bytes.
    init(_ url: URL) throws(VolumeError) {
        // Not blocking, so that a named pipe cannot hold the thread.
        descriptor = open(url.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .cannotOpen(reason: systemReason()) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw .cannotOpen(reason: "it is not a file")
        }
        storedBytes = Int(status.st_size)
        try refill()
        isCompressed = unread.count >= 2 && input[0] == 0x1F && input[1] == 0x8B
        if isCompressed {
            let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
            stream.initialize(to: z_stream())
            self.stream = stream
            guard hepar_inflate_init_gzip(stream) == Z_OK else { throw .readFailed(reason: "out of memory") }
        }
    }

    deinit {
        if let stream {
            inflateEnd(stream)
            stream.deallocate()
        }
        input.deallocate()
        if descriptor >= 0 { close(descriptor) }
    }

    /// Fills `output`; fewer bytes than fit are returned only at the end of the file.
    func read(into output: UnsafeMutableRawBufferPointer) throws(VolumeError) -> Int {
        var count = 0
        while count < output.count, !ended {
            let rest = UnsafeMutableRawBufferPointer(rebasing: output[count...])
            count += try isCompressed ? inflateSome(into: rest) : copySome(into: rest)
        }
        return count
    }

    /// Passes over `count` bytes; returns how many there were.
    func skip(_ count: Int) throws(VolumeError) -> Int {
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 1)
        defer { scratch.deallocate() }
        var skipped = 0
        while skipped < count {
            let wanted = min(scratch.count, count - skipped)
            let found = try read(into: UnsafeMutableRawBufferPointer(rebasing: scratch[..<wanted]))
            skipped += found
            if found < wanted { break }
        }
        return skipped
    }

    private func copySome(into output: UnsafeMutableRawBufferPointer) throws(VolumeError) -> Int {
        if unread.isEmpty { try refill() }
        guard !unread.isEmpty else {
            ended = true
            return 0
        }
        let count = min(unread.count, output.count)
        output.copyMemory(from: UnsafeRawBufferPointer(rebasing: input[unread.lowerBound..<unread.lowerBound + count]))
        unread = unread.lowerBound + count..<unread.upperBound
        return count
    }

    private func inflateSome(into output: UnsafeMutableRawBufferPointer) throws(VolumeError) -> Int {
        guard let stream, let start = input.baseAddress, let target = output.baseAddress else { return 0 }
        if unread.isEmpty { try refill() }
        guard !unread.isEmpty else {
            (ended, endedEarly) = (true, true)
            return 0
        }
        let room = min(output.count, 1 << 30)
        stream.pointee.next_in = (start + unread.lowerBound).assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_in = UInt32(unread.count)
        stream.pointee.next_out = target.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(room)
        let status = inflate(stream, Z_NO_FLUSH)
        unread = unread.upperBound - Int(stream.pointee.avail_in)..<unread.upperBound
        switch status {
        case Z_OK, Z_BUF_ERROR: break
        case Z_STREAM_END: try startNextMember()
        case Z_MEM_ERROR: throw .readFailed(reason: "out of memory")
        default: throw .damagedGzip(reason: stream.pointee.msg.map { String(cString: $0) } ?? "it cannot be inflated")
        }
        return room - Int(stream.pointee.avail_out)
    }

    /// After a member's end: goes on where another member follows; what else may follow is ignored, as gzip does.
    private func startNextMember() throws(VolumeError) {
        if unread.isEmpty { try refill() }
        if !unread.isEmpty, input[unread.lowerBound] == 0x1F { inflateReset(stream) } else { ended = true }
    }

    private func refill() throws(VolumeError) {
        var count: Int
        repeat { count = Glibc.read(descriptor, input.baseAddress, input.count) } while count < 0 && errno == EINTR
        guard count >= 0 else { throw .readFailed(reason: systemReason()) }
        unread = 0..<count
    }
}

/// One block of a gzip file, deflated apart from all others, so that blocks can be made on several threads.
///
/// Each block ends on a byte boundary with no reference into the one before (a full flush); a gzip file is a header,
/// the blocks, an empty last block, and the checksum of all, which is combined from the blocks' own.
final class GzipBlock {
    /// The deflated bytes after ``deflate(_:)``.
    private(set) var deflated: UnsafeRawBufferPointer
    /// CRC-32 of the block's plain bytes.
    private(set) var checksum: UInt = 0

    private let stream: UnsafeMutablePointer<z_stream>
    private let output: UnsafeMutableRawBufferPointer

    /// What zlib puts before the deflated bytes in its gzip mode, where no name or time is given.
    private static let headerSize = 10
    /// The same, with a time of zero and no name: the same voxels give the same bytes.
    static let header: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 4, 3]

    /// Room for blocks of up to `capacity` plain bytes.
    ///
    /// - Parameter level: zlib's, 1 (fast) to 9 (small).
    init(capacity: Int, level: Int32) throws(VolumeError) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        guard hepar_deflate_init_gzip(stream, level) == Z_OK else {
            stream.deallocate()
            throw .writeFailed(reason: "out of memory")
        }
        // The flush after the block takes a few bytes more than deflateBound counts.
        output = .allocate(byteCount: Int(deflateBound(stream, UInt(capacity))) + 64, alignment: 64)
        deflated = UnsafeRawBufferPointer(rebasing: output[..<0])
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
        output.deallocate()
    }

    /// Deflates a block of at most the capacity; both results are valid until the next call.
    func deflate(_ plain: UnsafeRawBufferPointer) {
        let bytes = plain.bindMemory(to: UInt8.self)
        deflateReset(stream)
        stream.pointee.next_in = UnsafeMutablePointer(mutating: bytes.baseAddress)
        stream.pointee.avail_in = UInt32(plain.count)
        stream.pointee.next_out = output.bindMemory(to: UInt8.self).baseAddress
        stream.pointee.avail_out = UInt32(output.count)
        let status = CZlib.deflate(stream, Z_FULL_FLUSH)
        precondition(status == Z_OK && stream.pointee.avail_in == 0 && stream.pointee.avail_out > 0)
        let end = output.count - Int(stream.pointee.avail_out)
        deflated = UnsafeRawBufferPointer(rebasing: output[Self.headerSize..<end])
        checksum = crc32(0, bytes.baseAddress, UInt32(plain.count))
    }

    /// The checksum of two runs of bytes, one after the other.
    static func combine(_ first: UInt, _ second: UInt, secondLength: Int) -> UInt {
        crc32_combine(first, second, secondLength)
    }

    /// What ends a gzip file of `length` plain bytes: an empty last block, checksum and length.
    static func trailer(checksum: UInt, length: Int) -> [UInt8] {
        var bytes: [UInt8] = [3, 0]
        for value in [UInt32(truncatingIfNeeded: checksum), UInt32(truncatingIfNeeded: length)] {
            bytes += (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }
        return bytes
    }
}

/// The system's words for the last failure.
func systemReason() -> String { String(cString: strerror(errno)) }

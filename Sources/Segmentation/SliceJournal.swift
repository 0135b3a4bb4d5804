internal import Digests
public import Foundation

/// What the network said of each slice, kept in a file, so that a segmentation that was broken off anywhere goes on with
/// the first slice that was not finished.
///
/// The file holds a digest of the key, then a record for each slice in the order they are computed: the payload's length
/// (4 bytes, little-endian), the payload, and the SHA-256 digits of the payload. What a crash or a power loss left torn
/// fails its digest; the file is cut there. A journal is an aid: if it cannot be written, it is given up and the
/// segmentation goes on without.
public final class SliceJournal {
    /// How many slices were taken from the earlier run.
    public private(set) var restored = 0

    private let file: URL
    private var handle: FileHandle?
    /// Where the next record begins; the file may be longer while records of an earlier run are left.
    private var position: UInt64
    private var isReading = true

    private static let digestLength = 64
    /// No slice has more bytes than this: a torn length cannot make us ask for more.
    private static let longest = 1 << 30

    /// Opens the journal of an earlier run, or begins one.
    ///
    /// - Parameters:
    ///   - file: where it is; on the same disk as the job's other files.
    ///   - key: all that decides what the slices' results are: records under another key are discarded.
    public init(file: URL, key: String) {
        self.file = file
        var hash = ContentHash()
        hash.add(Data(key.utf8))
        let head = Data(hash.hexadecimal().utf8)
        position = UInt64(head.count)
        // Foundation would set the rights afterwards, which a confined process may not.
        let descriptor = open(file.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        handle = descriptor < 0 ? nil : FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        if (try? handle?.read(upToCount: head.count)) != head {
            giveUpUnless {
                try $0.truncate(atOffset: 0)
                try $0.write(contentsOf: head)
            }
            isReading = false
        }
    }

    /// Removes the file: the segmentation is done.
    public func remove() {
        try? handle?.close()
        handle = nil
        try? FileManager.default.removeItem(at: file)
    }

    /// Takes the next slice from the earlier run.
    ///
    /// - Parameter apply: uses the payload; false where it is not of the expected form.
    /// - Returns: whether there was one: if not, all slices from here on are to be computed.
    func restore(_ apply: (UnsafeRawBufferPointer) -> Bool) -> Bool {
        guard isReading, let handle else { return false }
        if let payload = Self.record(from: handle), payload.withUnsafeBytes(apply) {
            position += UInt64(4 + payload.count + Self.digestLength)
            restored += 1
            return true
        }
        isReading = false
        giveUpUnless {
            try $0.truncate(atOffset: position)
            try $0.seek(toOffset: position)
        }
        return false
    }

    /// Keeps a slice that was computed.
    func append(_ payload: Data) {
        guard handle != nil else { return }
        let length = UInt32(payload.count)
        var hash = ContentHash()
        hash.add(payload)
        let digest = hash.hexadecimal()
        giveUpUnless {
            try $0.write(contentsOf: Data((0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * $0)) }))
            try $0.write(contentsOf: payload)
            try $0.write(contentsOf: Data(digest.utf8))
        }
    }

    private func giveUpUnless(_ body: (FileHandle) throws -> Void) {
        guard let handle else { return }
        do {
            try body(handle)
        } catch {
            remove()
        }
    }

    /// The next whole record's payload; nil at the end, or where it is torn.
    private static func record(from handle: FileHandle) -> Data? {
        guard let bytes = try? handle.read(upToCount: 4), bytes.count == 4 else { return nil }
        let length = bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
        guard length <= longest, let payload = try? handle.read(upToCount: length), payload.count == length,
            let digest = try? handle.read(upToCount: digestLength)
        else { return nil }
        var hash = ContentHash()
        hash.add(payload)
        return Data(hash.hexadecimal().utf8) == digest ? payload : nil
    }
}

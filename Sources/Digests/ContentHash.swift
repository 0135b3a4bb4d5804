internal import Crypto
public import Foundation

/// SHA-256 of bytes that come in pieces.
public struct ContentHash {
    private var hash = SHA256()

    /// The hash of no bytes yet.
    public init() {}

    /// Takes more bytes.
    public mutating func add(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

    /// Takes more bytes.
    public mutating func add(_ bytes: some DataProtocol) { hash.update(data: bytes) }

    /// The hash of all that was taken, in 64 hexadecimal digits.
    public func hexadecimal() -> String {
        hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// SHA-256 of a file, as `sha256sum` prints it; the file is read in pieces.
    public static func ofFile(at url: URL) throws -> String {
        let handle = try FileHandle(forReadingFrom: url)
        defer { try? handle.close() }
        var hash = ContentHash()
        while let bytes = try handle.read(upToCount: 1 << 20), !bytes.isEmpty { hash.add(bytes) }
        return hash.hexadecimal()
    }
}

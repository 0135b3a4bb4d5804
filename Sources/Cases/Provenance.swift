internal import Crypto
import Foundation
import Segmentation

/// Where a mask comes from, so that it can be told later, and by others, that it is this service's unaltered answer.
///
/// The signature is Ed25519 (RFC 8032) over ``Statement`` written as JSON with sorted keys and without blanks, which is
/// what Python's `json.dumps(statement, sort_keys=True, separators=(",", ":"))` gives.
public struct Provenance: Codable, Equatable, Sendable {
    /// What is signed.
    public struct Statement: Codable, Equatable, Sendable {
        /// Version of Hepar.
        public let heparVersion: String
        /// SHA-256 of the CT's file as it was segmented.
        public let inputSha256: String
        /// SHA-256 of the model's two files.
        public let liverModelSha256, lesionModelSha256: String
        /// SHA-256 of the mask's file.
        public let maskSha256: String
        /// How the scan was segmented.
        public let options: Segmenter.Options

        enum CodingKeys: String, CodingKey {
            case heparVersion = "hepar_version"
            case inputSha256 = "input_sha256"
            case liverModelSha256 = "liver_model_sha256"
            case lesionModelSha256 = "lesion_model_sha256"
            case maskSha256 = "mask_sha256"
            case options
        }

        /// The bytes that are signed.
        package func signedBytes() throws -> Data {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return try encoder.encode(self)
        }
    }

    /// What is signed.
    public let statement: Statement
    /// The key that the signature is checked with, in base64; null for what was not made by a service.
    @Nullable public private(set) var publicKey: String?
    /// In base64.
    @Nullable public private(set) var signature: String?

    enum CodingKeys: String, CodingKey {
        case statement
        case publicKey = "public_key"
        case signature
    }

    package init(_ statement: Statement, key: SigningKey?) throws {
        self.statement = statement
        publicKey = key?.publicKey
        signature = try key?.signature(of: statement.signedBytes())
    }

    /// Whether the signature is the public key's, over this statement.
    public var isAuthentic: Bool {
        guard let key = publicKey.flatMap({ Data(base64Encoded: $0) }),
            let signature = signature.flatMap({ Data(base64Encoded: $0) }),
            let publicKey = try? Curve25519.Signing.PublicKey(rawRepresentation: key),
            let bytes = try? statement.signedBytes()
        else { return false }
        return publicKey.isValidSignature(signature, for: bytes)
    }

    /// Whether statement, key and signature are the same.
    public static func == (one: Provenance, other: Provenance) -> Bool {
        one.statement == other.statement && one.publicKey == other.publicKey && one.signature == other.signature
    }
}

/// The service's own Ed25519 key: made at the first start, kept in the data folder for the server's user alone.
public struct SigningKey: Sendable {
    private let key: Curve25519.Signing.PrivateKey

    /// In base64.
    public var publicKey: String { key.publicKey.rawRepresentation.base64EncodedString() }

    /// Reads the key, or makes one if there is none.
    ///
    /// - Throws: ``SigningKeyError`` if the file holds no key: it is not replaced, for the old one may be in a backup.
    public init(file: URL) throws {
        if let text = try? String(contentsOf: file, encoding: .utf8) {
            let bytes = Data(base64Encoded: text.trimmingCharacters(in: .whitespacesAndNewlines))
            guard let bytes, let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: bytes) else {
                throw SigningKeyError(file: file.path)
            }
            self.key = key
            return
        }
        key = Curve25519.Signing.PrivateKey()
        try writePrivately(Data((key.rawRepresentation.base64EncodedString() + "\n").utf8), to: file)
    }

    package func signature(of bytes: Data) throws -> String { try key.signature(for: bytes).base64EncodedString() }
}

/// The key file is there and holds no key.
public struct SigningKeyError: Error, CustomStringConvertible {
    package let file: String

    /// What is wrong, then what to do.
    public var description: String {
        "\(file) holds no signing key. Restore it from a backup, or remove it: then a new key is made, and what the old one "
            + "signed is checked with the public key in its report."
    }
}

/// Writes a new file that only the server's user can read, whole or not at all.
private func writePrivately(_ data: Data, to file: URL) throws {
    let temporary = file.appendingPathExtension("new")
    try? FileManager.default.removeItem(at: temporary)
    let attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
    guard FileManager.default.createFile(atPath: temporary.path, contents: nil, attributes: attributes) else {
        throw CocoaError(.fileWriteUnknown)
    }
    let handle = try FileHandle(forWritingTo: temporary)
    try handle.write(contentsOf: data)
    try handle.synchronize()
    try handle.close()
    guard rename(temporary.path, file.path) == 0 else { throw CocoaError(.fileWriteUnknown) }
    // Until the name is on the disk too, a power loss would bring another key, and earlier signatures would not fit it.
    let folder = open(file.deletingLastPathComponent().path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw CocoaError(.fileWriteUnknown) }
    defer { close(folder) }
    guard fsync(folder) == 0 else { throw CocoaError(.fileWriteUnknown) }
}

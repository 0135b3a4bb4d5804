import Cases

/// openapi.yaml, schema `SigningKey`.
struct SigningKeyJSON: Codable, Sendable {
    let algorithm: String
    let publicKey: String

    enum CodingKeys: String, CodingKey {
        case algorithm
        case publicKey = "public_key"
    }

    init(_ key: SigningKey) {
        algorithm = "Ed25519"
        publicKey = key.publicKey
    }
}

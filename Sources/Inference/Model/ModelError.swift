/// Why a model or tensor file is refused, or could not be written. Every case is for the file's owner to fix.
public enum ModelError: Error, Equatable, Sendable {
    /// The file cannot be opened or read.
    case unreadable(reason: String)
    /// The file is not in the safetensors format, or its header promises what the file does not hold.
    case malformed(reason: String)
    /// The header's entry of one tensor is wrong.
    case invalidTensor(name: String, reason: String)
    /// The network needs a tensor that the file does not have.
    case missingTensor(name: String)
    /// The file has a tensor that the network does not know.
    case unexpectedTensor(name: String)
    /// A tensor's shape is not the one that the network needs.
    case wrongShape(name: String, found: [Int], expected: [Int])
    /// A tensor holds a NaN or an infinity.
    case notFinite(name: String, index: Int)
    /// A tensor holds a value that its role or its number format does not allow.
    case outOfRange(name: String, value: Float, allowed: String)
    /// The file's description of the model lacks a key, or the key's value cannot be used.
    case invalidMetadata(key: String, reason: String)
    /// The file cannot be written.
    case unwritable(reason: String)
}

extension ModelError {
    /// The fault's name for programs, in snake_case.
    public var code: String {
        switch self {
        case .unreadable: "model_unreadable"
        case .malformed: "model_malformed"
        case .invalidTensor: "tensor_invalid"
        case .missingTensor: "tensor_missing"
        case .unexpectedTensor: "tensor_unexpected"
        case .wrongShape: "tensor_wrong_shape"
        case .notFinite: "tensor_not_finite"
        case .outOfRange: "tensor_out_of_range"
        case .invalidMetadata: "model_metadata"
        case .unwritable: "model_unwritable"
        }
    }
}

extension ModelError: CustomStringConvertible {
    /// What is wrong and where, then what would be accepted. Names from the file are quoted and escaped.
    public var description: String {
        switch self {
        case .unreadable(let reason):
            "The model file cannot be read: \(reason)."
        case .malformed(let reason):
            "The file is not a usable safetensors file: \(reason)."
        case .invalidTensor(let name, let reason):
            "Tensor \(String(reflecting: name)): \(reason)."
        case .missingTensor(let name):
            "Tensor \(String(reflecting: name)) is missing. A model file holds every tensor of the network."
        case .unexpectedTensor(let name):
            "Tensor \(String(reflecting: name)) does not belong to the network. Remove it from the file."
        case .wrongShape(let name, let found, let expected):
            "Tensor \(String(reflecting: name)) has shape \(found); the network needs \(expected)."
        case .notFinite(let name, let index):
            "Tensor \(String(reflecting: name)) holds a value that is not finite, at position \(index)."
        case .outOfRange(let name, let value, let allowed):
            "Tensor \(String(reflecting: name)) holds \(value); allowed is \(allowed)."
        case .invalidMetadata(let key, let reason):
            "The model file's metadata key \(String(reflecting: key)) \(reason)."
        case .unwritable(let reason):
            "The file cannot be written: \(reason)."
        }
    }
}

import Foundation

@testable import Inference

/// A model file: tensors lie inside the file one behind the other, what was read is written and read again the same, and
/// a model's description of itself means what it meant.
func fuzzSafetensors(_ input: UnsafeRawBufferPointer) throws(BrokenPromise) {
    if input.count >= 8 {
        let length = Int(clamping: input.loadUnaligned(as: UInt64.self))
        if length <= input.count - 8 {
            try checkHeader(Array(input[8..<8 + length]), dataBytes: input.count - 8 - length)
        }
    }
    try Scratch.file(input) { (url) throws(BrokenPromise) in
        let read = outcome { () throws(ModelError) in try Safetensors(reading: url) }
        let model = outcome { () throws(ModelError) in try ModelFile(reading: url) }
        if let error = read.failure { try promise(!error.description.isEmpty, "an empty error") }
        guard let content = read.value else { return try promise(model.value == nil, "a model in an unreadable file") }
        let held = content.tensors.values.reduce(0) { $0 + $1.values.count }
        try promise(2 * held <= input.count, "\(held) numbers of \(input.count) bytes")
        let copy = url.deletingLastPathComponent().appending(path: "copy")
        let again = outcome { () throws(ModelError) in
            try content.write(to: copy)
            return try Safetensors(reading: copy)
        }
        guard let again = again.value else { throw BrokenPromise(description: "not read again: \(again)") }
        try promise(again.metadata == content.metadata, "other metadata when read again")
        try promise(bits(again.tensors) == bits(content.tensors), "other tensors when read again")
        if let model = model.value {
            let metadata = outcome { () throws(ModelError) in try ModelMetadata(model.metadata.dictionary) }
            try promise(metadata.value == model.metadata, "\(model.metadata) became \(metadata)")
        }
    }
}

private func checkHeader(_ bytes: [UInt8], dataBytes: Int) throws(BrokenPromise) {
    let parsed = outcome { () throws(ModelError) in try SafetensorsHeader(parsing: bytes, dataBytes: dataBytes) }
    guard let header = parsed.value else { return }
    var end = 0
    for entry in header.entries {
        try promise(entry.offset == end, "\(entry.name) begins at \(entry.offset), not \(end)")
        try promise(entry.count == entry.shape.reduce(1, *), "\(entry.count) numbers of shape \(entry.shape)")
        end += entry.count * entry.type.bytes
    }
    try promise(end == dataBytes, "tensors end at \(end) of \(dataBytes)")
}

/// Numbers by their bits: NaN must stay what it is too.
private func bits(_ tensors: [String: Tensor]) -> [String: [[Int]]] {
    tensors.mapValues { [$0.shape, $0.values.map { Int($0.bitPattern) }] }
}

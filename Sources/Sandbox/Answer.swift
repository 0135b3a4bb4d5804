public import Foundation

/// What a child said cannot be an answer: it is no JSON of the wanted form, or holds what no answer holds.
public struct FalseAnswer: Error, Equatable {
    /// A false answer.
    public init() {}
}

/// Reads JSON that a child wrote. A child that read a hostile file may be that file's, so what is read here is of the
/// wanted form and of a bounded size, and that is all: whoever asked still has to hold each number against what it can be.
public struct AnswerReader: Sendable {
    /// The most bytes of a text, as it is written.
    public var text: Int
    /// Whether `inf`, `-inf` and `nan` stand for numbers: in errors, which tell what was found in a file.
    public var allowsNonFinite: Bool

    /// How deep lists and objects may lie in one another; no answer has half of it.
    private static let depth = 32

    /// Reads texts of at most `text` bytes.
    public init(text: Int = 4096, allowsNonFinite: Bool = false) {
        self.text = text
        self.allowsNonFinite = allowsNonFinite
    }

    /// Reads a value; one pass over the bytes comes first.
    ///
    /// - Throws: ``FalseAnswer``, whatever is wrong with it.
    public func read<Value: Decodable>(_ type: Value.Type, from data: Data) throws(FalseAnswer) -> Value {
        guard data.withUnsafeBytes({ isBounded($0) }) else { throw FalseAnswer() }
        let decoder = JSONDecoder()
        if allowsNonFinite {
            decoder.nonConformingFloatDecodingStrategy = .convertFromString(
                positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        }
        guard let value = try? decoder.decode(type, from: data) else { throw FalseAnswer() }
        return value
    }

    /// Whether depth and texts are within bounds. JSON's grammar is the decoder's to judge.
    private func isBounded(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var open = 0
        // Where the text begins that this byte is in.
        var begin: Int?
        var isEscaped = false
        for (place, byte) in bytes.enumerated() {
            if let start = begin {
                guard place - start <= text + 1 else { return false }
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    begin = nil
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): begin = place
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                open += 1
                guard open <= Self.depth else { return false }
            case UInt8(ascii: "}"), UInt8(ascii: "]"): open -= 1
            default: break
            }
        }
        return true
    }
}

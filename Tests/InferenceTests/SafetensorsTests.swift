import Foundation
import Inference
import TestSupport
import Testing

/// A file in the format, made by hand: header text, then data.
private func file(_ header: String, data: [UInt8] = [], length: UInt64? = nil) -> Data {
    var bytes = withUnsafeBytes(of: (length ?? UInt64(header.utf8.count)).littleEndian) { Data($0) }
    bytes += Array(header.utf8)
    bytes += data
    return bytes
}

private func read(_ content: Data) throws -> Safetensors {
    try withTemporaryFolder { folder in
        let url = folder.appending(path: "t.safetensors")
        try content.write(to: url)
        return try Safetensors(reading: url)
    }
}

private func error(_ content: Data) -> ModelError? {
    do {
        _ = try read(content)
        return nil
    } catch { return error as? ModelError }
}

@Suite struct SafetensorsTests {
    @Test func roundTripKeepsEveryBit() throws {
        let odd: [Float] = [0, -0.0, 1, -1, .leastNonzeroMagnitude, .greatestFiniteMagnitude, .infinity, 1 / 3]
        let content = Safetensors(
            metadata: ["a\"b\\": "line\n\u{1}ü", "z": ""],
            tensors: [
                "b": Tensor(shape: [2, 4], values: odd), "a.weight": Tensor(shape: [], values: [7]),
                "empty": Tensor(shape: [0, 3], values: []),
            ])
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "t.safetensors")
            try content.write(to: url)
            let first = try Data(contentsOf: url)
            let back = try Safetensors(reading: url)
            #expect(back.metadata == content.metadata)
            #expect(back.tensors.keys.sorted() == ["a.weight", "b", "empty"])
            #expect(back.tensors["b"]?.values.map(\.bitPattern) == odd.map(\.bitPattern))
            #expect(back.tensors["a.weight"]?.shape == [])
            #expect(back.tensors["empty"]?.shape == [0, 3])
            try back.write(to: url)
            #expect(try Data(contentsOf: url) == first)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["t.safetensors"])
        }
    }

    /// Data begin at a multiple of 8 bytes, and tensors lie in the order of their names.
    @Test func bytesAreThoseOfTheFormat() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "t.safetensors")
            try Safetensors(tensors: [
                "y": Tensor(shape: [1], values: [1]), "x": Tensor(shape: [2], values: [2, -2]),
            ]).write(to: url)
            let header =
                #"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"#
                + #""y":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#
            let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
            let data: [UInt8] = [0, 0, 0, 0x40, 0, 0, 0, 0xC0, 0, 0, 0x80, 0x3F]
            #expect(try Data(contentsOf: url) == file(padded, data: data))
        }
    }

    @Test func readsHalfPrecisionExactly() throws {
        // 1, -2, 1/3 rounded to 11 bits, smallest subnormal, smallest normal, largest, -infinity
        let halves: [UInt16] = [0x3C00, 0xC000, 0x3555, 0x0001, 0x0400, 0x7BFF, 0xFC00]
        let expected: [Float] = [1, -2, 0x1.554p-2, 0x1p-24, 0x1p-14, 65504, -.infinity]
        let data = halves.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
        let tensor = try read(file(#"{"t":{"data_offsets":[0,14],"dtype":"F16","shape":[7]}}  "#, data: data)).tensors
        #expect(tensor["t"]?.values == expected)
    }

    @Test func writesHalfPrecisionRoundedToNearest() throws {
        try withTemporaryFolder { folder in
            let url = folder.appending(path: "t.safetensors")
            try Safetensors(tensors: ["t": Tensor(shape: [3], values: [1 / 3, 1 + 0x1p-11, 1 + 3 * 0x1p-11])])
                .write(to: url, as: .float16)
            // The last two lie half-way between two halves: the even one is taken.
            #expect(try Safetensors(reading: url).tensors["t"]?.values == [0x1.554p-2, 1, 1 + 0x1p-9])

            let large = Safetensors(tensors: ["big": Tensor(shape: [2], values: [1, 70_000])])
            #expect(throws: ModelError.self) { try large.write(to: url, as: .float16) }
            #expect(try Safetensors(reading: url).tensors["t"] != nil, "the old file stays")
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).count == 1)
        }
    }

    @Test func refusesWhatIsNotTheFormat() {
        #expect(error(Data())?.code == "model_malformed")
        #expect(error(Data([1, 2, 3]))?.code == "model_malformed")
        #expect(error(file("{}", length: .max))?.code == "model_malformed")
        #expect(error(file("{}", length: 1 << 63))?.code == "model_malformed")
        #expect(error(file("{}", length: 3))?.code == "model_malformed")
        #expect(error(Data("<html><body>not found</body></html>".utf8))?.code == "model_malformed")
        for header in [
            "", "[]", "{", "{}x", #"{"a"}"#, #"{"a\q":{}}"#, #"{"\ud800":{}}"#, "{\"a\nb\":{}}",
            #"{"__metadata__":{"a":1}}"#, #"{"a":{"dtype":"F32","shape":[2.5]}}"#, "{}{}", "\u{FEFF}{}",
            "{\u{0}",
            #"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}"#,
        ] {
            #expect(error(file(header))?.code == "model_malformed", "\(header)")
        }
        #expect(error(file("{}", data: [0]))?.description.contains("1 bytes after the last tensor") == true)
    }

    @Test func refusesAFolderAndAnAbsentFile() {
        #expect(throws: ModelError.self) { try Safetensors(reading: URL(filePath: "/tmp")) }
        #expect(throws: ModelError.self) { try Safetensors(reading: URL(filePath: "/nowhere/at/all")) }
    }

    /// Faults of one tensor's entry: the error names the tensor.
    @Test(arguments: [
        #""dtype":"BF16","shape":[2],"data_offsets":[0,4]"#, #""dtype":"F32","shape":[2],"data_offsets":[0,4]"#,
        #""dtype":"F32","shape":[2],"data_offsets":[8,0]"#, #""dtype":"F32","shape":[2],"data_offsets":[4,12]"#,
        #""dtype":"F32","shape":[4],"data_offsets":[0,16]"#, #""dtype":"F32","shape":[-2],"data_offsets":[0,8]"#,
        #""dtype":2,"shape":[2],"data_offsets":[0,8]"#, #""dtype":"F32","shape":[2],"data_offsets":[0]"#,
        #""dtype":"F32","shape":[2]"#, #""shape":[2],"data_offsets":[0,8]"#,
        #""dtype":"F32","data_offsets":[0,8],"shape":2"#,
        #""dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,8]"#,
        #""dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]"#,
        #""dtype":"F32","shape":[2],"data_offsets":[0,8],"more":[1]"#,
        #""dtype":"F32","shape":[2],"data_offsets":[9007199254740984,9007199254740992]"#,
    ])
    func refusesABadEntry(entry: String) throws {
        let found = try #require(error(file("{\"the.tensor\":{\(entry)}}", data: Array(repeating: 0, count: 8))))
        #expect(found.code == "tensor_invalid")
        #expect(found.description.contains("\"the.tensor\""))
    }

    @Test func refusesOverlapsGapsAndDuplicates() throws {
        func entry(_ name: String, _ start: Int, _ end: Int) -> String {
            "\"\(name)\":{\"dtype\":\"F32\",\"shape\":[\((end - start) / 4)],\"data_offsets\":[\(start),\(end)]}"
        }
        let data = [UInt8](repeating: 0, count: 16)
        func fault(_ first: String, _ second: String) -> String {
            error(file("{\(first),\(second)}", data: data))?.description ?? ""
        }
        #expect(try read(file("{\(entry("b", 8, 16)),\(entry("a", 0, 8))}", data: data)).tensors.count == 2)
        let place = "Tensor \"b\": its place in the file"
        #expect(fault(entry("a", 0, 12), entry("b", 8, 16)) == "\(place) overlaps the tensor before it.")
        #expect(fault(entry("a", 0, 4), entry("b", 8, 16)) == "\(place) leaves a gap before it.")
        #expect(
            ["Tensor \"a\": its place in the file leaves a gap", "8 bytes after the last tensor"].contains {
                fault(entry("a", 0, 8), entry("a", 8, 16)).contains($0)
            })
    }
}

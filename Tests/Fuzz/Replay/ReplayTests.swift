import Compute
import Foundation
import Testing

/// What a fuzzer has found worth keeping, and a few thousand changes of it that are the same at each run.
///
/// `make fuzz` searches; this only keeps what is known from coming back. An input that brings the process down is found
/// again by `make fuzz TARGETS=... MINUTES=1`, which names and keeps it.
@Suite struct ReplayTests {
    @Test(arguments: FuzzTarget.allCases)
    func corpusKeepsItsPromises(target: FuzzTarget) async throws {
        let corpus = try Corpus(target)
        #expect(corpus.inputs.count >= 3, "no corpus in \(corpus.folder.path); deploy/fuzz/seeds.py makes it")
        let faults = await onThread {
            zip(corpus.names, corpus.inputs).compactMap { broken(target, $1, "\(target.rawValue)/\($0)") }
        }
        #expect(faults == [])
    }

    @Test(arguments: FuzzTarget.allCases)
    func changedInputsKeepTheirPromises(target: FuzzTarget) async throws {
        let corpus = try Corpus(target)
        let faults = await onThread {
            var mutator = Mutator(inputs: corpus.inputs, seed: 20_270_131)
            return (0..<target.changes).compactMap {
                broken(target, mutator.next(), "change \($0) of \(target.rawValue)")
            }
        }
        #expect(faults == [])
    }
}

/// What is said of an input whose promise is broken.
private func broken(_ target: FuzzTarget, _ input: [UInt8], _ name: String) -> String? {
    do throws(BrokenPromise) {
        try input.withUnsafeBufferPointer { (bytes) throws(BrokenPromise) in
            try target.run(UnsafeRawBufferPointer(bytes))
        }
        return nil
    } catch {
        return "\(name): \(error)"
    }
}

/// Targets wait for tasks: they must not hold the few threads that tasks run on.
private func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        Thread { continuation.resume(returning: body()) }.start()
    }
}

extension FuzzTarget {
    /// As many as take about a second.
    fileprivate var changes: Int {
        switch self {
        case .http: 100
        case .dicom, .config: 1_000
        default: 3_000
        }
    }
}

/// The inputs that are kept for a target.
private struct Corpus: Sendable {
    let folder: URL
    let names: [String]
    let inputs: [[UInt8]]

    init(_ target: FuzzTarget) throws {
        folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Corpora/\(target.rawValue)")
        let folder = folder
        names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        inputs = try names.map { Array(try Data(contentsOf: folder.appending(path: $0))) }
    }
}

/// Changes inputs as fuzzers do; the same seed gives the same inputs.
private struct Mutator {
    let inputs: [[UInt8]]
    private var random: SplitMix64

    init(inputs: [[UInt8]], seed: UInt64) {
        self.inputs = inputs
        random = SplitMix64(seed: seed)
    }

    mutating func next() -> [UInt8] {
        var input = inputs[below(inputs.count)]
        for _ in 0...below(4) { change(&input) }
        return input
    }

    private mutating func change(_ input: inout [UInt8]) {
        let place = below(input.count + 1)
        let length = min(1 << below(8), input.count - place)
        switch below(7) {
        case 0 where place < input.count: input[place] ^= 1 << UInt8(below(8))
        case 1 where place < input.count: input[place] = [0, 1, 0x7F, 0x80, 0xFF, 0x0A, 0x0D, 0x22][below(8)]
        case 2: input.removeSubrange(place..<place + length)
        case 3: input.insert(contentsOf: input[place..<place + length], at: below(input.count + 1))
        case 4: input.removeSubrange(place...)
        case 5:
            let other = inputs[below(inputs.count)]
            let start = below(other.count + 1)
            input.replaceSubrange(place..<place + length, with: other[start..<min(start + 64, other.count)])
        default: input.insert(UInt8(below(256)), at: place)
        }
    }

    private mutating func below(_ limit: Int) -> Int { limit < 2 ? 0 : Int(random.next() % UInt64(limit)) }
}

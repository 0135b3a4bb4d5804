import ArgumentParser
import Compute
import Foundation
import Inference

/// `hepar bench`: times parts of Hepar on this machine.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Time the network, a step of training, the pipeline, the scores, single kernels or the queue.",
        discussion: "Prints one JSON object a line: the least disturbed run and the median, in milliseconds.",
        subcommands: [
            BenchNetwork.self, BenchTraining.self, BenchPipeline.self, BenchMetrics.self, BenchKernels.self,
            BenchQueue.self,
        ])
}

/// One case of a benchmark, as it is printed.
struct BenchmarkLine: Encodable {
    /// What was timed.
    var name: String
    /// Timed runs.
    var runs: Int
    /// The least disturbed run and the median, in milliseconds.
    var minMs, medianMs: Double
    /// What 99 of 100 runs took at most, in milliseconds, where somebody waits for each.
    var p99Ms: Double?
    /// 10⁹ floating-point operations a second in the least disturbed run, where that makes sense.
    var gflops: Double?
    /// 10⁹ bytes a second in the least disturbed run, where that makes sense.
    var gigabytes: Double?
    /// Compute threads.
    var threads: Int
    /// The vector instructions of the network's kernels.
    var instructions: String
    /// The most memory that the process has held so far, in MiB; null where the system does not tell.
    var peakMiB: Double?

    enum CodingKeys: String, CodingKey {
        case name, runs, gflops, threads, instructions
        case minMs = "min_ms"
        case medianMs = "median_ms"
        case p99Ms = "p99_ms"
        case gigabytes = "gb_per_s"
        case peakMiB = "peak_mib"
    }

    /// The line without its end.
    var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else { preconditionFailure("a benchmark's numbers are finite") }
        return String(decoding: data, as: UTF8.self)
    }
}

/// What the cases of one benchmark have in common.
struct Benchmark {
    /// Timed runs of each case.
    var runs: Int
    /// Compute threads.
    var threads: Int
    /// The vector instructions of the network's kernels.
    var instructions: InstructionSet

    /// Times `body` and prints one JSON line, so that two builds can be compared by a script.
    ///
    /// Before that it runs untimed, to fill the caches and wake the threads: three times, or as often as fits into a
    /// second, at least once.
    ///
    /// - Parameters:
    ///   - name: what is timed.
    ///   - flops: floating-point operations of one run.
    ///   - bytes: bytes that one run moves.
    func measure(_ name: String, flops: Double? = nil, bytes: Double? = nil, _ body: () throws -> Void) rethrows {
        let clock = ContinuousClock()
        let start = clock.now
        for _ in 0..<3 {
            try body()
            if clock.now - start > .seconds(1) { break }
        }
        report(
            name, milliseconds: try (0..<runs).map { _ in try clock.measure(body) / .milliseconds(1) }, flops: flops,
            bytes: bytes)
    }

    /// Prints the line of a case that was timed elsewhere.
    func report(
        _ name: String, milliseconds: [Double], flops: Double? = nil, bytes: Double? = nil, withP99: Bool = false
    ) {
        let sorted = milliseconds.sorted()
        let rounded = { (value: Double) in (value * 1000).rounded() / 1000 }
        let rate = { (amount: Double) in rounded(amount / sorted[0] * 1e-6) }
        let line = BenchmarkLine(
            name: name, runs: sorted.count, minMs: rounded(sorted[0]), medianMs: rounded(sorted[sorted.count / 2]),
            p99Ms: withP99 ? rounded(sorted[(sorted.count * 99 + 99) / 100 - 1]) : nil, gflops: flops.map(rate),
            gigabytes: bytes.map(rate), threads: threads, instructions: instructions.rawValue,
            peakMiB: peakMemoryBytes().map { rounded(Double($0) / 1_048_576) })
        print(line.json)
        // A reader behind a pipe sees each line as it comes.
        fflush(nil)
    }
}

/// The most memory that this process has held so far (Linux's VmHWM), in bytes.
func peakMemoryBytes() -> Int? {
    guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
        let match = status.firstMatch(of: /VmHWM:\s+(\d+) kB/), let kilobytes = Int(match.1)
    else { return nil }
    return kilobytes * 1024
}

/// Options of every benchmark.
struct BenchOptions: ParsableArguments {
    @OptionGroup var threads: ThreadOption

    @Option(help: "Timed runs of each case.")
    var runs: Int?

    mutating func validate() throws {
        if let runs, !(1...10_000).contains(runs) { throw ValidationError("--runs must be from 1 to 10000.") }
    }

    /// The cases' common facts, with `runs` where the user gives none.
    func benchmark(runs defaultRuns: Int, instructions: InstructionSet) -> Benchmark {
        Benchmark(runs: runs ?? defaultRuns, threads: threads.count, instructions: instructions)
    }
}

extension InstructionSet: ExpressibleByArgument {}

import ArgumentParser
import Foundation
import Inference
import Jobs
import SQLiteJobs

/// `hepar bench queue`: the job database with many jobs in it.
struct BenchQueue: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "queue", abstract: "Time the job database while many jobs wait.",
        discussion: """
            The database is a new one in the temporary folder (TMPDIR), on whose disk each accepted, claimed and finished \
            job is synced. What is timed is the database alone, without HTTP.
            """)

    @Option(help: "Jobs that wait.")
    var jobs = 10_000

    @OptionGroup var options: BenchOptions

    mutating func validate() throws {
        guard (50...1_000_000).contains(jobs) else { throw ValidationError("--jobs must be from 50 to 1000000.") }
    }

    func run() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "hepar-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try SQLiteJobStore(file: folder.appending(path: "jobs.sqlite"))
        let benchmark = options.benchmark(runs: 100, instructions: .best(width: 16))
        var submits: [Double] = []
        for _ in 0..<jobs { submits.append(try milliseconds { _ = try store.enqueue(Self.job(), queueLimit: jobs) }) }
        report(benchmark, "submit", Array(submits.suffix(benchmark.runs)))

        var claims: [Double] = []
        var finishes: [Double] = []
        for _ in 0..<min(benchmark.runs, jobs / 2) {
            var claimed: ClaimedJob?
            claims.append(
                try milliseconds { claimed = try store.claim(at: Date(), lease: .seconds(60), maxAttempts: 3) })
            guard let claimed else { throw UserError("A job that waits was not claimed. This is a fault of Hepar.") }
            finishes.append(
                try milliseconds { _ = try store.finish(claimed, .succeeded(result: Data("{}".utf8)), at: Date()) })
        }
        report(benchmark, "claim", claims)
        report(benchmark, "finish", finishes)

        let newest = try store.jobs(JobFilter(limit: 1)).first
        for (name, body) in [
            ("list 50", { _ = try store.jobs(JobFilter(limit: 50)) }),
            ("list 50 queued", { _ = try store.jobs(JobFilter(state: .queued, limit: 50)) }),
            ("queue", { _ = try store.report() }),
            ("estimate of the last", { _ = try newest.map { try store.estimate(for: $0.id, workers: 1) } }),
        ] as [(String, () throws -> Void)] {
            report(benchmark, name, try (0..<benchmark.runs).map { _ in try milliseconds(body) })
        }
    }

    private static func job() -> NewJob {
        NewJob(options: Data("{}".utf8), hasReference: false, uploadBytes: 1_000_000, cost: 1, owner: "bench")
    }

    private func milliseconds(_ body: () throws -> Void) rethrows -> Double {
        try ContinuousClock().measure(body) / .milliseconds(1)
    }

    private func report(_ benchmark: Benchmark, _ name: String, _ times: [Double]) {
        benchmark.report("queue of \(jobs): \(name)", milliseconds: times, withP99: true)
    }
}

import Foundation
import TestSupport
import Testing

/// The benchmarks' lines, which scripts read.
@Suite struct BenchTests {
    private func lines(_ outcome: HeparProcess.Outcome) throws -> [[String: Any]] {
        try outcome.output.split(separator: "\n").map {
            try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
        }
    }

    @Test func networkPrintsOneLine() throws {
        let outcome = try HeparProcess.run(
            "bench", "network", "--width", "8", "--size", "32x48", "--runs", "3", "--threads", "2")
        #expect(outcome.status == 0, "\(outcome.error)")
        let found = try lines(outcome)
        #expect(found.count == 1)
        let line = try #require(found.first)
        #expect(line["name"] as? String == "network w8 32x48")
        #expect(line["runs"] as? Int == 3)
        #expect(line["threads"] as? Int == 2)
        let least = try #require(line["min_ms"] as? Double)
        let median = try #require(line["median_ms"] as? Double)
        #expect(least > 0 && median >= least)
        // 23 224 320 multiply-adds are 46.45 MFLOP (CostTests); both numbers are rounded to a thousandth.
        let rate = try #require(line["gflops"] as? Double)
        #expect(abs(rate * least / 46.448_640 - 1) < 0.01)
    }

    @Test func queuePrintsALineForEachStep() throws {
        let outcome = try HeparProcess.run("bench", "queue", "--jobs", "60", "--runs", "5")
        #expect(outcome.status == 0, "\(outcome.error)")
        let found = try lines(outcome)
        #expect(
            found.map { $0["name"] as? String ?? "" }
                == ["submit", "claim", "finish", "list 50", "list 50 queued", "queue", "estimate of the last"].map {
                    "queue of 60: \($0)"
                })
        for line in found {
            let (least, median) = try (#require(line["min_ms"] as? Double), #require(line["median_ms"] as? Double))
            #expect(least <= median && median <= line["p99_ms"] as? Double ?? 0)
        }
    }

    @Test func trainingPrintsOneLine() throws {
        let outcome = try HeparProcess.run(
            "bench", "training", "--width", "8", "--crop", "32", "--batch", "2", "--runs", "3", "--threads", "2")
        #expect(outcome.status == 0, "\(outcome.error)")
        let found = try lines(outcome)
        #expect(found.count == 1)
        let line = try #require(found.first)
        #expect(line["bench"] as? String == "training")
        #expect(["width", "crop", "batch", "threads", "runs"].map { line[$0] as? Int } == [8, 32, 2, 2, 3])
        let least = try #require(line["min_ms"] as? Double)
        let median = try #require(line["median_ms"] as? Double)
        #expect(least > 0 && median >= least)
        let rate = try #require(line["samples_per_s"] as? Double)
        #expect(abs(rate * median / 2000 - 1) < 1e-6)
        // Weights, gradients and velocity of 434 000 parameters.
        #expect(try #require(line["peak_rss_bytes"] as? Int) > 3 * 4 * 434_000)
    }

    @Test(arguments: [
        ["training", "--crop", "100"], ["training", "--batch", "0"], ["training", "--width", "0"],
        ["network", "--size", "100x16"], ["network", "--size", "64"], ["network", "--width", "0"],
        ["network", "--runs", "0"], ["network", "--threads", "0"], ["metrics", "only-one.nii"],
        ["pipeline", "missing.nii", "--width", "8"],
    ])
    func refusesWhatItCannotTime(arguments: [String]) throws {
        let outcome = try HeparProcess.run(HeparProcess.executable, ["bench"] + arguments)
        #expect(outcome.status == 2, "\(outcome.error)")
        #expect(!outcome.error.isEmpty)
    }

    @Test func pipelinePrintsEachStepAndTheTotal() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "hepar-bench-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let ct = folder.appending(path: "ct.nii.gz").path
        let mask = folder.appending(path: "mask.nii.gz").path
        let made = try HeparProcess.run(
            "phantom", "--seed", "5", "--output", ct, "--reference", mask, "--shape", "64,64,12", "--spacing", "6,6,18")
        #expect(made.status == 0, "\(made.error)")
        // Random models find anything or nothing; the mask makes stage 2 run.
        let outcome = try HeparProcess.run(
            "bench", "pipeline", ct, "--width", "8", "--liver-mask", mask, "--runs", "2")
        #expect(outcome.status == 0, "\(outcome.error)")
        let found = try lines(outcome)
        let names = found.compactMap { ($0["name"] as? String)?.split(separator: " ").last }
        #expect(names.starts(with: ["read", "stage1_resample", "stage1_network", "stage1_components"]))
        #expect(names.contains("stage2_network"))
        #expect(names.last == "total")
        #expect(names.contains("write"))
        #expect(found.allSatisfy { $0["runs"] as? Int == 2 })
    }
}

import Foundation
import Inference
import TestSupport
import Testing

/// `hepar train` as a process: begun, stopped by a signal, resumed.
@Suite struct TrainTests {
    private func makePhantoms(_ folder: URL) throws {
        for seed in 1...2 {
            let made = try HeparProcess.run(
                "phantom", "--seed", "\(seed)", "--output", folder.appending(path: "p\(seed)_ct.nii.gz").path,
                "--reference", folder.appending(path: "p\(seed)_seg.nii.gz").path, "--shape", "64,56,12", "--spacing",
                "5,5,16", "--lesions", "3")
            #expect(made.status == 0, "\(made.error)")
        }
    }

    private func arguments(_ data: URL, _ output: URL, _ more: String...) -> [String] {
        [
            "train", "--stage", "lesion", "--data", data.path, "--output", output.path, "--width", "8", "--crop", "32",
            "--batch", "1", "--epochs", "1000", "--steps-per-epoch", "500", "--validate", "p2", "--threads", "2",
        ] + more
    }

    @Test func aSignalSavesAndResumeGoesOn() throws {
        try withTemporaryFolder { folder in
            let data = folder.appending(path: "data")
            let output = folder.appending(path: "out")
            try FileManager.default.createDirectory(at: data, withIntermediateDirectories: true)
            try makePhantoms(data)
            // A mask without its scan is no case, a scan without its mask a faulty one.
            try Data("x".utf8).write(to: data.appending(path: "broken_ct.nii.gz"))

            let process = Process()
            let log = folder.appending(path: "log")
            let text = Pipe()
            try Data().write(to: log)
            process.executableURL = HeparProcess.executable
            process.arguments = arguments(data, output)
            process.standardError = try FileHandle(forWritingTo: log)
            process.standardOutput = text
            try process.run()
            for _ in 0..<600 where process.isRunning {
                if try String(contentsOf: log, encoding: .utf8).contains("samples/s") { break }
                usleep(100_000)
            }
            process.terminate()
            let said = String(decoding: try text.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
            process.waitUntilExit()
            let told = try String(contentsOf: log, encoding: .utf8)
            #expect(process.terminationStatus == 0, "\(told)")
            #expect(said.contains("Stopped and saved after"))
            #expect(said.contains("Cases skipped: 1.") && said.contains("broken"))
            #expect(try ModelFile(reading: output.appending(path: "lesion.safetensors")).metadata.stage == .lesion)

            let again = try HeparProcess.run(HeparProcess.executable, arguments(data, output))
            #expect(again.status == 2)
            #expect(again.error.contains("--resume"))
            let other = try HeparProcess.run(
                HeparProcess.executable, arguments(data, output, "--resume", "--lr", "0.01"))
            #expect(other.status == 2)
            #expect(other.error.contains("--lr was 0.001 and is now 0.01"), "\(other.error)")

            let resumed = try HeparProcess.run(
                HeparProcess.executable, arguments(data, output, "--resume", "--minutes", "0.02"))
            #expect(resumed.status == 0, "\(resumed.error)")
            #expect(resumed.error.contains("Going on after step"))
            #expect(resumed.output.contains("Time is over"))
            let info = try HeparProcess.run("model", "info", output.appending(path: "lesion.safetensors").path)
            #expect(info.output.contains("width       8"), "\(info.output)")
        }
    }

    @Test(arguments: [
        ("kidney", ["--stage", "kidney"]), ("crop", ["--stage", "liver", "--crop", "30"]),
        ("--lr", ["--stage", "liver", "--lr", "0"]), ("--spacing", ["--stage", "lesion", "--spacing", "1,1,1"]),
        ("--class-weights", ["--stage", "liver", "--class-weights", "1,2,3"]),
        ("--window", ["--stage", "liver", "--window", "200,-200"]),
        ("width 16", ["--stage", "liver", "--init", "Models/default/liver.safetensors", "--width", "8"]),
        ("2 classes", ["--stage", "lesion", "--init", "Models/default/liver.safetensors"]),
        ("no case", ["--stage", "liver", "--width", "8"]),
    ])
    func refusesWhatCannotBe(reason: String, options: [String]) throws {
        try withTemporaryFolder { folder in
            let outcome = try HeparProcess.run(
                HeparProcess.executable,
                ["train", "--data", folder.path, "--output", folder.appending(path: "out").path] + options)
            #expect(outcome.status == 2, "\(outcome.error)")
            #expect(outcome.error.contains(reason), "\(outcome.error)")
        }
    }
}

import Cases
import Dicom
import Foundation
import Imaging
import Sandbox
import TestSupport
import Testing

/// The import in a child process, with the real executable and with programs that misbehave.
@Suite struct ChildTests {
    private static let hepar = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "hepar")

    /// Runs a series through `executable`.
    private func run(
        _ executable: URL = hepar, in folder: URL, slices: [SyntheticSlice] = syntheticSeries(),
        limits: ChildLimits = ChildLimits()
    ) throws -> DicomReport {
        let files = try write(slices, to: folder)
        var work = ImportWork(
            files: files, work: folder, options: DicomOptions(series: "2", includeUIDs: true), limits: VolumeLimits())
        work.childLimits = limits
        do {
            return try Workshop(program: executable).importDicom(work).report
        } catch let lost as WorkerLost {
            throw lost.ofDicom
        }
    }

    /// A program that does what the shell `script` says.
    private func program(_ script: String, in folder: URL) throws -> URL {
        let url = folder.appending(path: "program")
        try Data("#!/bin/sh\n\(script)\n".utf8).write(to: url)
        chmod(url.path, 0o755)
        return url
    }

    @Test func importsAsInThisProcess() throws {
        try withTemporaryFolder { folder in
            let report = try run(in: folder)
            let own = try ImportRun.of(syntheticSeries(), options: DicomOptions(includeUIDs: true))
            #expect(report == own.report)
            #expect(try inspectScan(at: folder.appending(path: "image.nii.gz")).header.bytes == own.scan.header.bytes)
        }
    }

    @Test func errorsKeepTheirNumbers() throws {
        try withTemporaryFolder { folder in
            let expected = DicomError.tooFewSlices(found: 5, needed: 10)
            #expect(throws: expected) { try run(in: folder, slices: syntheticSeries(slices: 5)) }
        }
    }

    @Test func volumesThatDoNotFitIntoMemory() throws {
        var slices = syntheticSeries()
        for index in slices.indices {
            (slices[index].columns, slices[index].rows) = (4096, 4096)
            // Refused before a pixel is looked at.
            slices[index].pixels = []
        }
        var limits = ChildLimits()
        limits.memoryMiB = 512
        let expected = DicomError.tooLarge(slices: 12, rows: 4096, columns: 4096, limit: 512 << 18)
        _ = try withTemporaryFolder { folder in
            #expect(throws: expected) { try run(in: folder, slices: slices, limits: limits) }
        }
    }

    @Test func tooLittleMemory() throws {
        // Less than the program has when it starts.
        var limits = ChildLimits()
        limits.memoryMiB = 16
        try withTemporaryFolder { folder in
            do {
                _ = try run(in: folder, limits: limits)
                Issue.record("the limit was not kept")
            } catch let error as DicomError {
                #expect(["dicom_out_of_memory", "dicom_unreadable"].contains(error.code), "\(error)")
            }
        }
    }

    @Test func timeLimits() throws {
        try withTemporaryFolder { folder in
            var limits = ChildLimits()
            limits.silenceSeconds = 1
            let started = ContinuousClock.now
            #expect(throws: DicomError.timeout(seconds: 1)) {
                try run(program("sleep 60 & wait", in: folder), in: folder, limits: limits)
            }
            #expect(ContinuousClock.now - started < .seconds(10))
            #expect(throws: DicomError.timeout(seconds: ChildLimits().cpuSeconds)) {
                try run(program("kill -XCPU $$", in: folder), in: folder)
            }
            #expect(throws: DicomError.zipTooLarge(limitMiB: ChildLimits().fileMiB)) {
                try run(program("kill -XFSZ $$", in: folder), in: folder)
            }
        }
    }

    @Test func brokenChildren() throws {
        try withTemporaryFolder { folder in
            #expect(throws: DicomError.unreadable(signal: Int(SIGSEGV))) {
                try run(program("kill -SEGV $$", in: folder), in: folder)
            }
            for script in ["exit 0", "echo nonsense", "echo nonsense; exit 1", "while :; do echo 0123456789; done"] {
                #expect(throws: DicomError.unbelievable, "\(script)") {
                    try run(program(script, in: folder), in: folder)
                }
            }
            #expect(throws: DicomError.importFailed(reason: .notStarted)) {
                try run(folder.appending(path: "absent"), in: folder)
            }
        }
    }

    @Test func inheritsNothing() throws {
        try withTemporaryFolder { folder in
            let held = open("/dev/null", O_RDONLY)
            defer { close(held) }
            let seen = folder.appending(path: "seen")
            let script = "{ env; ls /proc/self/fd; ulimit -c; } > \(seen.path)"
            _ = try? run(program(script, in: folder), in: folder)
            let lines = try String(contentsOf: seen, encoding: .utf8).split(separator: "\n")
            #expect(lines.contains("LC_ALL=C") && !lines.contains { $0.hasPrefix("HOME=") || $0.hasPrefix("HEPAR") })
            // Input, output, error and what `ls` opens itself.
            #expect(lines.compactMap { Int($0) }.filter { $0 > 3 && $0 == Int(held) }.isEmpty)
        }
    }
}

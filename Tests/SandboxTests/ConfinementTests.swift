import Foundation
import Testing

@testable import Sandbox

/// What a confined process can still do, tried by a real one: SandboxProbe.
@Suite struct ConfinementTests {
    private static let probe = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "SandboxProbe")

    /// What the probe says of `deed`, and how it ends.
    private func attempt(
        _ deed: String, _ target: String = "", readable: [String] = [], writable: [String] = [],
        limits: ChildLimits = ChildLimits(), outputLimit: Int = 1 << 20, checkStop: () throws -> Void = {}
    ) throws -> (said: String, end: ChildEnd) {
        var child = ChildProcess(Self.probe, [deed, target], silenceSeconds: limits.silenceSeconds)
        child.input = try JSONEncoder().encode(Confinement(limits: limits, readable: readable, writable: writable))
        child.outputLimit = outputLimit
        var said = ""
        let end = try child.run(checkStop: checkStop) { said += String(decoding: $0, as: UTF8.self) }
        return (said, end)
    }

    private func withFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "sandbox-\(UUID().uuidString)")
        for part in ["in", "out", "secret"] {
            let path = folder.appending(path: part)
            try FileManager.default.createDirectory(at: path, withIntermediateDirectories: true)
            try Data("x".utf8).write(to: path.appending(path: "file"))
        }
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }

    @Test(.enabled(if: Kernel.landlock > 0, "the kernel has no Landlock"))
    func onlyItsFiles() throws {
        try withFolder { (folder: URL) throws in
            let (input, output) = (folder.appending(path: "in").path, folder.appending(path: "out").path)
            let secret = folder.appending(path: "secret/file").path
            func said(_ deed: String, _ target: String) throws -> String {
                try attempt(deed, target, readable: [input], writable: [output]).said
            }
            #expect(try said("read", input + "/file") == "done")
            #expect(try said("write", output + "/new") == "done")
            #expect(try said("rename", output + "/file") == "done")
            #expect(try said("write", input + "/file") == "Permission denied")
            #expect(try said("rename", input + "/file") == "Permission denied")
            for path in [secret, "/etc/passwd", "/proc/\(getpid())/environ", "/proc/\(getpid())/mem"] {
                #expect(try said("read", path) == "Permission denied", "\(path)")
            }
            #expect(try said("write", secret) == "Permission denied")
        }
    }

    @Test func oneFileIsNotItsFolder() throws {
        try withFolder { (folder: URL) throws in
            let file = folder.appending(path: "in/file").path
            #expect(try attempt("read", file, readable: [file]).said == "done")
            guard Kernel.landlock > 0 else { return }
            #expect(try attempt("read", folder.path, readable: [file]).said == "Permission denied")
        }
    }

    @Test(
        .enabled(if: Kernel.hasSeccomp, "the kernel has no filters of system calls"),
        arguments: ["connect", "unix", "signal", "exec", "code", "limits", "threads"])
    func nothingButFiles(deed: String) throws {
        let (said, end) = try attempt(deed)
        #expect(said == "Operation not permitted" && end == .exited(0))
    }

    @Test func limitsHold() throws {
        var limits = ChildLimits()
        limits.memoryMiB = 2048
        limits.openFiles = 20
        #expect(try attempt("memory", "100", limits: limits).said == "done")
        #expect(try attempt("memory", "2100", limits: limits).said == "Cannot allocate memory")
        #expect(try attempt("descriptors", limits: limits).said == "17")
        limits.cpuSeconds = 1
        #expect(try attempt("loop", limits: limits).end == .signalled(Int(SIGXCPU)))
    }

    @Test func theParentEndsWhatMisbehaves() throws {
        struct Stop: Error {}
        var limits = ChildLimits()
        limits.silenceSeconds = 1
        #expect(try attempt("silence", limits: limits).end == .timedOut)
        #expect(try attempt("talk").end == .tooTalkative)
        guard case .signalled = try attempt("crash").end else {
            Issue.record("a trap is a signal")
            return
        }
        #expect(throws: Stop.self) { try attempt("silence", checkStop: { throw Stop() }) }
        let nothing = ChildProcess(URL(filePath: "/does/not/exist"), [], silenceSeconds: 1)
        #expect(try nothing.run { _ in } == .notStarted)
    }

    @Test func noneOfTheServicesSecrets() throws {
        setenv("HEPAR_WEBHOOK_SECRET", "x", 1)
        defer { unsetenv("HEPAR_WEBHOOK_SECRET") }
        let names = try attempt("environment").said.split(separator: " ").map(String.init)
        #expect(names.contains("PATH") && !names.contains { $0.hasPrefix("HEPAR") })
    }

    @Test func limitsInAWord() {
        #expect(ChildLimits(ChildLimits().text) == ChildLimits())
        for text in ["", "1,2,3", "1,2,3,x", "0,1,1,1", "1,2,3,4,5"] { #expect(ChildLimits(text) == nil) }
    }
}

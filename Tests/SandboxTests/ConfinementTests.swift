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
        limits: ChildLimits = ChildLimits(), outputLimit: Int = 1 << 20, isFree: Bool = false,
        checkStop: () throws -> Void = {}
    ) throws -> (said: String, end: ChildEnd) {
        var child = ChildProcess(Self.probe, [deed, target] + (isFree ? ["free"] : []), limits: limits)
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

    /// What would change a file's facts or length without having opened it for writing, where Landlock lets it: all of
    /// it in a folder that the process may write.
    @Test(
        .enabled(if: Kernel.hasSeccomp, "the kernel has no filters of system calls"),
        arguments: [
            "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown", "fchownat", "utimensat",
            "futimens",
            "truncate", "empty by reading", "link", "setxattr",
        ])
    func noFactsOfFiles(deed: String) throws {
        try withFolder { (folder: URL) throws in
            let path = folder.appending(path: "out").path
            func said(isFree: Bool) throws -> String {
                try attempt(deed, path + "/file", writable: [path], isFree: isFree).said
            }
            #expect(try said(isFree: false) == "Operation not permitted")
            #expect(try Data(contentsOf: folder.appending(path: "out/file")) == Data("x".utf8))
            #expect(try said(isFree: true) != "Operation not permitted")
        }
    }

    @Test(
        .enabled(if: Kernel.hasSeccomp, "the kernel has no filters of system calls"),
        arguments: ["set-uid", "symlink", "mkfifo"])
    func nothingButPlainFiles(deed: String) throws {
        try withFolder { (folder: URL) throws in
            let path = folder.appending(path: "out").path
            #expect(try attempt(deed, path + "/new", writable: [path]).said == "Operation not permitted")
            #expect(!FileManager.default.fileExists(atPath: path + "/new"))
            #expect(try attempt(deed, path + "/new", writable: [path], isFree: true).said == "done")
        }
    }

    /// Locks, leases and signals of descriptors reach whoever else has the file, or whoever is named.
    @Test(
        .enabled(if: Kernel.hasSeccomp, "the kernel has no filters of system calls"),
        arguments: [
            "flock", "record lock", "description lock", "owner", "owner by kind", "signal of a descriptor",
            "asynchronous", "lease", "notify", "pipe size",
        ])
    func noHoldOnOthersByDescriptors(deed: String) throws {
        try withFolder { (folder: URL) throws in
            let path = folder.appending(path: "out").path
            #expect(try attempt(deed, path + "/file", writable: [path]).said == "Operation not permitted")
            #expect(try attempt("own descriptors", path + "/file", writable: [path]).said == "done")
            #expect(
                try attempt(deed, path + "/file", writable: [path], isFree: true).said != "Operation not permitted")
        }
    }

    @Test(
        .enabled(if: Kernel.hasSeccomp, "the kernel has no filters of system calls"),
        arguments: [
            "fork", "thread in a new user namespace", "thread in a new process namespace", "unshare", "setns",
            "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open", "kill", "tgkill", "rt_sigqueueinfo",
            "setsid", "setpgid", "personality", "io_uring_setup", "perf_event_open", "bpf", "userfaultfd", "keyctl",
            "add_key", "request_key", "memfd_create", "execveat", "mount", "chroot", "open_by_handle_at",
            "inotify_init1", "shmget", "timer_create", "ioctl", "umask",
        ])
    func noOtherCalls(deed: String) throws {
        let (said, end) = try attempt(deed)
        #expect(said == "Operation not permitted" && end == .exited(0))
        // A child leads its process group, and some machines refuse io_uring to all: there the kernel itself says no.
        guard getuid() == 0, deed != "setsid", deed != "io_uring_setup" else { return }
        #expect(try attempt(deed, isFree: true).said != "Operation not permitted")
    }

    /// It hides its flags behind a pointer; glibc goes on with clone where it is not there.
    @Test(.enabled(if: Kernel.hasSeccomp, "the kernel has no filters of system calls"))
    func noCallWithHiddenFlags() throws {
        #expect(try attempt("clone3").said == "Function not implemented")
    }

    @Test func whatALandlockLeavesOpen() {
        #expect(Kernel.leftOpen(landlock: 0).first == "files")
        #expect(
            Kernel.leftOpen(landlock: 2) == ["truncation", "tcp", "ioctl", "abstract_sockets", "signals"])
        #expect(Kernel.leftOpen(landlock: 6) == [])
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
        // What says something again and again does not live for ever by that.
        limits.silenceSeconds = 60
        limits.wallSeconds = 1
        #expect(try attempt("again", limits: limits).end == .timedOut)
        guard case .signalled = try attempt("crash").end else {
            Issue.record("a trap is a signal")
            return
        }
        #expect(throws: Stop.self) { try attempt("silence", checkStop: { throw Stop() }) }
        let nothing = ChildProcess(URL(filePath: "/does/not/exist"), [], limits: ChildLimits())
        #expect(try nothing.run { _ in } == .notStarted)
    }

    /// 200 MB without a line's end are read in a time that grows with them, and are not kept: a search from each piece's
    /// beginning took 3,200 times as long.
    @Test func aLineWithoutEnd() throws {
        var child = ChildProcess(Self.probe, ["endless", "", "free"], limits: ChildLimits())
        child.input = try JSONEncoder().encode(Confinement(limits: ChildLimits(), readable: [], writable: []))
        child.outputLimit = 200 << 20
        child.lineLimit = 200 << 20
        #expect(try child.run { _ in Issue.record("there is no line") } == .tooTalkative)
        child.lineLimit = 1 << 20
        var pieces = 0
        #expect(try child.run(checkStop: { pieces += 1 }) { _ in Issue.record("there is no line") } == .tooTalkative)
        #expect(pieces <= (1 << 20) / 4096 + 100)
    }

    @Test func noneOfTheServicesSecrets() throws {
        setenv("HEPAR_WEBHOOK_SECRET", "x", 1)
        defer { unsetenv("HEPAR_WEBHOOK_SECRET") }
        let names = try attempt("environment").said.split(separator: " ").map(String.init)
        #expect(names.contains("PATH") && !names.contains { $0.hasPrefix("HEPAR") })
    }
}

internal import CSandbox
import Foundation

/// How a child process ended.
public enum ChildEnd: Equatable, Sendable {
    /// With this status.
    case exited(Int)
    /// By this signal.
    case signalled(Int)
    /// It said nothing for as long as it may, and was ended.
    case timedOut
    /// It wrote more than was to be read, and was ended.
    case tooTalkative
    /// The system refused to start it.
    case notStarted
}

/// A program that is run without a shell, with nothing of the caller's but what is given here.
///
/// It has no other open file, its own process group, and an environment without any of the service's settings and
/// secrets. Whatever ends the run ends its group too.
public struct ChildProcess: Sendable {
    /// The program's file.
    public let executable: String
    /// Its arguments.
    public let arguments: [String]
    /// What it reads from its standard input.
    public var input = Data()
    /// How long it may say nothing.
    public var silenceSeconds: Int
    /// The most bytes that are read of it.
    public var outputLimit = 16 << 20

    /// A program with its arguments.
    public init(_ executable: URL, _ arguments: [String], silenceSeconds: Int) {
        self.executable = executable.path
        self.arguments = arguments
        self.silenceSeconds = silenceSeconds
    }

    /// Runs it to its end.
    ///
    /// - Parameters:
    ///   - checkStop: called about ten times a second; what it throws ends the child.
    ///   - line: called with each line that it writes, without the line's end; what it throws ends the child.
    /// - Throws: what `checkStop` and `line` throw.
    public func run(checkStop: () throws -> Void = {}, line: (Data) throws -> Void) throws -> ChildEnd {
        guard let (child, pipe) = start() else { return .notStarted }
        defer { close(pipe) }
        do {
            let reading = try Lines(pipe, self).read(checkStop: checkStop, line: line)
            if let early = reading.early {
                end(child)
                return early
            }
            return try waitForEnd(of: child, until: reading.deadline, checkStop)
        } catch {
            end(child)
            throw error
        }
    }

    private func start() -> (pid_t, Int32)? {
        let words = ([executable] + arguments).map { strdup($0) } + [nil]
        let variables = environment.map { strdup($0) } + [nil]
        defer { (words + variables).forEach { free($0) } }
        let memory = input.withUnsafeBytes { cs_bytes($0.baseAddress, $0.count) }
        guard memory >= 0 else { return nil }
        defer { close(memory) }
        var pipe: Int32 = -1
        let child = cs_spawn(executable, words, variables, memory, &pipe)
        return child > 0 ? (child, pipe) : nil
    }

    /// OpenBLAS starts no thread of its own: it would take address space, and be there before the child is confined.
    /// Swift's runtime catches no fault: it would start another program on what a hostile file has left of the child,
    /// and wait for it.
    private var environment: [String] {
        let inherited = ["LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"].compactMap { name in
            ProcessInfo.processInfo.environment[name].map { "\(name)=\($0)" }
        }
        return ["PATH=/usr/bin:/bin", "LC_ALL=C", "OPENBLAS_NUM_THREADS=1", "SWIFT_BACKTRACE=enable=no"] + inherited
    }

    /// It has closed its output; it may still be busy with its end.
    private func waitForEnd(
        of child: pid_t, until deadline: ContinuousClock.Instant, _ checkStop: () throws -> Void
    ) throws -> ChildEnd {
        var status: Int32 = 0
        while ContinuousClock.now < deadline {
            let found = waitpid(child, &status, WNOHANG)
            if found == child { return Self.ended(status) }
            if found < 0, errno != EINTR { return .notStarted }
            try checkStop()
            usleep(1000)
        }
        end(child)
        return .timedOut
    }

    /// With its group, and only once it is gone: nothing of it writes any more.
    private func end(_ child: pid_t) {
        kill(-child, SIGKILL)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
    }

    /// glibc's WIFEXITED and its kin are macros.
    private static func ended(_ status: Int32) -> ChildEnd {
        status & 0x7F == 0 ? .exited(Int(status >> 8 & 0xFF)) : .signalled(Int(status & 0x7F))
    }
}

/// What a child writes, cut at line ends.
private struct Lines {
    let pipe: Int32
    let silence: Duration
    let limit: Int

    init(_ pipe: Int32, _ child: ChildProcess) {
        self.pipe = pipe
        silence = .seconds(child.silenceSeconds)
        limit = child.outputLimit
    }

    /// - Returns: when the child should have ended, and why it is to be ended before.
    func read(
        checkStop: () throws -> Void, line: (Data) throws -> Void
    ) throws -> (deadline: ContinuousClock.Instant, early: ChildEnd?) {
        var deadline = ContinuousClock.now + silence
        var rest = Data()
        var total = 0
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            try checkStop()
            guard ContinuousClock.now < deadline else { return (deadline, .timedOut) }
            var event = pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)
            guard poll(&event, 1, 100) > 0 else { continue }
            let count = Glibc.read(pipe, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                if !rest.isEmpty { try line(rest) }
                return (deadline, nil)
            }
            total += count
            guard total <= limit else { return (deadline, .tooTalkative) }
            rest.append(contentsOf: buffer[..<count])
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                try line(Data(rest[..<end]))
                rest = Data(rest[(end + 1)...])
                deadline = .now + silence
            }
        }
    }
}

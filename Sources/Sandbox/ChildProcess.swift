internal import CSandbox
public import Foundation

/// How a child process ended.
public enum ChildEnd: Equatable, Sendable {
    /// With this status.
    case exited(Int)
    /// By this signal.
    case signalled(Int)
    /// It said nothing for as long as it may, or took longer in all, and was ended.
    case timedOut
    /// It wrote more than was to be read, and was ended.
    case tooTalkative
    /// It said what cannot be so, and was ended; only callers find that, see ``FalseAnswer``.
    case lied
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
    /// How long it may say nothing, and take in all.
    public var silenceSeconds, wallSeconds: Int
    /// The most bytes that are read of it.
    public var outputLimit = 16 << 20
    /// The most bytes of one line.
    public var lineLimit = 16 << 20
    /// Lends it the cores; nil for a child that does not ask for them.
    public var turns: Turns?

    /// A program with its arguments, whose times are those of `limits`; the child keeps the others itself.
    public init(_ executable: URL, _ arguments: [String], limits: ChildLimits) {
        self.executable = executable.path
        self.arguments = arguments
        silenceSeconds = limits.silenceSeconds
        wallSeconds = limits.wallSeconds
    }

    /// Runs it to its end.
    ///
    /// - Parameters:
    ///   - checkStop: called about ten times a second; what it throws ends the child.
    ///   - line: called with each line that it writes, without the line's end; what it throws ends the child.
    /// - Throws: what `checkStop` and `line` throw.
    public func run(checkStop: () throws -> Void = {}, line: (Data) throws -> Void) throws -> ChildEnd {
        guard let (child, pipe, seat) = start() else { return .notStarted }
        defer {
            close(pipe)
            if let seat {
                turns?.leave(seat)
                close(seat.socket)
            }
        }
        do {
            let reading = try ChildLines(of: self, pipe: pipe, seat: seat).read(checkStop: checkStop, line: line)
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

    private func start() -> (pid_t, pipe: Int32, Turns.Seat?)? {
        let words = ([executable] + arguments).map { strdup($0) } + [nil]
        let variables = environment.map { strdup($0) } + [nil]
        defer { (words + variables).forEach { free($0) } }
        let memory = input.withUnsafeBytes { cs_bytes($0.baseAddress, $0.count) }
        guard memory >= 0 else { return nil }
        defer { close(memory) }
        var ends: [Int32] = [-1, -1]
        guard turns == nil || cs_pair(&ends) == 0 else { return nil }
        defer { if ends[1] >= 0 { close(ends[1]) } }
        var pipe: Int32 = -1
        let child = cs_spawn(executable, words, variables, memory, ends[1], &pipe)
        guard child > 0 else {
            if ends[0] >= 0 { close(ends[0]) }
            return nil
        }
        return (child, pipe, turns == nil ? nil : Turns.Seat(socket: ends[0]))
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

import Foundation
import Imaging
import Preview
import Sandbox
import Segmentation

/// Has confined child processes do what must not be done in the service's own.
package struct Workshop: Sendable {
    /// `hepar`, or another program with its command `work`.
    package let program: URL

    package init(program: URL) {
        self.program = program
    }
    /// Lends all children the cores.
    package let turns = Turns()

    /// Has a child do `work`, and waits for it.
    ///
    /// - Parameters:
    ///   - checkStop: called about ten times a second; what it throws ends the child.
    ///   - progress: called between slices.
    /// - Throws: what is wrong with a file, as the same work here would throw it; ``WorkerLost`` where the child ended
    ///   otherwise than by an answer; what `checkStop` throws.
    package func run<Work: ConfinedWork>(
        _ work: Work, checkStop: () throws -> Void = {}, progress: (SliceProgress) -> Void = { _ in }
    ) throws -> Work.Output {
        let limits = work.confinement.limits
        var child = ChildProcess(program, ["work", Work.name], limits: limits)
        child.input = try JSONEncoder().encode(work)
        child.outputLimit = Work.answerLimits.bytes
        child.lineLimit = Work.answerLimits.bytes
        child.turns = turns
        var answer = WorkAnswer(to: work)
        let end: ChildEnd
        do {
            end = try child.run(checkStop: checkStop) { line in
                if let done = try answer.take(line) { progress(done) }
            }
        } catch is FalseAnswer {
            throw WorkerLost(end: .lied, silenceSeconds: limits.silenceSeconds)
        }
        switch (end, answer.last) {
        case (.exited(0), .output(let output)): return output
        case (.exited(3), .failure(let failure)): throw failure.error
        default: throw WorkerLost(end: end, silenceSeconds: limits.silenceSeconds)
        }
    }
}

/// Nothing but to be confined: whether that can be had at all is seen when the service starts, not at the first upload.
package struct ProbeWork: ConfinedWork {
    package init() {}

    package static let name = "probe"

    package var confinement: Confinement { Confinement(limits: ChildLimits(), readable: [], writable: []) }

    package func couldGive(_ output: Bool) -> Bool { output }

    package func perform(progress: (SliceProgress) -> Void) -> Bool { true }
}

/// Uploads could not be read, as no child process can be started or confined.
public struct IsolationError: Error, CustomStringConvertible {
    package let lost: WorkerLost

    package init(lost: WorkerLost) { self.lost = lost }

    /// What is wrong, then what to do.
    public var description: String {
        """
        The process that is to read uploads \(lost.how). It must be allowed to start (limits of processes and of address \
        space) and to confine itself (system calls seccomp, landlock_* and prctl): widen what this server runs under.
        """
    }
}

extension WorkFailure {
    /// The error as it would have been thrown in the service.
    package var error: any Error {
        switch self {
        case .volume(let error, let field):
            return field != nil && error.isUsersFault ? self : error
        case .noSuchSlice(let number, let slices): return NoSuchSlice(number: number, slices: slices)
        case .object(let error): return error
        case .dicom, .modelChanged, .other: return self
        }
    }
}

/// A child ended without an answer: a file made a reader crash, loop or eat memory, or the system ended it.
package struct WorkerLost: Error, Equatable {
    package let end: ChildEnd
    package let silenceSeconds: Int

    package init(end: ChildEnd, silenceSeconds: Int) {
        self.end = end
        self.silenceSeconds = silenceSeconds
    }

    /// How it ended, as half a sentence.
    package var how: String {
        switch end {
        case .notStarted: "could not be started"
        case .timedOut: "made no progress for \(silenceSeconds) s and was ended"
        case .tooTalkative: "wrote more than it should and was ended"
        case .lied: "said what cannot be so and was ended"
        case .exited(let status): "ended with status \(status) and no answer"
        case .signalled(let signal): "was ended by \(Self.name(of: signal))"
        }
    }

    /// Whether it may have ended for want of memory, and might not if it were tried again: the kernel ended it, or memory
    /// was refused to it, which a process answers by a trap or an abort.
    package var mayWantMemory: Bool { [SIGKILL, SIGABRT, SIGILL, SIGTRAP].map { .signalled(Int($0)) }.contains(end) }

    /// A stable word: `signal_11`, `timeout`.
    package var word: String {
        switch end {
        case .notStarted: "not_started"
        case .timedOut: "timeout"
        case .tooTalkative: "too_talkative"
        case .lied: "lied"
        case .exited(let status): "status_\(status)"
        case .signalled(let signal): "signal_\(signal)"
        }
    }

    private static func name(of signal: Int) -> String {
        let meanings = [
            SIGILL: "a trap", SIGTRAP: "a trap", SIGABRT: "an abort, as where memory is refused",
            SIGBUS: "a bus error", SIGFPE: "a division by zero", SIGKILL: "the system, most often for want of memory",
            SIGSEGV: "a segmentation fault", SIGXCPU: "its limit of processor time",
            SIGXFSZ: "its limit of file size", SIGSYS: "a forbidden system call",
        ]
        return "signal \(signal)" + (meanings[Int32(signal)].map { " (\($0))" } ?? "")
    }
}

import Foundation
import Sandbox
import TestSupport
import Testing

@testable import API
@testable import Cases
@testable import Work

/// What a client is told of a child that ended without an answer, and what is remembered of its files.
@Suite struct WorkerLostTests {
    /// Memory that is refused ends a process by the kernel's kill, an abort or a trap; that may be better the next time.
    @Test func wantOfMemoryIsTheServersFaultAndAllElseTheFiles() {
        for signal in [SIGKILL, SIGABRT, SIGILL, SIGTRAP] {
            let problem = WorkerLost(end: .signalled(Int(signal)), silenceSeconds: 1).problem
            #expect(problem.status == 503 && problem.code == "no_memory")
            #expect(problem.headers.contains { $0.0 == "Retry-After" })
        }
        for end in [ChildEnd.signalled(Int(SIGSEGV)), .signalled(Int(SIGXCPU)), .timedOut, .tooTalkative, .exited(1)] {
            let problem = WorkerLost(end: end, silenceSeconds: 1).problem
            #expect(problem.status == 422 && problem.code == "unreadable")
        }
    }

    @Test func theSameBytesOfTheSameCallerAreKnownAgain() throws {
        try withTemporaryFolder { folder in
            let quarantine = IncidentLog(folder: folder.appending(path: "quarantine"))
            let (one, other) = (folder.appending(path: "one"), folder.appending(path: "other"))
            try Data("one".utf8).write(to: one)
            try Data("other".utf8).write(to: other)
            func isFirst(_ file: URL, work: String = "judge", caller: String = "a") -> Bool {
                quarantine.add([file], work: work, end: "signal_9", caller: caller)
            }
            #expect(isFirst(one) && isFirst(other) && isFirst(one, work: "score") && isFirst(one, caller: "b"))
            #expect(!isFirst(one) && !isFirst(other) && !isFirst(one, caller: "b"))
        }
    }
}

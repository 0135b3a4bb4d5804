import Foundation
import Synchronization
import Testing

@testable import Sandbox

/// Children that share the cores: nobody can take them from the others, nor keep them.
@Suite struct TurnsTests {
    private static let probe = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "SandboxProbe")

    private static func child(_ deed: String, _ target: String, _ turns: Turns) throws -> ChildProcess {
        var child = ChildProcess(probe, [deed, target], limits: ChildLimits())
        child.input = try JSONEncoder().encode(Confinement(limits: ChildLimits(), readable: [], writable: []))
        child.turns = turns
        return child
    }

    private struct Stop: Error {}

    /// Runs `body` while a child that does `deed` goes on, once it has said something if it ever does.
    private func beside(
        _ deed: String, _ target: String, saysSomething: Bool, _ turns: Turns, _ body: () throws -> Void
    ) throws {
        let hostile = try Self.child(deed, target, turns)
        let isThere = DispatchSemaphore(value: 0)
        let isEnough = Atomic<Bool>(false)
        let thread = Thread {
            _ = try? hostile.run(
                checkStop: {
                    if !saysSomething { isThere.signal() }
                    if isEnough.load(ordering: .relaxed) { throw Stop() }
                }, line: { _ in isThere.signal() })
            isThere.signal()
        }
        thread.start()
        isThere.wait()
        defer { isEnough.store(true, ordering: .relaxed) }
        try body()
    }

    private func take(_ count: Int, _ turns: Turns) throws {
        var said = ""
        let end = try Self.child("turns", "\(count)", turns).run { said += String(decoding: $0, as: UTF8.self) }
        #expect(said == "done" && end == .exited(0))
    }

    @Test func aChildTakesAsManyTurnsAsItWants() throws { try take(1_000, Turns()) }

    /// It has the turn and keeps it for a minute: others wait for its lease, and no longer.
    @Test func whoKeepsTheTurnStopsNobody() throws {
        let turns = Turns(lease: .milliseconds(50))
        try beside("turn", "keep", saysSomething: true, turns) { try take(100, turns) }
    }

    /// As long as its lease runs, the turn is its own.
    @Test func aTurnIsOneChildsAlone() throws {
        let turns = Turns(lease: .seconds(3_600))
        try beside("turn", "keep", saysSomething: true, turns) {
            var waited = 0
            #expect(throws: Stop.self) {
                try Self.child("turn", "", turns).run(
                    checkStop: {
                        waited += 1
                        if waited > 20 { throw Stop() }
                    }, line: { _ in Issue.record("two have the turn") })
            }
        }
    }

    /// When it is gone, the turn is free at once.
    @Test func theTurnOfAChildThatIsGoneIsFree() throws {
        let turns = Turns(lease: .seconds(3_600))
        try beside("turn", "keep", saysSomething: true, turns) {}
        try take(100, turns)
    }

    @Test func noiseStopsNobody() throws {
        let turns = Turns(lease: .milliseconds(50))
        try beside("noise", "", saysSomething: false, turns) { try take(100, turns) }
    }
}

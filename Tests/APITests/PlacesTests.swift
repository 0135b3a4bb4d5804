import Foundation
import HTTPDaemon
import Synchronization
import Testing

@testable import API
@testable import Cases

/// Who gets a place, who waits and who is refused; work lasts until a test ends it.
@Suite struct PlacesTests {
    /// Works that run until they are let go, and what clients were answered.
    private final class Clients: Sendable {
        private struct State {
            var running: [String] = []
            var released: Set<String> = []
            var gone: Set<String> = []
            var answers: [String: Int] = [:]
        }

        private let state = Mutex(State())

        var running: [String] { state.withLock { $0.running.sorted() } }
        var answers: [String: Int] { state.withLock { $0.answers } }

        func ask(_ places: Places, _ kind: Places.Kind, _ caller: String, _ name: String) {
            let reply = Reply(
                isAwaited: { self.state.withLock { !$0.gone.contains(name) } },
                isTaken: { self.state.withLock { !$0.gone.contains(name) } },
                { answer in self.state.withLock { $0.answers[name] = answer.status } })
            places.run(kind, for: caller, reply: reply) { refusal in
                if let refusal { return refusal.problem(share: places.share).response }
                self.state.withLock { $0.running.append(name) }
                while !self.state.withLock({ $0.released.contains(name) }) { usleep(500) }
                self.state.withLock { state in state.running.removeAll { $0 == name } }
                return Response(status: 204)
            }
        }

        func release(_ names: String...) { state.withLock { $0.released.formUnion(names) } }
        func leave(_ name: String) { _ = state.withLock { $0.gone.insert(name) } }

        /// Waits until just these run. That no other begins is seen by what happens next.
        func expectRunning(_ names: String..., place: SourceLocation = #_sourceLocation) {
            for _ in 0..<4_000 where running != names.sorted() { usleep(5_000) }
            #expect(running == names.sorted(), sourceLocation: place)
        }

        func expectAnswer(_ status: Int, to name: String, place: SourceLocation = #_sourceLocation) {
            for _ in 0..<4_000 where answers[name] == nil { usleep(5_000) }
            #expect(answers[name] == status, sourceLocation: place)
        }
    }

    @Test func oneCallerHasHalfAndOthersTheRest() {
        let (places, clients) = (Places(threads: 4), Clients())
        for name in ["a1", "a2", "a3", "a4"] { clients.ask(places, .judging, "a", name) }
        clients.expectRunning("a1", "a2")
        clients.ask(places, .judging, "b", "b1")
        clients.expectRunning("a1", "a2", "b1")
        // The last thread is for other kinds.
        clients.ask(places, .judging, "c", "c1")
        clients.ask(places, .drawing, "c", "c2")
        clients.expectRunning("a1", "a2", "b1", "c2")
        clients.release("b1")
        clients.expectRunning("a1", "a2", "c1", "c2")
        clients.release("a1", "c1", "c2")
        clients.expectRunning("a2", "a3")
        clients.release("a2", "a3", "a4")
        clients.expectAnswer(204, to: "a4")
        places.end()
    }

    @Test func whoHasLeastUnderWayGoesFirst() {
        let (places, clients) = (Places(threads: 6), Clients())
        clients.ask(places, .judging, "a", "a1")
        clients.ask(places, .judging, "a", "a2")
        for name in ["b1", "b2", "b3"] { clients.ask(places, .judging, "b", name) }
        clients.expectRunning("a1", "a2", "b1", "b2", "b3")
        clients.ask(places, .judging, "a", "a3")
        clients.ask(places, .judging, "c", "c1")
        clients.release("b1")
        clients.expectRunning("a1", "a2", "b2", "b3", "c1")
        clients.release("c1")
        clients.expectRunning("a1", "a2", "a3", "b2", "b3")
        clients.release("a1", "a2", "a3", "b2", "b3")
        clients.expectAnswer(204, to: "b3")
        places.end()
    }

    /// Two of one client kept everyone else's out.
    @Test func oneCallerHasOneImport() {
        let (places, clients) = (Places(threads: 4), Clients())
        clients.ask(places, .importing, "a", "a1")
        clients.ask(places, .importing, "a", "a2")
        clients.ask(places, .judging, "a", "a3")
        clients.ask(places, .importing, "b", "b1")
        clients.expectRunning("a1", "a3", "b1")
        clients.release("a1")
        clients.expectRunning("a2", "a3", "b1")
        clients.release("a2", "a3", "b1")
        clients.expectAnswer(204, to: "a2")
        places.end()
    }

    @Test func whoWaitsTooLongIsToldWhy() throws {
        let (places, clients) = (Places(threads: 3, patience: .milliseconds(50)), Clients())
        clients.ask(places, .scoring, "a", "a1")
        clients.ask(places, .scoring, "b", "b1")
        clients.expectRunning("a1", "b1")
        clients.ask(places, .scoring, "a", "a2")
        clients.ask(places, .scoring, "c", "c1")
        clients.expectAnswer(429, to: "a2")
        clients.expectAnswer(503, to: "c1")
        let response = Places.Refusal.ownShare.problem(share: places.share)
        #expect(response.code == "share_used" && response.headers.contains { $0.0 == "Retry-After" })
        clients.release("a1", "b1")
        places.end()
    }

    @Test func soManyMayWait() {
        let (places, clients) = (Places(threads: 3), Clients())
        clients.ask(places, .judging, "a", "a0")
        clients.expectRunning("a0")
        for number in 1...Places.waitingLimits.caller { clients.ask(places, .judging, "a", "a\(number)") }
        #expect(!places.hasRoom(for: "a") && places.hasRoom(for: "b"))
        clients.ask(places, .judging, "a", "more")
        #expect(clients.answers == ["more": 429])
        clients.ask(places, .judging, "b", "b1")
        clients.expectRunning("a0", "b1")
        clients.release("a0", "b1")
        places.end()
    }

    @Test func whatNobodyWaitsForIsNotDone() {
        let (places, clients) = (Places(threads: 3), Clients())
        clients.ask(places, .judging, "a", "a1")
        clients.expectRunning("a1")
        clients.ask(places, .judging, "a", "a2")
        clients.ask(places, .judging, "a", "a3")
        clients.leave("a2")
        clients.release("a1")
        clients.expectRunning("a3")
        #expect(clients.answers["a2"] == nil)
        clients.release("a3")
        places.end()
    }

    @Test func theEndIsToldToAllWhoWait() {
        let (places, clients) = (Places(threads: 3), Clients())
        clients.ask(places, .judging, "a", "a1")
        clients.expectRunning("a1")
        clients.ask(places, .judging, "a", "a2")
        places.end()
        clients.ask(places, .judging, "b", "b1")
        #expect(clients.answers == ["a2": 503, "b1": 503])
        clients.release("a1")
        clients.expectAnswer(204, to: "a1")
    }
}

import Foundation
import Testing

@testable import HTTPDaemon

/// Whose turn it is on the threads that answer.
@Suite struct HandlerThreadsTests {
    /// However many requests of one caller hang, another's are answered, and nobody's.
    @Test func oneCallerHasHalfOfTheThreads() {
        let threads = HandlerThreads(count: 4)
        let (gate, begun, others) = (DispatchSemaphore(value: 0), Journal(), Journal())
        for number in 0..<20 {
            threads.run(for: "a") {
                begun.add("\(number)")
                gate.wait()
            }
        }
        #expect(eventually { begun.words.count == 2 })
        for name in ["b", "c", "", "", "b"] { threads.run(for: name) { others.add(name) } }
        #expect(eventually { others.words.count == 5 })
        #expect(begun.words == ["0", "1"] && threads.waiting == 18)
        for _ in 0..<20 { gate.signal() }
        #expect(eventually { begun.words.count == 20 && threads.waiting == 0 })
        threads.end()
    }

    /// Work of nobody in particular may have all threads; what was queued before the end is done.
    @Test func theEndComesAfterWhatWasQueued() {
        let threads = HandlerThreads(count: 2)
        let (gate, done) = (DispatchSemaphore(value: 0), Journal())
        for _ in 0..<2 { threads.run { gate.wait() } }
        for name in ["a", "a", "b"] { threads.run(for: name) { done.add(name) } }
        #expect(eventually { threads.waiting == 3 })
        threads.end()
        threads.run(for: "late") { done.add("late") }
        for _ in 0..<2 { gate.signal() }
        #expect(eventually { done.words.sorted() == ["a", "a", "b"] })
    }
}

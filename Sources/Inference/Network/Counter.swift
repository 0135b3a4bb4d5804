import Synchronization

/// Hands out work items to threads, each once.
final class Counter: Sendable {
    private let next = Atomic<Int>(0)

    /// The next item, or nil when all `count` are taken.
    func claim(below count: Int) -> Int? {
        let item = next.wrappingAdd(1, ordering: .relaxed).oldValue
        return item < count ? item : nil
    }
}

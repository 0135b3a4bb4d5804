import Synchronization

/// A number of places that are taken and freed: how much may go on at once.
final class Places: Sendable {
    private let left: Mutex<Int>

    init(_ count: Int) { left = Mutex(count) }

    /// Takes a place, which must be freed afterwards; false if none is left.
    func take() -> Bool {
        left.withLock { left in
            guard left > 0 else { return false }
            left -= 1
            return true
        }
    }

    /// Gives a place back.
    func free() { left.withLock { $0 += 1 } }
}

import Synchronization

/// A number of places that are taken and freed: how much may go on at once.
final class Places: Sendable {
    private let free: Mutex<Int>

    init(_ count: Int) { free = Mutex(count) }

    /// A place, to be freed when it is no longer needed; nil if none is left.
    func take() -> Place? {
        let isFree = free.withLock { free in
            guard free > 0 else { return false }
            free -= 1
            return true
        }
        return isFree ? Place(of: self) : nil
    }

    /// One place that is taken.
    struct Place: ~Copyable {
        private let places: Places

        fileprivate init(of places: Places) { self.places = places }

        deinit { places.free.withLock { $0 += 1 } }
    }
}

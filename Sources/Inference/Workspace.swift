import Glibc

/// Memory for floats that is aligned to cache lines and given back when the value's owner lets go of it.
///
/// `@unchecked Sendable`: it only owns the memory. Who may touch it is decided by the `Mutex` of the network that
/// holds it.
final class FloatMemory: @unchecked Sendable {
    /// The first float.
    let base: UnsafeMutablePointer<Float>
    /// How many floats there are.
    let count: Int

    /// Memory for `count` floats, all 0.
    init(zeroed count: Int) {
        self.count = count
        base = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * 4, alignment: 64)
            .bindMemory(to: Float.self, capacity: max(count, 1))
        base.initialize(repeating: 0, count: count)
    }

    deinit { base.deallocate() }
}

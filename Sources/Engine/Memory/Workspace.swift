import Glibc

/// Memory for floats, in huge pages where the system has them, given back when the value's owner lets go of it.
///
/// A pass over a network touches hundreds of megabytes in strides: with pages of 4 KiB most of the time would go into
/// address translation.
///
/// `@unchecked Sendable`: it only owns the memory. Weights are not written after packing; who may touch a workspace is
/// decided by the `Mutex` of the network that holds it.
public final class FloatMemory: @unchecked Sendable {
    /// The first float, at the start of a page.
    public let base: UnsafeMutablePointer<Float>
    /// How many floats there are.
    public let count: Int

    private let mapping: UnsafeMutableRawPointer
    private let mappedBytes: Int

    private static let hugePage = 2 << 20

    /// Memory for `count` floats, all 0; the system provides it when it is first touched.
    public init(zeroed count: Int) {
        self.count = count
        let bytes = max(count, 1) * MemoryLayout<Float>.stride
        let isHuge = bytes >= Self.hugePage
        // Room to start at a huge page's boundary.
        mappedBytes = isHuge ? bytes + Self.hugePage : bytes
        guard
            let mapping = mmap(nil, mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
            mapping != MAP_FAILED
        else { fatalError("the system refused \(bytes) bytes of memory") }
        self.mapping = mapping
        var start = mapping
        if isHuge {
            start = mapping.alignedUp(toMultipleOf: Self.hugePage)
            madvise(start, bytes, MADV_HUGEPAGE)
        }
        base = start.bindMemory(to: Float.self, capacity: max(count, 1))
    }

    deinit { munmap(mapping, mappedBytes) }
}

extension UnsafeMutableRawPointer {
    fileprivate func alignedUp(toMultipleOf alignment: Int) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(bitPattern: (Int(bitPattern: self) + alignment - 1) / alignment * alignment)!
    }
}

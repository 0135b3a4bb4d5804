internal import CKernels

/// Memory that will be needed soon, fetched while matrix products are computed: these keep the arithmetic units busy and
/// leave the way to memory free.
struct Prefetch {
    private var stretches: [ck_stretch] = []
    private var lines = 0
    private var state = ck_prefetch()

    /// Empties the list.
    mutating func clear() {
        stretches.removeAll(keepingCapacity: true)
        lines = 0
        state = ck_prefetch()
    }

    /// Adds `floats` floats from `start` on.
    mutating func add(_ start: UnsafePointer<Float>, floats: Int) {
        let count = (floats * MemoryLayout<Float>.stride + 63) / 64
        stretches.append(ck_stretch(start: start, lines: count))
        lines += count
    }

    /// Ends the list: it will be used `times` times, and a like part of it is to be fetched each time.
    mutating func spread(over times: Int) {
        state.each = (lines + times - 1) / times
        state.count = stretches.count
    }

    /// Lends the list to a kernel; nil when it is empty.
    mutating func withPointer(_ body: (UnsafeMutablePointer<ck_prefetch>?) -> Void) {
        guard !stretches.isEmpty else { return body(nil) }
        stretches.withUnsafeBufferPointer { buffer in
            state.stretches = buffer.baseAddress
            body(&state)
        }
    }
}

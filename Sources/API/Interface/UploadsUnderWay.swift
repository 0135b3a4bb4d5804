import Access
import HTTPDaemon
import Synchronization

/// The bytes of uploads under way, by caller: counted while they come, until their request is over.
final class UploadsUnderWay: Sendable {
    private let standardBytes: Int
    /// Bytes under way by caller; none are 0.
    private let underWay = Mutex<[String: Int]>([:])
    /// Uploads under way by caller; none are 0.
    private let uploads = Mutex<[String: Int]>([:])

    /// The most uploads of one caller at once. Two threads serve all sockets: a hundred uploads of small files at once would
    /// keep them busy.
    static let mostUploads = 32

    /// - Parameter standardBytes: how many a caller without a quota of its own may have.
    init(standardBytes: Int) { self.standardBytes = standardBytes }

    /// Counts an upload that begins.
    ///
    /// - Parameter declared: its length, where the client told it: that much is set aside at once.
    /// - Throws: ``Problem`` if it is too much beside what is under way.
    func meter(for caller: Caller, declared: Int?) throws(Problem) -> BodyMeter? {
        guard caller != .anonymous else { return nil }
        let name = caller.name
        let limit = caller.quota.inFlightBytes ?? standardBytes
        try begin(name)
        if let refusal = add(declared ?? 0, to: name, limit: limit) {
            end(name)
            throw refusal
        }
        let counted = Mutex(declared ?? 0)
        let held = Held(counted)
        return BodyMeter(
            take: { [self] bytes in
                if declared != nil { return nil }
                if let refusal = add(bytes, to: name, limit: limit) { return refusal.response }
                held.bytes.withLock { $0 += bytes }
                return nil
            },
            end: { [self] in
                let bytes = held.bytes.withLock { $0 }
                underWay.withLock { underWay in
                    let left = (underWay[name] ?? 0) - bytes
                    underWay[name] = left > 0 ? left : nil
                }
                self.end(name)
            })
    }

    private func begin(_ name: String) throws(Problem) {
        let mayBegin = uploads.withLock { uploads in
            guard uploads[name] ?? 0 < Self.mostUploads else { return false }
            uploads[name, default: 0] += 1
            return true
        }
        guard !mayBegin else { return }
        throw Problem(
            429, "in_flight_full",
            """
            \(Self.mostUploads) uploads with this token are under way, the most that may be at once. Send one after the other.
            """, headers: [("Retry-After", "10")])
    }

    private func end(_ name: String) {
        uploads.withLock { uploads in
            let left = (uploads[name] ?? 0) - 1
            uploads[name] = left > 0 ? left : nil
        }
    }

    private func add(_ bytes: Int, to name: String, limit: Int) -> Problem? {
        underWay.withLock { underWay in
            let now = underWay[name] ?? 0
            guard now > limit - bytes else {
                if bytes > 0 { underWay[name] = now + bytes }
                return nil
            }
            guard now > 0 else {
                return Problem(
                    413, "too_large_in_flight",
                    """
                    The upload has \(bytes) bytes; with this token \(limit) may be under way. Send less, or ask the \
                    server's operator for more (in_flight_bytes).
                    """)
            }
            return Problem(
                429, "in_flight_full",
                """
                Uploads with this token have \(now) bytes under way, and \(bytes) more came; \(limit) may be under way at \
                once. Send one after the other, or ask the server's operator for more (in_flight_bytes).
                """, headers: [("Retry-After", "10")])
        }
    }

    /// What one upload has of its caller's share; a closure cannot keep a lock itself.
    private final class Held: Sendable {
        let bytes: Mutex<Int>

        init(_ bytes: consuming Mutex<Int>) { self.bytes = bytes }
    }
}

import Foundation

/// What a daemon is started with.
public struct DaemonSettings: Sendable, Equatable {
    /// The address to listen on: a name, an IPv4 or an IPv6 address; "::" takes IPv4 clients too. The default is the
    /// machine itself only.
    public var host = "127.0.0.1"
    /// The TCP port, 0...65535; 0 takes any free one, and ``HTTPDaemon/port`` tells which.
    public var port = 0
    /// Threads that run `answer`, at least 1: as many requests are answered at once. A waiting client costs none, and two
    /// more answer what is vital.
    public var handlerThreads = 8
    /// Threads that move bytes between sockets and files, at least 1; two more accept clients and look after slow ones.
    public var socketThreads = 2
    /// Open connections, waiting and idle ones included, at least 1; more clients wait unaccepted. Lowered at the start
    /// where the process may not open that many files: a connection needs up to two.
    public var connectionLimit = 2_000
    /// Open connections of one IPv4 address or IPv6 network of 64 bits, at least 1; nil is no limit. More are closed.
    public var connectionsPerAddressLimit: Int?
    /// Seconds without a byte in either direction until a connection is dropped, at least 1. The time an answer takes
    /// does not count.
    public var idleTimeoutSeconds = 60
    /// Seconds within which a head must be complete, at least 1: clients that send it byte by byte are dropped.
    public var headTimeoutSeconds = 30
    /// Bytes a second that a body must bring over each ``uploadWindowSeconds``, or the client is dropped; nil is none.
    public var uploadMinimumBytesPerSecond: Int? = 1_024
    /// Seconds over which an upload's speed is measured, at least 1.
    public var uploadWindowSeconds = 15
    /// Seconds that ``HTTPDaemon/stop()`` gives to running requests, at least 0; what still runs then is answered 503.
    public var stopSeconds = 30
    /// Parts of a multipart body, at least 1; more are answered 413.
    public var partLimit = 64
    /// Parts of a multipart body that are fields or files below 1 KiB, at least 1; more are answered 413.
    public var fieldLimit = 64
    /// Bytes that a connection may use for its head and for the buffer a body is read through, at least 4096. Larger
    /// heads are answered 431 or 414.
    public var connectionMemoryBytes = 32 * 1024

    /// The defaults; set what should differ.
    public init() {}

    /// The defaults with another address.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    func check() throws(DaemonError) {
        let least = [
            ("handlerThreads", handlerThreads, 1), ("socketThreads", socketThreads, 1),
            ("connectionLimit", connectionLimit, 1), ("idleTimeoutSeconds", idleTimeoutSeconds, 1),
            ("connectionsPerAddressLimit", connectionsPerAddressLimit ?? 1, 1),
            ("headTimeoutSeconds", headTimeoutSeconds, 1), ("uploadWindowSeconds", uploadWindowSeconds, 1),
            ("uploadMinimumBytesPerSecond", uploadMinimumBytesPerSecond ?? 1, 1), ("stopSeconds", stopSeconds, 0),
            ("partLimit", partLimit, 1), ("fieldLimit", fieldLimit, 1),
            ("connectionMemoryBytes", connectionMemoryBytes, 4_096), ("port", port, 0),
        ]
        for (name, value, minimum) in least where value < minimum || value > Int(Int32.max) {
            throw .setting(name: name, value: value, minimum: minimum)
        }
        if port > 65_535 { throw .setting(name: "port", value: port, minimum: 0) }
    }
}

/// Why a daemon does not start.
public enum DaemonError: Error, Equatable, Sendable {
    case setting(name: String, value: Int, minimum: Int)
    case unknownHost(String, reason: String)
    /// The reason is a sentence, with what to change.
    case cannotListen(host: String, port: Int, reason: String)
    case cannotStart(reason: String)
}

extension DaemonError: CustomStringConvertible {
    /// What is wrong and what would work.
    public var description: String {
        switch self {
        case .setting(let name, let value, let minimum):
            "The setting \(name) is \(value). It must be at least \(minimum) and fit its use."
        case .unknownHost(let host, let reason):
            "The address \(host) to listen on is not known to this machine (\(reason))."
        case .cannotListen(let host, let port, let reason):
            "Cannot listen on \(host), port \(port): \(reason)"
        case .cannotStart(let reason):
            "The HTTP server does not start: \(reason)."
        }
    }
}

/// Who sends a request, and what they may.
public struct Caller: Equatable, Sendable {
    /// The token's name, under which jobs and audit entries are kept.
    public let name: String
    /// What the token is for.
    public let roles: Set<Role>
    /// What the token may have waiting, stored and under way.
    public let quota: Quota

    /// A caller put together by hand, as tests do.
    public init(name: String, roles: Set<Role>, quota: Quota = Quota()) {
        self.name = name
        self.roles = roles
        self.quota = quota
    }

    /// Whoever calls a server without tokens: may do everything. No token can have this name.
    public static let anonymous = Caller(name: "anonymous", roles: [.admin])

    /// How far the caller reaches with an action: the widest of its roles.
    public func reach(_ action: Action) -> Reach {
        roles.map { $0.reach(action) }.max() ?? .none
    }

    /// Says no unless the caller may do this to some job, or it is about none. A list shows what ``reach(_:)`` allows.
    ///
    /// - Throws: ``AccessRefusal/forbidden(_:)``.
    public func check(_ action: Action) throws(AccessRefusal) {
        guard reach(action) > .none else { throw .forbidden(action) }
    }

    /// Says no unless the caller may do this to one job.
    ///
    /// - Parameters:
    ///   - action: what is to be done.
    ///   - owner: the name that the job was submitted under; a job without one is nobody's own.
    /// - Throws: ``AccessRefusal/forbidden(_:)``. To hide that a job exists, answer 404 for a job of others instead.
    public func check(_ action: Action, jobOf owner: String?) throws(AccessRefusal) {
        switch reach(action) {
        case .all: return
        case .own where owner == name: return
        case .own, .none: throw .forbidden(action)
        }
    }
}

/// What one token may have waiting in the queue, stored and under way; the store itself counts what waits and is stored,
/// so that two jobs at once cannot pass.
public struct Quota: Equatable, Sendable {
    /// The most jobs; nil: as many as the queue takes.
    public var queuedJobs: Int?
    /// The most bytes of uploads, as sent; nil: as many as the disk takes.
    public var queuedBytes: Int?
    /// The most bytes that the files of all its jobs may have, finished ones too; nil: what the server grants each token.
    public var storedBytes: Int?
    /// The most bytes of uploads under way at once; nil: what the server grants each token.
    public var inFlightBytes: Int?

    /// A quota; nil is no limit of the token's own.
    public init(
        queuedJobs: Int? = nil, queuedBytes: Int? = nil, storedBytes: Int? = nil, inFlightBytes: Int? = nil
    ) {
        self.queuedJobs = queuedJobs
        self.queuedBytes = queuedBytes
        self.storedBytes = storedBytes
        self.inFlightBytes = inFlightBytes
    }

    /// Whether every limit is at least 1.
    var isValid: Bool { [queuedJobs, queuedBytes, storedBytes, inFlightBytes].allSatisfy { $0 ?? 1 >= 1 } }
}

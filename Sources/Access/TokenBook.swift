public import Foundation

/// One token as it is kept: everything but its text.
public struct TokenEntry: Equatable, Sendable {
    /// Who uses it: 1 to 64 of `a-z 0-9 . _ -`, beginning with a letter or digit.
    public let name: String
    let hash: TokenHash
    /// What it is for; at least one.
    public let roles: Set<Role>
    /// What it may have waiting, stored and under way.
    public let quota: Quota
    /// When it was made, to the second.
    public let created: Date
    /// From when on it is refused, to the second; nil: never.
    public let expires: Date?

    /// Whether its time is over.
    public func isExpired(at now: Date) -> Bool { expires.map { $0 <= now } ?? false }
}

/// The tokens that a server accepts.
public struct TokenBook: Equatable, Sendable {
    /// The tokens in the order they were made; no two have the same name.
    public private(set) var entries: [TokenEntry]

    /// A book without tokens: nobody may do anything.
    public init() { entries = [] }

    init(entries: [TokenEntry]) throws(TokenBookError) {
        self.entries = []
        for entry in entries { try insert(entry) }
    }

    /// Whose token this is.
    ///
    /// The presented text is hashed and compared with every entry, in a time that depends neither on where two hashes
    /// differ nor on which entry fits.
    ///
    /// - Throws: ``AccessRefusal/unknownToken``; ``AccessRefusal/expiredToken``.
    public func caller(presenting text: some StringProtocol, at now: Date) throws(AccessRefusal) -> Caller {
        guard let presented = TokenSecret(text)?.hash else { throw .unknownToken }
        var found: TokenEntry?
        for entry in entries where entry.hash.isEqual(to: presented) { found = entry }
        guard let found else { throw .unknownToken }
        guard !found.isExpired(at: now) else { throw .expiredToken }
        return Caller(name: found.name, roles: found.roles, quota: found.quota)
    }

    /// Makes a token and returns its text, which is kept nowhere.
    ///
    /// - Throws: ``TokenBookError``: a bad name, a name that is taken, no role, a quota below 1, an expiry in the past.
    public mutating func add(
        name: String, roles: Set<Role>, quota: Quota = Quota(), expires: Date? = nil, at now: Date = Date()
    ) throws(TokenBookError) -> TokenSecret {
        if let expires, expires <= now { throw .expiryInThePast }
        let secret = TokenSecret()
        try insert(
            TokenEntry(
                name: name, hash: secret.hash, roles: roles, quota: quota, created: now.wholeSecond,
                expires: expires?.wholeSecond))
        return secret
    }

    /// Takes a token out: it is refused from now on.
    ///
    /// - Throws: ``TokenBookError/noSuchToken(_:)``.
    public mutating func revoke(_ name: String) throws(TokenBookError) {
        guard let index = entries.firstIndex(where: { $0.name == name }) else { throw .noSuchToken(name) }
        entries.remove(at: index)
    }

    private mutating func insert(_ entry: TokenEntry) throws(TokenBookError) {
        guard isTokenName(entry.name) else { throw .badName(entry.name) }
        guard entry.name != Caller.anonymous.name else { throw .reservedName(entry.name) }
        guard !entry.roles.isEmpty else { throw .noRole(entry.name) }
        guard entry.quota.isValid else { throw .badQuota(entry.name) }
        for other in entries {
            guard other.name != entry.name else { throw .nameTaken(entry.name) }
            guard other.hash != entry.hash else { throw .sameToken(other.name, entry.name) }
        }
        entries.append(entry)
    }
}

extension Date {
    /// What the file can hold: a book that was written and read is the same book.
    fileprivate var wholeSecond: Date { Date(timeIntervalSince1970: timeIntervalSince1970.rounded(.down)) }
}

private func isTokenName(_ name: String) -> Bool {
    1...64 ~= name.utf8.count
        && name.utf8.allSatisfy { "abcdefghijklmnopqrstuvwxyz0123456789._-".utf8.contains($0) }
        && !"._-".utf8.contains(name.utf8.first!)
}

/// Why a token cannot be made, kept or revoked.
public enum TokenBookError: Error, Equatable, Sendable {
    case badName(String)
    case reservedName(String)
    case nameTaken(String)
    case noRole(String)
    case badQuota(String)
    case expiryInThePast
    /// Two names have one hash: a slip of hand in the file.
    case sameToken(String, String)
    case noSuchToken(String)
}

extension TokenBookError: CustomStringConvertible {
    /// What is wrong and what to change.
    public var description: String {
        switch self {
        case .badName(let name):
            "\(name.debugDescription) cannot be a token's name. Give 1 to 64 of a-z, 0-9, dot, underscore and hyphen, "
                + "beginning with a letter or digit."
        case .reservedName(let name): "\"\(name)\" stands for callers without a token. Give another name."
        case .nameTaken(let name):
            "There is a token \"\(name)\" already. Give another name, or revoke that one first."
        case .noRole(let name):
            "The token \"\(name)\" has no role. Give one or more of: "
                + Role.allCases.map(\.rawValue).joined(separator: ", ") + "."
        case .badQuota(let name): "The token \"\(name)\" has a quota below 1. Give at least 1, or none for no limit."
        case .expiryInThePast: "The token would have expired already. Give a later time."
        case .sameToken(let one, let other): "The tokens \"\(one)\" and \"\(other)\" have the same hash. Remove one."
        case .noSuchToken(let name): "There is no token \(name.debugDescription)."
        }
    }
}

public import Foundation

/// Decides for each request who sends it: the one question that HTTP asks of this module. Roles and quotas are asked of
/// the ``Caller`` that it names.
///
/// Quick enough for a thread that serves sockets: at most a look at the tokens' file once a second.
public final class Doorkeeper: Sendable {
    private let tokens: TokenWatch?
    private let proxies: TrustedProxies
    private let limiter: FailureLimiter

    /// - Parameters:
    ///   - tokens: nil for a server without tokens; see ``OpenServer`` for what such a server may do.
    ///   - proxies: whose header fields about clients are believed.
    ///   - limiter: how often an address may send a wrong token.
    public init(
        tokens: TokenWatch?, proxies: TrustedProxies = .none, limiter: FailureLimiter = FailureLimiter()
    ) {
        self.tokens = tokens
        self.proxies = proxies
        self.limiter = limiter
    }

    /// Why the file of tokens cannot be read now, while the last tokens stay in force; nil while all is well, and on a
    /// server without tokens.
    public var tokensProblem: TokenFileError? {
        // The file is looked at only when someone asks for tokens, and perhaps nobody does.
        _ = tokens?.book()
        return tokens?.problem
    }

    /// Where a request comes from; known for those that are refused too.
    ///
    /// - Parameters:
    ///   - peer: the address of the connection's other end, in numbers.
    ///   - value: the value of a header field by its name in any case; several fields joined by ", ".
    public func origin(peer: String, field value: (String) -> String?) -> Origin {
        proxies.origin(peer: peer, field: value)
    }

    /// Whether a connection's other end is a proxy that all its clients are behind.
    public func isTrustedProxy(_ peer: String) -> Bool { proxies.include(peer) }

    /// Who sent a request that ``caller(peer:field:at:)`` let in, asked again when it is answered later: its token may have
    /// been revoked meanwhile, or have expired.
    ///
    /// - Throws: ``AccessRefusal`` of status 401 or 403; no failure is counted.
    public func stillCaller(
        field value: (String) -> String?, at now: Date = Date()
    ) throws(AccessRefusal) -> Caller {
        guard let tokens else { return .anonymous }
        guard let authorization = value("Authorization") else { throw .noCredentials }
        return try tokens.book().caller(presenting: bearerToken(authorization), at: now)
    }

    /// Who sends a request.
    ///
    /// A right token always passes: a client in a loop must not lock out another behind the same address, and guessing
    /// 256 random bits is hopeless at any rate. What is limited are the answers to wrong ones; a request without any
    /// is not counted.
    ///
    /// - Parameters:
    ///   - peer: the address of the connection's other end, in numbers.
    ///   - value: the value of a header field by its name in any case; several fields joined by ", ".
    /// - Returns: the token's holder; ``Caller/anonymous`` on a server without tokens.
    /// - Throws: ``AccessRefusal`` of status 401, 403 or 429. To be asked once a request, as each failure is counted.
    public func caller(
        peer: String, field value: (String) -> String?, at now: Date = Date()
    ) throws(AccessRefusal) -> Caller {
        guard let tokens else {
            try OpenServer.check(peer: peer, field: value)
            return .anonymous
        }
        guard let authorization = value("Authorization") else { throw .noCredentials }
        do throws(AccessRefusal) {
            return try tokens.book().caller(presenting: bearerToken(authorization), at: now)
        } catch {
            if let wait = limiter.fail(origin(peer: peer, field: value).address) {
                throw .tooManyFailures(retryAfterSeconds: Int((wait / .seconds(1)).rounded(.up)))
            }
            throw error
        }
    }
}

/// The token of an `Authorization: Bearer` (RFC 6750 section 2.1); the scheme in any case, as RFC 9110 has it.
private func bearerToken(_ authorization: String) throws(AccessRefusal) -> Substring {
    let parts = authorization.split(separator: " ", omittingEmptySubsequences: true)
    guard parts.count == 2, parts[0].lowercased() == "bearer", !parts[1].contains(",") else { throw .notBearer }
    return parts[1]
}

/// Why a request may not do what it wants: status, code and sentence for the client.
public enum AccessRefusal: Error, Equatable, Sendable {
    /// There is no `Authorization`.
    case noCredentials
    /// The `Authorization` is another scheme than Bearer, or is not of its form.
    case notBearer
    /// No token that is in force has this text.
    case unknownToken
    /// The token was right and its time is over.
    case expiredToken
    /// One more wrong token from an address that sent too many.
    case tooManyFailures(retryAfterSeconds: Int)
    /// The caller is known; its roles do not allow this.
    case forbidden(Action)
    /// Without tokens: the request came through a proxy, as this header field shows.
    case forwarded(field: String)
    /// Without tokens: the request is not from this machine, was meant for another name than this machine's, or came
    /// from another site's page.
    case notLocal
}

extension AccessRefusal {
    /// One of each kind.
    public static let allKinds: [AccessRefusal] = [
        .noCredentials, .notBearer, .unknownToken, .expiredToken, .tooManyFailures(retryAfterSeconds: 1),
        .forbidden(.listJobs), .forwarded(field: "Forwarded"), .notLocal,
    ]

    /// The status to answer with.
    public var status: Int {
        switch self {
        case .noCredentials, .notBearer, .unknownToken, .expiredToken: 401
        case .tooManyFailures: 429
        case .forbidden, .forwarded, .notLocal: 403
        }
    }

    /// The kind of refusal for programs: stable between versions.
    public var code: String {
        switch self {
        case .noCredentials: "credentials_missing"
        case .notBearer: "credentials_malformed"
        case .unknownToken: "token_unknown"
        case .expiredToken: "token_expired"
        case .tooManyFailures: "too_many_failures"
        case .forbidden: "forbidden"
        case .forwarded: "forwarded_request"
        case .notLocal: "not_local"
        }
    }

    /// The header fields that belong in the answer: `WWW-Authenticate` (RFC 6750 section 3) or `Retry-After`.
    public var headers: [(name: String, value: String)] {
        switch self {
        case .noCredentials: [("WWW-Authenticate", #"Bearer realm="hepar""#)]
        case .notBearer: [("WWW-Authenticate", #"Bearer realm="hepar", error="invalid_request""#)]
        case .unknownToken, .expiredToken: [("WWW-Authenticate", #"Bearer realm="hepar", error="invalid_token""#)]
        case .forbidden: [("WWW-Authenticate", #"Bearer realm="hepar", error="insufficient_scope""#)]
        case .tooManyFailures(let seconds): [("Retry-After", "\(max(1, seconds))")]
        case .forwarded, .notLocal: []
        }
    }
}

extension AccessRefusal: CustomStringConvertible {
    /// What is wrong and what to change.
    public var description: String {
        switch self {
        case .noCredentials:
            "The request has no token. Send one as \"Authorization: Bearer hpr_...\"."
        case .notBearer:
            "The Authorization is not \"Bearer\" and one token. Other schemes, as Basic, are not accepted."
        case .unknownToken:
            "The token is not known. It may be misspelt or revoked; ask the server's operator for another."
        case .expiredToken:
            "The token has expired. Ask the server's operator for another."
        case .tooManyFailures(let seconds):
            "Too many requests with a wrong token came from this address. Correct the token and try again in "
                + "\(max(1, seconds)) s."
        case .forbidden(.submitStat):
            "The token does not allow the priority \"stat\". Send the scan as \"routine\", or ask the server's operator for a "
                + "token with the role \"stat\"."
        case .forbidden(let action):
            "The token does not allow \"\(action.rawValue)\" here. Ask the server's operator for one that does; these roles "
                + "do: \(action.roles)."
        case .forwarded(let field):
            "The server runs without tokens and takes no request that a proxy forwarded (\(field)). "
                + "Its operator must set up tokens first: hepar token add."
        case .notLocal:
            "The server runs without tokens and answers only its own machine, as localhost, 127.0.0.1 or [::1], and no "
                + "other site's page. "
                + "Its operator must set up tokens first: hepar token add."
        }
    }
}

extension Action {
    /// The roles that allow it, in words.
    fileprivate var roles: String {
        Role.allCases.compactMap { role in
            switch role.reach(self) {
            case .none: nil
            case .own: "\"\(role.rawValue)\" (own jobs)"
            case .all: "\"\(role.rawValue)\""
            }
        }.joined(separator: ", ")
    }
}

internal import CCurl

/// The parts of an http or https URL, found by the same parser that later sends to it: two parsers that read a URL
/// differently would let a target past the list.
public struct CurlURL: Equatable, Sendable {
    /// `http` or `https`.
    public let scheme: String
    /// In lower case; IPv4 in four decimal numbers, IPv6 in brackets.
    public let host: String
    /// The scheme's own where the URL names none.
    public let port: Int
    /// Begins with a slash; neither decoded nor shortened.
    public let path: String
    /// Without the question mark; nil without one.
    public let query: String?

    /// Nil for what libcurl does not take for a URL, and for one with a user or a zone.
    public init?(_ text: String) {
        guard let handle = curl_url() else { return nil }
        defer { curl_url_cleanup(handle) }
        let flags = UInt32(CURLU_DISALLOW_USER | CURLU_PATH_AS_IS)
        guard curl_url_set(handle, CURLUPART_URL, text, flags) == CURLUE_OK else { return nil }
        func part(_ name: CURLUPart) -> String? {
            var text: UnsafeMutablePointer<CChar>?
            guard curl_url_get(handle, name, &text, UInt32(CURLU_DEFAULT_PORT)) == CURLUE_OK, let text else {
                return nil
            }
            defer { curl_free(text) }
            return String(cString: text)
        }
        guard let scheme = part(CURLUPART_SCHEME), scheme == "http" || scheme == "https",
            let host = part(CURLUPART_HOST), let port = part(CURLUPART_PORT).flatMap({ Int($0) }),
            let path = part(CURLUPART_PATH), part(CURLUPART_ZONEID) == nil
        else { return nil }
        self.scheme = scheme
        self.host = host.lowercased()
        self.port = port
        self.path = path
        query = part(CURLUPART_QUERY)
    }

    /// The URL with the port always written out.
    public var text: String { "\(scheme)://\(host):\(port)\(path)" + (query.map { "?\($0)" } ?? "") }
}

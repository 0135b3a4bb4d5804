import CCurl
import Foundation

/// The parts of an http or https URL, found by the same parser that later sends to it: two parsers that read a URL
/// differently would let a target past the list.
struct CurlURL: Equatable {
    /// `http` or `https`.
    let scheme: String
    /// In lower case; IPv4 in four decimal numbers, IPv6 in brackets.
    let host: String
    let port: Int
    /// Begins with a slash; neither decoded nor shortened.
    let path: String
    let query: String?

    /// Nil for what libcurl does not take for a URL, and for one with a user or a zone.
    init?(_ text: String) {
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
    var text: String { "\(scheme)://\(host):\(port)\(path)" + (query.map { "?\($0)" } ?? "") }
}

/// One POST by libcurl.
struct CurlPost {
    var url: String
    /// Lines as `Name: value`.
    var headers: [String]
    var userAgent: String
    var body: Data
    var connectTimeout: Duration
    var totalTimeout: Duration
    /// Bytes of the answer, head and body, after which no more is read.
    var answerLimit: Int
    var caFile: String?

    /// What came of it.
    struct Result {
        /// The status of the answer, 0 if none came.
        var status: Int
        /// Seconds of the answer's `Retry-After`, 0 without one.
        var retryAfterSeconds: Int
        /// Why no answer came, where none did.
        var failure: WebhookFailure
    }

    /// Sends, and waits until the answer is there or it is clear that none comes.
    ///
    /// Nothing is followed but the URL itself: no redirects, no proxies of the environment, no cookies, no other
    /// protocols.
    func send() -> Result {
        guard Self.isReady, let handle = curl_easy_init() else {
            return Result(status: 0, retryAfterSeconds: 0, failure: WebhookFailure(CURLE_FAILED_INIT))
        }
        defer { curl_easy_cleanup(handle) }
        var lines: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(lines) }
        for header in headers { lines = curl_slist_append(lines, header) }

        var answer = AnswerCount(limit: answerLimit)
        let code = withUnsafeMutablePointer(to: &answer) { answer in
            let settings: [CURLcode] = [
                ccurl_set_text(handle, CURLOPT_URL, url),
                ccurl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https"),
                ccurl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0),
                ccurl_set_text(handle, CURLOPT_PROXY, ""),
                ccurl_set_long(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1),
                ccurl_set_text(handle, CURLOPT_USERAGENT, userAgent),
                ccurl_set_headers(handle, lines),
                body.withUnsafeBytes { ccurl_set_body(handle, $0.baseAddress, curl_off_t($0.count)) },
                ccurl_set_long(handle, CURLOPT_SSL_VERIFYPEER, 1),
                ccurl_set_long(handle, CURLOPT_SSL_VERIFYHOST, 2),
                ccurl_set_long(handle, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2),
                caFile.map { ccurl_set_text(handle, CURLOPT_CAINFO, $0) } ?? CURLE_OK,
                ccurl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, connectTimeout.wholeMilliseconds),
                ccurl_set_long(handle, CURLOPT_TIMEOUT_MS, totalTimeout.wholeMilliseconds),
                ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1),  // signals are the process's, not a thread's
                ccurl_set_receiver(handle, countAnswer, answer),
            ]
            return settings.first { $0 != CURLE_OK } ?? curl_easy_perform(handle)
        }
        return Result(
            status: ccurl_status(handle), retryAfterSeconds: Int(ccurl_retry_after(handle)),
            failure: WebhookFailure(code))
    }

    /// libcurl's own preparation, once in a process.
    private static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK
}

extension WebhookFailure {
    /// What libcurl's error means.
    fileprivate init(_ code: CURLcode) {
        switch code {
        case CURLE_OPERATION_TIMEDOUT: self = .timeout
        case CURLE_COULDNT_RESOLVE_HOST: self = .unknownHost
        case CURLE_COULDNT_CONNECT: self = .noConnection
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER, CURLE_SSL_ISSUER_ERROR:
            self = .untrusted
        case CURLE_SSL_CACERT_BADFILE: self = .caFile
        case CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_WEIRD_SERVER_REPLY, CURLE_WRITE_ERROR,
            CURLE_UNSUPPORTED_PROTOCOL, CURLE_PARTIAL_FILE, CURLE_OK:
            self = .noAnswer
        default: self = .other(Int(code.rawValue))
        }
    }
}

/// How much of an answer came; nothing of it is kept.
private struct AnswerCount {
    let limit: Int
    var bytes = 0
}

/// Takes a run of an answer; another number than its length ends the transfer.
private func countAnswer(
    _ run: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let answer = context?.assumingMemoryBound(to: AnswerCount.self) else { return 0 }
    answer.pointee.bytes += size * count
    return answer.pointee.bytes <= answer.pointee.limit ? size * count : 0
}

extension Duration {
    /// At least 1: to libcurl, 0 is no limit.
    fileprivate var wholeMilliseconds: Int { max(1, Int(self / .milliseconds(1))) }
}

internal import CCurl
internal import Foundation

/// One server, asked by libcurl. The connection is kept between requests; to be used by one thread at a time.
///
/// Nothing is followed but the URL itself: no redirect, no proxy of the environment, no cookie, no other protocol.
public final class HTTPConnection {
    /// Who asks.
    public enum Credentials: Sendable {
        /// Anybody.
        case none
        /// The bearer of a token.
        case token(String)
        /// A user, by HTTP's basic authentication.
        case user(String, password: String)
    }

    /// How a server is asked.
    public struct Settings: Sendable {
        /// Who asks.
        public var credentials = Credentials.none
        /// What the server is told who calls.
        public var userAgent = "hepar"
        /// Time to reach the server, encryption included.
        public var connectTimeout = Duration.seconds(10)
        /// Time for all of a request; nil for no limit.
        public var totalTimeout: Duration?
        /// Time without a byte in either direction after which a request ends; nil for no limit.
        public var silence: Duration?
        /// Bytes of an answer, head and body, after which no more is read.
        public var answerLimit = 256 << 20
        /// Certificates in PEM form to trust instead of the system's.
        public var caFile: String?

        /// The defaults.
        public init() {}
    }

    private let base: String
    private let settings: Settings
    private let isStopped: () -> Bool
    private let handle: UnsafeMutableRawPointer?

    /// - Parameters:
    ///   - base: `http://host:port`, perhaps with a path, without a slash at its end.
    ///   - isStopped: asked about once a second; ends a request that runs.
    public init(_ base: String, _ settings: Settings = Settings(), isStopped: @escaping () -> Bool = { false }) {
        self.base = base
        self.settings = settings
        self.isStopped = isStopped
        handle = Self.isReady ? curl_easy_init() : nil
    }

    deinit { if let handle { curl_easy_cleanup(handle) } }

    /// Sends, and waits until the answer is there or it is clear that none comes.
    public func send(_ request: HTTPRequest) -> HTTPAnswer {
        guard let handle else { return HTTPAnswer(fault: .other(Int(CURLE_FAILED_INIT.rawValue))) }
        curl_easy_reset(handle)
        var lines: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(lines) }
        var file: UnsafeMutablePointer<FILE>?
        defer { if let file { fclose(file) } }
        var headers = request.headers
        let receiver = Receiver(request.output, limit: settings.answerLimit, isStopped)
        let context = Unmanaged.passUnretained(receiver).toOpaque()
        var codes = own(of: handle)
        codes += [
            ccurl_set_text(handle, CURLOPT_URL, base + request.path),
            ccurl_set_text(handle, CURLOPT_CUSTOMREQUEST, request.method),
            ccurl_set_receivers(handle, receive, countHead, context),
            ccurl_set_watch(handle, watch, context),
        ]
        switch settings.credentials {
        case .none: break
        case .token(let token): headers.append("Authorization: Bearer \(token)")
        case .user(let name, let password):
            codes.append(ccurl_set_text(handle, CURLOPT_USERNAME, name))
            codes.append(ccurl_set_text(handle, CURLOPT_PASSWORD, password))
        }
        switch request.body {
        case .none: break
        case .bytes(let data, let type):
            headers.append("Content-Type: \(type)")
            codes.append(data.withUnsafeBytes { ccurl_set_body(handle, $0.baseAddress, curl_off_t($0.count)) })
        case .file(let url, let type):
            headers.append("Content-Type: \(type)")
            file = fopen(url.path, "rbe")
            codes.append(file.map { ccurl_set_upload(handle, $0) } ?? CURLE_READ_ERROR)
        }
        for header in headers { lines = curl_slist_append(lines, header) }
        codes.append(ccurl_set_headers(handle, lines))
        let code = codes.first { $0 != CURLE_OK } ?? curl_easy_perform(handle)
        let isWhole = receiver.finish() && code == CURLE_OK
        var answer = HTTPAnswer(
            status: ccurl_status(handle), body: receiver.body, retryAfterSeconds: Int(ccurl_retry_after(handle)),
            fault: isWhole ? nil : HTTPFault(code))
        if let output = request.output, isWhole, answer.status >= 400 {
            // What is in the file is the refusal.
            answer.body = (try? Data(contentsOf: output)) ?? Data()
            try? FileManager.default.removeItem(at: output)
        }
        return answer
    }

    /// What holds for all requests.
    private func own(of handle: UnsafeMutableRawPointer) -> [CURLcode] {
        [
            ccurl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https"),
            ccurl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0),
            // No proxy of the environment is shown a patient's scan.
            ccurl_set_text(handle, CURLOPT_PROXY, ""),
            ccurl_set_long(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1),
            ccurl_set_text(handle, CURLOPT_USERAGENT, settings.userAgent),
            ccurl_set_long(handle, CURLOPT_SSL_VERIFYPEER, 1),
            ccurl_set_long(handle, CURLOPT_SSL_VERIFYHOST, 2),
            ccurl_set_long(handle, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2),
            settings.caFile.map { ccurl_set_text(handle, CURLOPT_CAINFO, $0) } ?? CURLE_OK,
            ccurl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, settings.connectTimeout.wholeMilliseconds),
            settings.totalTimeout.map { ccurl_set_long(handle, CURLOPT_TIMEOUT_MS, $0.wholeMilliseconds) } ?? CURLE_OK,
            ccurl_set_long(handle, CURLOPT_LOW_SPEED_LIMIT, settings.silence == nil ? 0 : 1),
            ccurl_set_long(handle, CURLOPT_LOW_SPEED_TIME, settings.silence.map { Int($0 / .seconds(1)) } ?? 0),
            ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1),  // signals are the process's, not a thread's
        ]
    }

    /// libcurl's own preparation, once in a process.
    private static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK
}

extension HTTPFault {
    /// What libcurl's error means.
    fileprivate init(_ code: CURLcode) {
        self =
            switch code {
            case CURLE_OPERATION_TIMEDOUT: .timeout
            case CURLE_COULDNT_RESOLVE_HOST: .unknownHost
            case CURLE_COULDNT_CONNECT: .noConnection
            case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER, CURLE_SSL_ISSUER_ERROR:
                .untrusted
            case CURLE_SSL_CACERT_BADFILE: .caFile
            case CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_WEIRD_SERVER_REPLY, CURLE_WRITE_ERROR,
                CURLE_UNSUPPORTED_PROTOCOL, CURLE_PARTIAL_FILE, CURLE_OK:
                .noAnswer
            case CURLE_ABORTED_BY_CALLBACK: .stopped
            default: .other(Int(code.rawValue))
            }
    }
}

/// Takes an answer.
private final class Receiver {
    var body = Data()
    let isStopped: () -> Bool
    private var left: Int
    private var file: UnsafeMutablePointer<FILE>?
    private let output: URL?

    init(_ output: URL?, limit: Int, _ isStopped: @escaping () -> Bool) {
        self.output = output
        left = limit
        self.isStopped = isStopped
        // Files of patients, for this user alone.
        if let output { file = fopen(output.path, "wbe") }
    }

    deinit { if let file { fclose(file) } }

    /// Counts bytes; false if they are too many. What goes into a file is as long as it is.
    func count(_ bytes: Int) -> Bool {
        left -= bytes
        return left >= 0
    }

    func take(_ run: UnsafeRawBufferPointer) -> Bool {
        guard output != nil else {
            guard count(run.count) else { return false }
            body.append(contentsOf: run)
            return true
        }
        guard let file else { return false }
        return fwrite(run.baseAddress, 1, run.count, file) == run.count
    }

    /// Whether all that came is in its place.
    func finish() -> Bool {
        guard output != nil else { return true }
        guard let open = file else { return false }
        file = nil
        return fclose(open) == 0
    }
}

private func receive(
    _ run: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let receiver = Unmanaged<Receiver>.fromOpaque(context).takeUnretainedValue()
    return receiver.take(UnsafeRawBufferPointer(start: run, count: size * count)) ? size * count : 0
}

private func countHead(
    _ run: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let receiver = Unmanaged<Receiver>.fromOpaque(context).takeUnretainedValue()
    return receiver.count(size * count) ? size * count : 0
}

private func watch(
    _ context: UnsafeMutableRawPointer?, _: curl_off_t, _: curl_off_t, _: curl_off_t, _: curl_off_t
) -> Int32 {
    guard let context else { return 0 }
    return Unmanaged<Receiver>.fromOpaque(context).takeUnretainedValue().isStopped() ? 1 : 0
}

extension Duration {
    /// At least 1: to libcurl, 0 is no limit.
    fileprivate var wholeMilliseconds: Int { max(1, Int(self / .milliseconds(1))) }
}

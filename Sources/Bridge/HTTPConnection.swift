import CCurl
import Foundation

/// A request to one of the two servers.
struct HTTPRequest {
    /// What is sent.
    enum Body {
        case none
        case bytes(Data, type: String)
        /// A file, which is read while it is sent.
        case file(URL, type: String)
    }

    var method = "GET"
    /// With its query; begins with a slash.
    var path: String
    var headers: [String] = []
    var body = Body.none
    /// Where the answer's body goes; nil keeps it in memory.
    var output: URL?
}

/// What came of a request.
struct HTTPAnswer: Equatable {
    /// 0 where no answer came.
    var status = 0
    var body = Data()
    /// Of `Retry-After`; 0 without one.
    var retryAfterSeconds = 0
    /// libcurl's number, where no answer came.
    var fault = 0
}

/// One server, by libcurl. Connections are kept between requests; to be used by one thread at a time.
final class HTTPConnection {
    private let base: String
    private let credentials: Credentials
    private let isStopped: () -> Bool
    private let handle: UnsafeMutableRawPointer?

    /// Who asks.
    enum Credentials {
        case none
        case token(String)
        case user(String, password: String)
    }

    /// - Parameters:
    ///   - base: `http://host:port`, perhaps with a path, without a slash at its end.
    ///   - isStopped: asked about once a second; ends a request that runs.
    init(_ base: String, _ credentials: Credentials, isStopped: @escaping () -> Bool) {
        self.base = base
        self.credentials = credentials
        self.isStopped = isStopped
        handle = Self.isReady ? curl_easy_init() : nil
    }

    deinit { if let handle { curl_easy_cleanup(handle) } }

    /// Sends, and waits for the answer. No redirect is followed.
    func send(_ request: HTTPRequest) -> HTTPAnswer {
        guard let handle else { return HTTPAnswer(fault: Int(CURLE_FAILED_INIT.rawValue)) }
        curl_easy_reset(handle)
        var lines: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(lines) }
        var file: UnsafeMutablePointer<FILE>?
        defer { if let file { fclose(file) } }
        var headers = request.headers
        let receiver = Receiver(request.output, isStopped)
        let context = Unmanaged.passUnretained(receiver).toOpaque()
        var settings: [CURLcode] = [
            ccurl_set_text(handle, CURLOPT_URL, base + request.path),
            ccurl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https"),
            // No proxy of the environment is shown a patient's scan.
            ccurl_set_text(handle, CURLOPT_PROXY, ""),
            ccurl_set_text(handle, CURLOPT_CUSTOMREQUEST, request.method),
            ccurl_set_text(handle, CURLOPT_USERAGENT, "hepar-bridge"),
            ccurl_set_long(handle, CURLOPT_CONNECTTIMEOUT, 10),
            // An upload is answered once it was judged, which takes minutes for a large scan.
            ccurl_set_long(handle, CURLOPT_LOW_SPEED_LIMIT, 1),
            ccurl_set_long(handle, CURLOPT_LOW_SPEED_TIME, 900),
            ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1),
            ccurl_set_body_receiver(handle, receive, context),
            ccurl_set_watch(handle, watch, context),
        ]
        switch credentials {
        case .none: break
        case .token(let token): headers.append("Authorization: Bearer \(token)")
        case .user(let name, let password):
            settings.append(ccurl_set_text(handle, CURLOPT_USERNAME, name))
            settings.append(ccurl_set_text(handle, CURLOPT_PASSWORD, password))
        }
        switch request.body {
        case .none: break
        case .bytes(let data, let type):
            headers.append("Content-Type: \(type)")
            settings.append(
                data.withUnsafeBytes { ccurl_set_body(handle, $0.baseAddress, curl_off_t($0.count)) })
        case .file(let url, let type):
            headers.append("Content-Type: \(type)")
            file = fopen(url.path, "rbe")
            settings.append(file.map { ccurl_set_upload(handle, $0) } ?? CURLE_READ_ERROR)
        }
        for header in headers { lines = curl_slist_append(lines, header) }
        settings.append(ccurl_set_headers(handle, lines))
        let code = settings.first { $0 != CURLE_OK } ?? curl_easy_perform(handle)
        guard code == CURLE_OK, receiver.finish() else { return HTTPAnswer(fault: Int(code.rawValue)) }
        var answer = HTTPAnswer(
            status: ccurl_status(handle), body: receiver.body,
            retryAfterSeconds: Int(ccurl_retry_after(handle)))
        if let output = request.output, answer.status >= 400 {
            // What is in the file is the refusal.
            answer.body = (try? Data(contentsOf: output)) ?? Data()
            try? FileManager.default.removeItem(at: output)
        }
        return answer
    }

    private static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK
}

/// Takes an answer's body.
private final class Receiver {
    var body = Data()
    let isStopped: () -> Bool
    private var file: UnsafeMutablePointer<FILE>?
    private let output: URL?

    init(_ output: URL?, _ isStopped: @escaping () -> Bool) {
        self.output = output
        self.isStopped = isStopped
        // Files of patients, for this user alone.
        if let output { file = fopen(output.path, "wbe") }
    }

    deinit { if let file { fclose(file) } }

    /// More in memory than a report or a list of changes ever has.
    private static let memoryLimit = 256 << 20

    func take(_ run: UnsafeRawBufferPointer) -> Bool {
        guard output != nil else {
            body.append(contentsOf: run)
            return body.count <= Self.memoryLimit
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

private func watch(
    _ context: UnsafeMutableRawPointer?, _: curl_off_t, _: curl_off_t, _: curl_off_t, _: curl_off_t
) -> Int32 {
    guard let context else { return 0 }
    return Unmanaged<Receiver>.fromOpaque(context).takeUnretainedValue().isStopped() ? 1 : 0
}

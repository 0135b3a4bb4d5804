internal import CMicrohttpd
internal import CReceive
import Foundation
import Logging
import Synchronization

/// libmicrohttpd (0.9.75), serving the sockets it is handed. The only file that knows it.
///
/// Sockets are shared out to a few daemons with an epoll thread each; a request whose answer is being made is suspended
/// and costs no thread. Its answer is handed over on such a thread again: there the callback is asked once more after
/// the resumption.
final class Microhttpd: @unchecked Sendable {  // the pointers are written once; libmicrohttpd locks for itself
    private let daemons: [OpaquePointer]
    private let context: Unmanaged<DaemonCore>
    private let next = Atomic<Int>(0)

    init(connectionLimit: Int, core: DaemonCore) throws(DaemonError) {
        let context = Unmanaged.passRetained(core)
        let settings = core.settings
        var start = cmhd_start()
        start.connection_limit = UInt32(connectionLimit)
        start.idle_timeout_seconds = UInt32(settings.idleTimeoutSeconds)
        start.connection_memory = settings.connectionMemoryBytes
        start.context = context.toOpaque()
        start.answer = requestProgressed
        start.completed = requestEnded
        start.connection = connectionChanged
        start.target = targetArrived
        start.log = messageLogged
        var daemons: [OpaquePointer] = []
        for _ in 0..<settings.socketThreads {
            guard let daemon = cmhd_start_daemon(&start) else {
                let reason = String(cString: strerror(errno))
                for daemon in daemons { MHD_stop_daemon(daemon) }
                context.release()
                throw .cannotStart(reason: "libmicrohttpd refused to start, \(reason)")
            }
            daemons.append(daemon)
        }
        self.context = context
        self.daemons = daemons
    }

    /// Serves a connection; false if that fails, and then the socket is closed.
    func serve(socket: Int32, address: UnsafePointer<sockaddr>, length: socklen_t) -> Bool {
        let turn = next.wrappingAdd(1, ordering: .relaxed).oldValue
        return MHD_add_connection(daemons[turn % daemons.count], socket, address, length) == .YES
    }

    /// Closes all connections and ends the threads. No request may be suspended, none served from then on. To be called
    /// once.
    func stop() {
        for daemon in daemons { MHD_stop_daemon(daemon) }
        context.release()
    }
}

/// A connection that is suspended, so that its pointer stays valid until it is resumed.
private struct SuspendedConnection: @unchecked Sendable {  // libmicrohttpd locks in MHD_resume_connection
    let pointer: OpaquePointer

    func resume() { MHD_resume_connection(pointer) }
}

private func core(_ context: UnsafeMutableRawPointer?) -> DaemonCore {
    Unmanaged<DaemonCore>.fromOpaque(context!).takeUnretainedValue()
}

/// The request line is there: the first of a request's callbacks, and the only one that sees its target undecoded.
private func targetArrived(
    context: UnsafeMutableRawPointer?, target: UnsafePointer<CChar>?, connection: OpaquePointer?
) -> UnsafeMutableRawPointer? {
    let length = target.map { strlen($0) } ?? 0
    let bytes = UnsafeRawBufferPointer(start: target, count: length)
    let exchange = Exchange(target: Array(bytes))
    core(context).began(exchange)
    return Unmanaged.passRetained(exchange).toOpaque()
}

/// Called with the head, with each piece of the body, at the body's end, and after each resumption.
private func requestProgressed(
    context: UnsafeMutableRawPointer?, connection: OpaquePointer?, url: UnsafePointer<CChar>?,
    method: UnsafePointer<CChar>?, version: UnsafePointer<CChar>?, upload: UnsafePointer<CChar>?,
    uploadSize: UnsafeMutablePointer<Int>?, request: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
    guard let connection, let url, let method, let version, let uploadSize, let pointer = request?.pointee,
        let socket = cmhd_socket_context(connection)
    else { return .NO }
    let core = core(context)
    let exchange = Unmanaged<Exchange>.fromOpaque(pointer).takeUnretainedValue()
    let watched = Unmanaged<Connection>.fromOpaque(socket).takeUnretainedValue()

    let action: Exchange.Action
    if exchange.isAwaitingHead {
        let isPlain = cmhd_head_is_plain(connection, method, url, exchange.target.count, version) != 0
        var head = checkedHead(
            connection, method: method, version: version, target: exchange.target, isPlain: isPlain,
            peerAddress: watched.peerAddress)
        if case .success(let checked) = head {
            let bytes = cmhd_head_size(connection)
            let rest = UnsafeMutableRawPointer(mutating: method + bytes).assumingMemoryBound(to: UInt8.self)
            let isBroken = watched.chunks.withLock { chunks in
                guard !chunks.isBroken else { return true }
                chunks.headEnded(checked.framing, headBytes: bytes, rest: rest)
                return chunks.isBroken
            }
            if isBroken { head = .failure(.malformed(badChunk)) }
        }
        // Whatever else is wrong: the head was cut off there.
        if watched.chunks.withLock({ $0.hasBadLength }) { head = .failure(.badLength) }
        watched.receivesBody()
        action = exchange.headArrived(head, core: core)
    } else if uploadSize.pointee > 0 {
        watched.received(uploadSize.pointee)
        let isBroken = watched.chunks.withLock { chunks in
            chunks.isRefused = chunks.isBroken
            return chunks.isBroken
        }
        action =
            isBroken
            ? exchange.refuseBody(.malformed(badChunk), core: core)
            : exchange.bodyArrived(UnsafeRawBufferPointer(start: upload, count: uploadSize.pointee), core: core)
        uploadSize.pointee = 0
    } else {
        watched.isAnswered(exchange)
        let suspended = SuspendedConnection(pointer: connection)
        action = exchange.isComplete(
            core: core, suspend: { MHD_suspend_connection(connection) }, resume: { suspended.resume() })
    }

    switch action {
    case .goOn: return .YES
    case .close: return .NO
    case .send(let response):
        watched.isAnswered()
        return queue(response, on: connection)
    case .sendAndDrain(let bytes):
        // Nothing of libmicrohttpd's is under way on this socket in the middle of a request.
        let descriptor = cmhd_socket(connection)
        _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        shutdown(descriptor, Int32(SHUT_WR))
        watched.drains(for: core.drainTime)
        return .YES
    }
}

private func checkedHead(
    _ connection: OpaquePointer, method: UnsafePointer<CChar>, version: UnsafePointer<CChar>, target: [UInt8],
    isPlain: Bool, peerAddress: String
) -> Result<CheckedHead, Refusal> {
    guard isPlain else {
        return .failure(
            .malformed("The head has a line that is folded, holds a zero byte or does not end with CR LF."))
    }
    var fields: [(name: [UInt8], value: [UInt8])] = []
    _ = withUnsafeMutablePointer(to: &fields) { MHD_get_connection_values_n(connection, .HEADER_KIND, addField, $0) }
    do throws(Refusal) {
        return .success(
            try CheckedHead(
                method: Array(UnsafeRawBufferPointer(start: method, count: strlen(method))), target: target,
                version: String(cString: version), fields: fields, peerAddress: peerAddress))
    } catch {
        return .failure(error)
    }
}

private func addField(
    fields: UnsafeMutableRawPointer?, kind: MHD_ValueKind, name: UnsafePointer<CChar>?, nameSize: Int,
    value: UnsafePointer<CChar>?, valueSize: Int
) -> MHD_Result {
    fields!.assumingMemoryBound(to: [(name: [UInt8], value: [UInt8])].self).pointee.append(
        (
            Array(UnsafeRawBufferPointer(start: name, count: name == nil ? 0 : nameSize)),
            Array(UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : valueSize))
        ))
    return .YES
}

private func queue(_ response: PreparedResponse, on connection: OpaquePointer) -> MHD_Result {
    let made: OpaquePointer?
    switch response.body {
    case .data(let data):
        made = data.withUnsafeBytes { bytes in
            MHD_create_response_from_buffer(
                bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), .RESPMEM_MUST_COPY)
        }
    case .file(let descriptor, let range):
        made = MHD_create_response_from_fd_at_offset64(UInt64(range.count), descriptor, UInt64(range.lowerBound))
    }
    guard let made else {
        response.discard()
        return .NO
    }
    defer { MHD_destroy_response(made) }
    for (name, value) in response.headers where MHD_add_response_header(made, name, value) != .YES { return .NO }
    return MHD_queue_response(connection, UInt32(response.status), made)
}

private let badChunk =
    "A chunk's size is a hexadecimal number of at most 2^40 and a short extension; it and the chunk end with CR LF."

/// What libmicrohttpd reads, before it does.
private func bytesRead(
    context: UnsafeMutableRawPointer?, bytes: UnsafeMutablePointer<UInt8>?, count: Int, room: Int
) -> Int {
    guard let context else { return count }
    let watched = Unmanaged<Connection>.fromOpaque(context).takeUnretainedValue()
    let buffer = UnsafeMutableBufferPointer(start: bytes, count: room)
    return watched.chunks.withLock { $0.read(count, in: buffer) }
}

/// Request and answer are over, or the connection is.
private func requestEnded(
    context: UnsafeMutableRawPointer?, connection: OpaquePointer?,
    request: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, code: MHD_RequestTerminationCode
) {
    guard let connection, let pointer = request?.pointee else { return }
    let core = core(context)
    let exchange = Unmanaged<Exchange>.fromOpaque(pointer).takeRetainedValue()
    request?.pointee = nil
    let ending: String? =
        switch code {
        case .REQUEST_TERMINATED_COMPLETED_OK: nil
        case .REQUEST_TERMINATED_TIMEOUT_REACHED: "timeout"
        case .REQUEST_TERMINATED_DAEMON_SHUTDOWN: "stop"
        case .REQUEST_TERMINATED_CLIENT_ABORT: "client gone"
        default: "error"
        }
    exchange.end(ending: ending, daemonStatus: Int(cmhd_status(connection)), core: core)
    core.ended(exchange)
    if let socket = cmhd_socket_context(connection) {
        let seconds = core.settings.idleTimeoutSeconds + core.settings.headTimeoutSeconds
        Unmanaged<Connection>.fromOpaque(socket).takeUnretainedValue().waitsForHead(for: .seconds(seconds))
    }
}

/// A connection is open, or about to be closed.
private func connectionChanged(
    context: UnsafeMutableRawPointer?, connection: OpaquePointer?,
    socket: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, code: MHD_ConnectionNotificationCode
) {
    guard let connection, let socket else { return }
    let core = core(context)
    if code == .CONNECTION_NOTIFY_STARTED {
        let peer = cmhd_peer(connection).map { address in
            let isV6 = Int32(address.pointee.sa_family) == AF_INET6
            let length = isV6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
            return NumericAddress(address, length: socklen_t(length)).host
        }
        let watched = Connection(
            socket: cmhd_socket(connection), peerAddress: peer ?? "unknown",
            headTimeout: .seconds(core.settings.headTimeoutSeconds))
        core.watch.add(watched)
        let context = Unmanaged.passRetained(watched).toOpaque()
        socket.pointee = context
        if cr_watch(cmhd_socket(connection), context, bytesRead) != 0 { shutdown(watched.socket, Int32(SHUT_RDWR)) }
    } else if let pointer = socket.pointee {
        let watched = Unmanaged<Connection>.fromOpaque(pointer).takeRetainedValue()
        _ = cr_watch(watched.socket, nil, bytesRead)
        core.watch.remove(watched)
        socket.pointee = nil
    }
}

/// libmicrohttpd's own messages. Their arguments are left out: some are the target of a request.
private func messageLogged(context: UnsafeMutableRawPointer?, format: UnsafePointer<CChar>?, arguments: CVaListPointer?)
{
    guard let format else { return }
    let text = String(cString: format).trimmingCharacters(in: .whitespacesAndNewlines)
    core(context).logger.debug("libmicrohttpd", metadata: ["message": "\(text)"])
}

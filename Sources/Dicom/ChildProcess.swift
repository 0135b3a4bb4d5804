internal import CDicom
import Foundation

/// How a child process ended.
enum ChildEnd: Equatable {
    case exited(Int)
    case signalled(Int)
    case timedOut
    /// It wrote more than was to be read.
    case tooTalkative
}

/// Runs a program without a shell and reads what it writes to its standard output.
///
/// The child has no other open file, an empty standard input, its own process group, and of the environment only what
/// is given. It is ended with its group at the deadline, and when it writes more than `outputLimit` bytes.
///
/// - Returns: its output and end; nil where it could not be started.
func runChild(
    _ executable: String, _ arguments: [String], environment: [String], wallSeconds: Int, outputLimit: Int
) -> (output: Data, end: ChildEnd)? {
    let words = ([executable] + arguments).map { strdup($0) } + [nil]
    let variables = environment.map { strdup($0) } + [nil]
    defer { (words + variables).forEach { free($0) } }
    var pipe: Int32 = -1
    let child = cdicom_spawn(executable, words, variables, &pipe)
    guard child > 0 else { return nil }
    defer { close(pipe) }

    let deadline = ContinuousClock.now + .seconds(wallSeconds)
    let (output, early) = readAll(from: pipe, until: deadline, limit: outputLimit)
    var status: Int32 = 0
    if early == nil {
        while ContinuousClock.now < deadline {
            let found = waitpid(child, &status, WNOHANG)
            if found == child { return (output, ended(status)) }
            if found < 0, errno != EINTR { return nil }
            usleep(2000)
        }
    }
    kill(-child, SIGKILL)
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    return (output, early ?? .timedOut)
}

/// glibc's WIFEXITED and its kin are macros.
private func ended(_ status: Int32) -> ChildEnd {
    status & 0x7F == 0 ? .exited(Int(status >> 8 & 0xFF)) : .signalled(Int(status & 0x7F))
}

private func readAll(
    from descriptor: Int32, until deadline: ContinuousClock.Instant, limit: Int
) -> (Data, ChildEnd?) {
    var output = Data()
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        let rest = (deadline - .now) / .milliseconds(1)
        guard rest > 0 else { return (output, .timedOut) }
        var event = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let ready = poll(&event, 1, Int32(min(rest.rounded(.up), 1e6)))
        if ready < 0, errno != EINTR { return (output, .timedOut) }
        guard ready > 0 else { continue }
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { return (output, nil) }
        output.append(contentsOf: buffer[..<count])
        guard output.count <= limit else { return (output, .tooTalkative) }
    }
}

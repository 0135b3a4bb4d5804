import Foundation

/// What a child writes, cut at line ends, in time that grows with what it writes and no faster; between its lines it is
/// heard about turns.
struct ChildLines {
    private let child: ChildProcess
    private let pipe: Int32
    private let seat: Turns.Seat?

    /// - Parameters:
    ///   - pipe: what it writes to.
    ///   - seat: its part in the child's turns.
    init(of child: ChildProcess, pipe: Int32, seat: Turns.Seat?) {
        self.child = child
        self.pipe = pipe
        self.seat = seat
    }

    /// - Returns: when the child should have ended, and why it is to be ended before.
    func read(
        checkStop: () throws -> Void, line: (Data) throws -> Void
    ) throws -> (deadline: ContinuousClock.Instant, early: ChildEnd?) {
        let last = ContinuousClock.now + .seconds(child.wallSeconds)
        func nextDeadline() -> ContinuousClock.Instant { min(last, .now + .seconds(child.silenceSeconds)) }
        var deadline = nextDeadline()
        // The beginning of a line whose end has not come yet: it has none in it.
        var rest = Data()
        var total = 0
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        var events = [pollfd(fd: pipe, events: Int16(POLLIN), revents: 0)]
        if let seat { events.append(pollfd(fd: seat.socket, events: Int16(POLLIN), revents: 0)) }
        while true {
            try checkStop()
            guard ContinuousClock.now < deadline else { return (deadline, .timedOut) }
            let ready = poll(&events, nfds_t(events.count), 100)
            child.turns?.look()
            guard ready > 0 else { continue }
            if let seat, events[1].revents != 0, let turns = child.turns, !turns.hear(seat) {
                turns.leave(seat)
                // poll(2) passes over what is negative.
                events[1].fd = -1
            }
            guard events[0].revents != 0 else { continue }
            let count = Glibc.read(pipe, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                if !rest.isEmpty { try line(rest) }
                return (deadline, nil)
            }
            total += count
            guard total <= child.outputLimit else { return (deadline, .tooTalkative) }
            var new = buffer[..<count]
            while let end = new.firstIndex(of: UInt8(ascii: "\n")) {
                guard rest.count + end - new.startIndex <= child.lineLimit else { return (deadline, .tooTalkative) }
                try line(rest + new[..<end])
                rest = Data()
                new = new[(end + 1)...]
                deadline = nextDeadline()
            }
            guard rest.count + new.count <= child.lineLimit else { return (deadline, .tooTalkative) }
            rest += new
        }
    }
}

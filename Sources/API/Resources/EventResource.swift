import Access
import Foundation
import HTTPDaemon
import Jobs
import Work

/// The feed of all changes, for programs that follow many jobs.
struct EventResource: Sendable {
    let store: any JobStore
    let watch: JobWatch

    var routes: [Route] { [Route(method: "GET", path: "/v1/events", action: .listJobs, handle: events)] }

    /// The most events of one answer.
    static let eventLimit = 1_000
    /// How long in seconds an event stream waits for something to tell before it ends and the client comes back.
    private static let streamWait = 30

    /// Events after a number, oldest first. With `wait`, or as a stream, the answer comes once there is one.
    ///
    /// As Server-Sent Events (`Accept: text/event-stream`) the answer ends after the events that are there: the client
    /// comes back at once with `Last-Event-ID`, as the standard has it, and so loses nothing and holds no thread.
    func events(_ call: Call) throws -> Handling {
        let query = try call.query("after", "limit", "wait")
        // Events do not say whose the job is.
        guard call.caller.reach(.listJobs) == .all else { throw AccessRefusal.forbidden(.listJobs) }
        let isStream = call.request.head.headers["Accept"]?.contains("text/event-stream") == true
        let last = try wholeNumber(
            call.request.head.headers["Last-Event-ID"], "Last-Event-ID", in: 0...largestNumber)
        let first = try wholeNumber(query["after"], "after", in: 0...largestNumber) ?? 0
        let after = isStream ? last ?? first : first
        let limit = try wholeNumber(query["limit"], "limit", in: 1...Self.eventLimit) ?? 100
        let wait = try wholeNumber(query["wait"], "wait", in: 0...longestWait) ?? (isStream ? Self.streamWait : 0)

        @Sendable func answer() throws -> Response? {
            let events = try store.events(after: after, limit: limit)
            return events.isEmpty ? nil : Self.response(events, after: after, isStream: isStream)
        }
        let nothing = Self.response([], after: after, isStream: isStream)
        if let response = try answer() { return .now(response) }
        guard wait > 0 else { return .now(nothing) }
        return .later { [self] reply in
            @Sendable func send() {
                do {
                    try call.check()
                    reply.send(try answer() ?? nothing)
                } catch {
                    reply.send(Problem.of(error, call.logger).response)
                }
            }
            watch.wait(
                for: nil, timeout: .seconds(wait), isAwaited: { reply.isAwaited },
                mayWait: { (try? call.check()) != nil }, answer: send)
            // What happened between the first look and the wait has told nobody.
            if (try? store.lastEvent()) ?? 0 > after { send() }
        }
    }

    private static func response(_ events: [JobEvent], after: Int, isStream: Bool) -> Response {
        let list = events.map(EventJSON.init)
        guard isStream else {
            return .json(200, EventListJSON(events: list, last: events.last?.sequence ?? after))
        }
        // The client waits this many milliseconds before it comes back.
        var text = "retry: 100\n\n"
        if list.isEmpty { text += ": nothing new\n\n" }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        for event in list {
            let data = (try? encoder.encode(event)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
            text += "id: \(event.sequence)\nevent: \(event.type.rawValue)\ndata: \(data)\n\n"
        }
        return .data(200, Data(text.utf8), type: "text/event-stream")
    }
}

/// openapi.yaml, schema `Event`.
struct EventJSON: Codable, Sendable {
    let sequence: Int
    let type: JobEvent.Kind
    let job: String
    let time: Date

    init(_ event: JobEvent) {
        sequence = event.sequence
        type = event.kind
        job = "\(event.job)"
        time = event.time
    }
}

/// openapi.yaml, schema `EventList`.
struct EventListJSON: Codable, Sendable {
    let events: [EventJSON]
    /// Pass as `after` to get what comes next.
    let last: Int
}

import Foundation
import HTTPClient
import Logging

/// Why the bridge leaves a series, or ends.
enum BridgeFault: Error {
    /// The bridge is to end.
    case stopped
    /// A server will not do it, now or later; or what it answers makes no sense.
    case refused(code: String)
}

/// A server that is asked again until it answers: it may be started again, be busy, or be away for hours.
struct RetryingClient {
    /// For the log.
    let name: String
    let connection: HTTPConnection
    let isStopped: () -> Bool
    let logger: Logger
    /// Seconds before it is asked the second time; each delay is twice the one before.
    var firstDelay = 1.0

    /// How often an answer of status 500 is asked for again: after that the fault lies in what was asked.
    private static let failuresAllowed = 5
    private static let longestDelay = 60.0

    /// The first answer of status 2xx.
    ///
    /// - Throws: ``BridgeFault/refused(code:)`` with a problem document's code, else the status.
    func ask(_ request: HTTPRequest) throws(BridgeFault) -> HTTPAnswer {
        var delay = firstDelay
        var failures = 0
        while true {
            guard !isStopped() else { throw .stopped }
            let answer = connection.send(request)
            guard !isStopped() else { throw .stopped }
            switch answer.fault == nil ? answer.status : 0 {
            case 200..<300: return answer
            // Nobody's fault but the operator's: no series is lost while the token is renewed.
            case 401, 403: delay = Self.longestDelay
            case 0, 408, 425, 429, 502, 503, 504, 507: break
            case 500...:
                failures += 1
                guard failures < Self.failuresAllowed else { throw .refused(code: answer.code) }
            default: throw .refused(code: answer.code)
            }
            let seconds = max(delay * .random(in: 0.75...1.25), Double(min(answer.retryAfterSeconds, 600)))
            logger.log(
                level: answer.status == 401 || answer.status == 403 ? .error : .warning, "no answer, asked again later",
                metadata: [
                    "server": "\(name)", "status": .stringConvertible(answer.status),
                    "fault": "\(answer.fault.map { "\($0)" } ?? "none")",
                    "seconds": .stringConvertible(Int(seconds.rounded(.up))),
                ])
            try pause(seconds)
            delay = min(2 * delay, Self.longestDelay)
        }
    }

    /// The JSON that a request is answered with.
    func json<Value: Decodable>(_ type: Value.Type, _ request: HTTPRequest) throws(BridgeFault) -> Value {
        try decode(type, ask(request))
    }

    /// The JSON that a request is answered with, or nil where there is nothing at the address.
    func find<Value: Decodable>(_ type: Value.Type, _ request: HTTPRequest) throws(BridgeFault) -> Value? {
        guard let answer = try find(request) else { return nil }
        return try decode(type, answer)
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ answer: HTTPAnswer) throws(BridgeFault) -> Value {
        do {
            return try JSONDecoder().decode(type, from: answer.body)
        } catch {
            throw .refused(code: "unreadable_answer")
        }
    }

    /// The answer, or nil where there is nothing at the address.
    func find(_ request: HTTPRequest) throws(BridgeFault) -> HTTPAnswer? {
        do throws(BridgeFault) {
            return try ask(request)
        } catch .refused("404") {
            return nil
        } catch {
            throw error
        }
    }

    /// Waits, but not after the bridge was told to end.
    func pause(_ seconds: Double) throws(BridgeFault) {
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            guard !isStopped() else { throw .stopped }
            usleep(100_000)
        }
    }
}

extension HTTPAnswer {
    /// The code of a problem document, else the status.
    fileprivate var code: String {
        struct Problem: Decodable { let code: String }
        let code = (try? JSONDecoder().decode(Problem.self, from: body))?.code ?? ""
        // It is logged and kept in the archive.
        let isName = (1...60).contains(code.utf8.count) && code.allSatisfy { $0.isASCII && ($0.isLetter || $0 == "_") }
        return isName ? code : "\(status)"
    }
}

import Dispatch
import Foundation
import Synchronization

/// Notes SIGTERM and Ctrl-C, so that long work can save itself and stop.
final class StopSignal {
    private final class Flag: Sendable {
        let isSet = Atomic<Bool>(false)
    }

    private let flag = Flag()
    private let sources: [any DispatchSourceSignal]

    /// From now on the two signals no longer end the process.
    init() {
        sources = [SIGTERM, SIGINT].map { [flag] number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { flag.isSet.store(true, ordering: .relaxed) }
            source.resume()
            return source
        }
    }

    /// Whether one of them came.
    var hasArrived: Bool { flag.isSet.load(ordering: .relaxed) }
}

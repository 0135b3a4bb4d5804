import ArgumentParser
import Compute
import Foundation

/// How many threads a command computes with.
struct ThreadOption: ParsableArguments {
    @Option(help: "Compute threads; never more than the cores that this process may use.")
    var threads = AvailableCores.count

    func validate() throws {
        guard (1...256).contains(threads) else { throw ValidationError("--threads must be from 1 to 256.") }
    }

    /// The threads that there are then.
    var count: Int { min(threads, AvailableCores.count) }

    /// ``count``; what was asked for above the cores is told on standard error.
    func capped() -> Int {
        AvailableCores.cap(threads, named: "--threads") { warning in
            FileHandle.standardError.write(Data("hepar: \(warning)\n".utf8))
        }
    }
}

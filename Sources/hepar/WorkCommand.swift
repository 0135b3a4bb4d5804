import ArgumentParser
import Cases
import Foundation

/// `hepar work`: what the service has done apart from its own process. Not for people.
struct Work: ParsableCommand {
    static let configuration = CommandConfiguration(shouldDisplay: false)

    @Argument var name: String

    func run() throws {
        let input = try FileHandle.standardInput.readToEnd() ?? Data()
        let status = performConfinedWork(name, input: input) { line in
            line.withUnsafeBytes { bytes in
                var rest = bytes[...]
                while !rest.isEmpty {
                    let count = write(1, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                    if count < 0, errno != EINTR { return }
                    rest = rest.dropFirst(max(0, count))
                }
            }
        }
        guard status == 0 else { throw ExitCode(status) }
    }
}

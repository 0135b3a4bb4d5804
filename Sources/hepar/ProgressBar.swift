import Foundation
import Segmentation
import Synchronization

/// Shows progress on standard error: a bar on a terminal, otherwise a plain line at each tenth. One bar for all scans.
final class ProgressBar: Sendable {
    private let scans: Int
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private let lastShown = Mutex("")

    private static let names: [SliceProgress.Stage: String] = [
        .liver: "1/2 finding the liver", .lesions: "2/2 liver and lesions", .rules: "2/2 rules",
    ]

    init(scans: Int = 1) { self.scans = scans }

    /// - Parameter scan: which one, from 0.
    func show(_ progress: SliceProgress, scan: Int = 0) {
        let which = scans > 1 ? "scan \(scan + 1) of \(scans), " : ""
        let name = which + (Self.names[progress.stage] ?? progress.stage.rawValue)
        let percent = progress.total == 0 ? 100 : progress.done * 100 / progress.total
        if isTerminal {
            let filled = Int((Double(scan) + progress.fraction) / Double(scans) * 30)
            let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 30 - filled)
            write("\r[\(bar)] \(name): slice \(progress.done) of \(progress.total)\u{1B}[K")
        } else {
            let line = "\(name): \(percent / 10 * 10) %"
            let isNew = lastShown.withLock { last in
                defer { last = line }
                return last != line
            }
            if isNew { write("\(line)\n") }
        }
    }

    /// Ends the bar's line.
    func finish() {
        if isTerminal { write("\r\u{1B}[K") }
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

import Foundation
import Training

/// Tells on standard error how a training goes: a line that is rewritten on a terminal, otherwise a line every half
/// minute; a line of its own for each validation.
final class TrainingLog {
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var lastShown: ContinuousClock.Instant?

    /// A line that stays.
    func say(_ line: String) { write(isTerminal ? "\r\(line)\u{1B}[K\n" : "\(line)\n") }

    /// The line of one step, unless the last was shown a moment ago.
    func show(_ progress: TrainingProgress) {
        if progress.isNewValidation, let scores = progress.validation {
            let cases = scores.cases.map { "\($0.name) \(Self.text([("liver", $0.liver), ("lesion", $0.lesion)]))" }
            say("step \(progress.step): validation \(cases.joined(separator: ", "))")
        }
        let now = ContinuousClock.now
        let pause = isTerminal ? Duration.milliseconds(500) : .seconds(30)
        let isDue = lastShown.map { now - $0 >= pause } ?? true
        guard isDue || progress.step == progress.steps else { return }
        lastShown = now
        write(isTerminal ? "\r\(Self.line(progress))\u{1B}[K" : "\(Self.line(progress))\n")
    }

    /// Ends the line that is rewritten.
    func finish() { if isTerminal { write("\n") } }

    /// Where the training is, in a line.
    static func line(_ progress: TrainingProgress) -> String {
        var parts = [
            "step \(progress.step)/\(progress.steps)", "epoch \(progress.epoch + 1)",
            String(format: "rate %.2g", progress.rate), String(format: "loss %.4f", progress.loss),
            "Dice \(text(progress.dice.map { ($0.name, $0.value) }))",
        ]
        if let scores = progress.validation {
            parts.append("validation \(text([("liver", scores.liver), ("lesion", scores.lesion)]))")
        }
        parts.append(String(format: "%.1f samples/s", progress.samplesPerSecond))
        parts.append("\(duration(progress.secondsLeft)) left")
        return parts.joined(separator: "  ")
    }

    private static func text(_ dice: [(String, Double?)]) -> String {
        dice.compactMap { name, value in value.map { "\(name) \(String(format: "%.3f", $0))" } }
            .joined(separator: " ")
    }

    private static func duration(_ seconds: Double) -> String {
        let minutes = Int((seconds / 60).rounded(.up))
        return minutes < 60 ? "\(minutes) min" : "\(minutes / 60) h \(minutes % 60) min"
    }

    private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}

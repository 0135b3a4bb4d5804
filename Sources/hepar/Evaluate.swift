import ArgumentParser
import Compute
import Foundation
import Imaging
import Metrics
import Service

/// `hepar evaluate`: scores of a mask against a reference.
struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Score a mask against a reference, as LiTS does.",
        discussion: "Both are label maps on the same grid: 0 background, 1 liver, 2 lesion.")

    @Argument(help: "The mask to judge.")
    var prediction: String

    @Argument(help: "The reference.")
    var reference: String

    @Flag(help: "Print JSON.")
    var json = false

    @Option(help: "Compute threads.")
    var threads = ProcessInfo.processInfo.activeProcessorCount

    func run() throws {
        let team = ThreadTeam(threads: max(1, threads))
        let limits = VolumeLimits()
        let prediction = try readLabels(at: URL(filePath: prediction), limits: limits, team: team)
        let reference = try readReference(
            URL(filePath: reference), of: prediction.header, limits: limits, team: team)
        let scores = score(prediction: prediction.volume, reference: reference, team: team)
        if json {
            print(String(decoding: try JSONEncoder.hepar.encode(scores), as: UTF8.self))
        } else {
            print(ReportText.table(of: scores))
        }
    }
}

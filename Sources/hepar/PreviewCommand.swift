import ArgumentParser
import Compute
import Foundation
import Imaging
import Preview

/// `hepar preview`: a picture of a mask over its CT.
struct PreviewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "preview", abstract: "Draw a few slices of a CT with a mask's outline, as PNG.",
        discussion: "Liver green, lesions orange and numbered, the largest first; a reference, if given, dashed blue.")

    @Argument(help: "The CT.")
    var ct: String

    @Argument(help: "A label map on its grid.")
    var mask: String

    @Option(name: .shortAndLong, help: "Where the PNG is written.")
    var output: String

    @Option(help: "A reference label map to outline as well.")
    var reference: String?

    @Option(help: "How many slices.")
    var slices = 6

    func run() throws {
        guard (1...64).contains(slices) else { throw UserError("--slices is \(slices). Give 1 to 64.") }
        try refuseOverwriting(
            [NamedFile("the CT", ct), NamedFile("the mask", mask)]
                + (reference.map { [NamedFile("the reference", $0)] } ?? []),
            by: [NamedFile("--output", output)])
        let team = ThreadTeam(threads: AvailableCores.count)
        let scan = try readCT(at: URL(filePath: ct), limits: VolumeLimits(), team: team)
        func labels(_ path: String) throws -> Volume<UInt8> {
            let map = try readLabels(at: URL(filePath: path), limits: VolumeLimits(), team: team)
            if let difference = map.header.gridDifference(from: scan.header) {
                throw VolumeError.gridMismatch(difference: difference)
            }
            return map.volume
        }
        let picture = contactSheet(
            of: scan.volume, labels: try labels(mask), reference: try reference.map(labels), slices: slices,
            team: team)
        try picture.writePNG(to: URL(filePath: output))
    }
}

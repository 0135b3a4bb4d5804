import ArgumentParser
import Compute
import Foundation
import Imaging
import Inference
import Metrics
import Phantom

/// `hepar bench metrics`: the time of all scores of one case.
struct BenchMetrics: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics", abstract: "Time the scores of a mask against a reference.",
        discussion: """
            Every score, of liver and lesion; reading the files is not counted. Without files: a phantom's reference of \
            512 x 512 x 129 voxels, and the same moved by a few voxels.
            """)

    @Argument(help: "The mask to judge.")
    var prediction: String?

    @Argument(help: "The reference.")
    var reference: String?

    @OptionGroup var options: BenchOptions

    func run() throws {
        let team = ThreadTeam(threads: options.threads.capped())
        let masks: (prediction: Volume<UInt8>, reference: Volume<UInt8>)
        if let prediction {
            guard let reference else { throw UserError("Give a reference as well, or no file at all.") }
            let found = try readLabels(at: URL(filePath: prediction), team: team)
            let wanted = try readLabels(at: URL(filePath: reference), team: team)
            if let difference = wanted.header.gridDifference(from: found.header) {
                throw VolumeError.gridMismatch(difference: difference)
            }
            masks = (found.volume, wanted.volume)
        } else {
            let reference = BenchScan.phantom(team: team).reference
            masks = (reference.moved(x: 2, y: -1, z: 1), reference)
        }
        let shape = masks.reference.shape
        options.benchmark(runs: 7, instructions: .best(width: 16))
            .measure("metrics liver and lesion \(shape.x)x\(shape.y)x\(shape.z)") {
                _ = score(prediction: masks.prediction, reference: masks.reference, team: team)
            }
    }
}

/// The scan that benchmarks use where none is given: as large as a usual abdominal CT.
enum BenchScan {
    static func phantom(team: ThreadTeam) -> Phantom {
        makePhantom(
            PhantomOptions(seed: 1, shape: Shape(512, 512, 129), spacing: SIMD3(0.57, 0.57, 1.6), lesions: 4),
            team: team)
    }
}

extension Volume<UInt8> {
    /// The same labels, so many voxels further along each axis; background comes in.
    func moved(x dx: Int, y dy: Int, z dz: Int) -> Volume<UInt8> {
        var result = Volume(shape: shape, spacing: spacing, filledWith: Label.background)
        for z in max(0, dz)..<min(shape.z, shape.z + dz) {
            for y in max(0, dy)..<min(shape.y, shape.y + dy) {
                for x in max(0, dx)..<min(shape.x, shape.x + dx) {
                    result.voxels[shape.index(x, y, z)] = voxels[shape.index(x - dx, y - dy, z - dz)]
                }
            }
        }
        return result
    }
}

import Foundation
import Inference
import Sandbox
import Segmentation

/// A job's case, in a child: from its files to its mask and its unsigned report.
struct SegmentWork: ConfinedWork {
    static let name = "segment"

    let job: Case
    let models: URL
    /// SHA-256 of the model's two files when the service started: its results are told to be of these.
    let liverSha256, lesionSha256: String?
    let algorithm: Algorithm
    let cores: Cores
    /// What the case takes at its peak, by ``Segmenter/cost(shape:spacing:options:hasReference:)``.
    let memoryBytes: Int

    var confinement: Confinement {
        var limits = ChildLimits()
        // Address space is more than memory: each thread has a stack and an arena, and libraries are mapped whole.
        limits.memoryMiB = (memoryBytes >> 20) * 3 / 2 + 1024 + 160 * cores.threads
        // A large scan on a slow machine takes hours; what stands still is ended by its silence.
        limits.cpuSeconds = 7 * 86_400
        limits.silenceSeconds = 1800
        limits.fileMiB = 16_384
        let inputs = [job.image, job.reference, models, cores.lock].compactMap { $0?.path }
        return Confinement(
            limits: limits, readable: inputs, writable: [job.mask.deletingLastPathComponent().path])
    }

    func perform(progress: (SliceProgress) -> Void) throws -> Report {
        let team = cores.team()
        let segmenter = try Segmenter(models: models, algorithm: algorithm, team: team)
        guard segmenter.liverModel.sha256 == liverSha256, segmenter.lesionModel.sha256 == lesionSha256 else {
            throw WorkFailure.modelChanged
        }
        return try Service.run(job, with: segmenter, team: team) { progress($0) }
    }
}

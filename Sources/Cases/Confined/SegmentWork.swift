import Foundation
import Inference
import Sandbox
import Segmentation

/// A job's case, in a child: from its files to its mask and its unsigned report.
package struct SegmentWork: ConfinedWork {
    package static let name = "segment"

    package let job: Case
    package let models: URL
    /// The model when the service started: results are told to be its.
    package let model: Report.Model
    package let algorithm: Algorithm
    package let cores: Cores
    /// What the case takes at its peak, by ``Segmenter/cost(shape:spacing:options:hasReference:)``.
    package let memoryBytes: Int

    package init(job: Case, models: URL, model: Report.Model, algorithm: Algorithm, cores: Cores, memoryBytes: Int) {
        self.job = job
        self.models = models
        self.model = model
        self.algorithm = algorithm
        self.cores = cores
        self.memoryBytes = memoryBytes
    }

    package var confinement: Confinement {
        var limits = ChildLimits()
        // Address space is more than memory: each thread has a stack and an arena, and libraries are mapped whole.
        limits.memoryMiB = (memoryBytes >> 20) * 3 / 2 + 1024 + 160 * cores.threads
        // A large scan on a slow machine takes hours; what stands still is ended by its silence.
        limits.cpuSeconds = 7 * 86_400
        limits.silenceSeconds = 1800
        limits.wallSeconds = 2 * 86_400
        limits.fileMiB = 16_384
        let inputs = [job.image, job.reference, models].compactMap { $0?.path }
        return Confinement(
            limits: limits, readable: inputs, writable: [job.mask.deletingLastPathComponent().path])
    }

    package static let tellsProgress = true
    /// A line for each slice, and a report with thousands of lesions.
    package static let answerLimits = (text: 4096, bytes: 32 << 20)

    package func couldGive(_ output: Report) -> Bool {
        guard let provenance = output.provenance, provenance.publicKey == nil, provenance.signature == nil else {
            return false
        }
        let statement = provenance.statement
        return output.isPossible(under: job.limits) && output.heparVersion == Hepar.version && output.model == model
            && output.options == job.options && output.findings.starts(with: job.findings)
            && (output.scores == nil) == (job.reference == nil)
            && statement.heparVersion == Hepar.version && statement.options == job.options
            && statement.liverModelSha256 == model.liver.sha256 ?? ""
            && statement.lesionModelSha256 == model.lesion.sha256 ?? ""
            && isDigest(statement.inputSha256) && isDigest(statement.maskSha256)
    }

    package func perform(progress: (SliceProgress) -> Void) throws -> Report {
        let team = cores.team()
        let segmenter = try Segmenter(models: models, algorithm: algorithm, team: team)
        guard Report.Model(segmenter) == model else { throw WorkFailure.modelChanged }
        return try Cases.run(job, with: segmenter, team: team) { progress($0) }
    }
}

import Cases
import Digests
import Foundation
import Imaging
import Jobs
import Sandbox
import Segmentation
import Telemetry

/// What a worker does with a job: the case's files are in the job's folder, and so its mask and report will be. A child
/// process does the work; here it is watched, signed and kept.
package struct JobRunner: Sendable {
    package let workshop: Workshop
    package let cores: Cores
    package let incidents: IncidentLog
    package let segmenter: Segmenter
    /// The folder of the model's files.
    package let models: URL
    /// What a scan may have.
    package let limits: VolumeLimits
    /// How often a job is tried before it fails.
    package let attempts: Int
    /// Free space below which uploads are refused, in MiB.
    package let freeSpaceMiB: Int
    package let key: SigningKey
    package let slices: Telemetry.Counter

    package init(
        workshop: Workshop, cores: Cores, incidents: IncidentLog, segmenter: Segmenter, models: URL,
        limits: VolumeLimits, attempts: Int, freeSpaceMiB: Int, key: SigningKey, slices: Telemetry.Counter
    ) {
        self.workshop = workshop
        self.cores = cores
        self.incidents = incidents
        self.segmenter = segmenter
        self.models = models
        self.limits = limits
        self.attempts = attempts
        self.freeSpaceMiB = freeSpaceMiB
        self.key = key
        self.slices = slices
    }

    /// - Returns: the summary to keep with the job.
    /// - Throws: as `WorkerPool` wants it.
    package func work(on job: Job, in folder: URL, context: JobContext) throws -> Data {
        guard let image = JobFiles.uploaded("image", in: folder) else {
            throw JobFailure(
                code: "upload_lost", message: "The upload is no longer on the server's disk. Send it again.")
        }
        let request = try JobRequest(of: job)
        let files = Case(
            image: image, reference: JobFiles.uploaded("reference", in: folder),
            mask: folder.appending(path: JobFiles.mask), probabilities: folder.appending(path: JobFiles.probabilities),
            journal: folder.appending(path: JobFiles.journal), options: request.options, findings: request.findings,
            limits: limits)
        let work = SegmentWork(
            job: files, models: models, model: Report.Model(segmenter),
            algorithm: segmenter.algorithm, cores: cores,
            memoryBytes: request.memoryBytes ?? Int(ProcessInfo.processInfo.physicalMemory))
        context.report(stage: "read", progress: 0)
        do {
            let inputSha256 = try ContentHash.ofFile(at: image)
            let report = try workshop.run(work, checkStop: { try context.checkCancelled() }) { progress in
                if progress.stage != .rules, progress.done < progress.total { slices.add(1, progress.stage.rawValue) }
                context.report(stage: progress.stage.rawValue, progress: progress.fraction)
            }
            // What is signed is what lies there: the child's word for it would be enough to sign another scan's mask.
            guard let said = report.provenance?.statement, said.inputSha256 == inputSha256,
                try said.maskSha256 == ContentHash.ofFile(at: files.mask)
            else { throw WorkerLost(end: .lied, silenceSeconds: 0) }
            let signed = try report.signed(with: key)
            try signed.write(to: folder.appending(path: JobFiles.report))
            let verification = request.verifies.map { Verification($0, now: said) }
            return try JSONEncoder.hepar.encode(JobResult(signed, verification: verification))
        } catch let error as VolumeError {
            if error.isUsersFault { throw JobFailure(code: error.code, message: "\(error)") }
            // Space may come back; anything else that fails again and again must end.
            if case .diskFull = error, isNearlyFull(folder) {
                throw RetryableFailure(code: error.code, message: "\(error)")
            }
            throw error
        } catch let error as CocoaError where error.code == .fileWriteOutOfSpace {
            throw RetryableFailure(code: VolumeError.diskFull.code, message: "\(VolumeError.diskFull)")
        } catch WorkFailure.modelChanged where modelIsAnother() {
            throw RetryableFailure(
                code: "model_changed",
                message: "The model's files were changed while the server runs. The job starts when it was restarted.")
        } catch let lost as WorkerLost {
            throw failure(of: job, lost, [image, files.reference].compactMap { $0 })
        }
    }

    /// Whether a child may well have met a full disk, which it only has to say for its attempt not to count.
    private func isNearlyFull(_ folder: URL) -> Bool {
        var facts = statvfs()
        guard statvfs(folder.path, &facts) == 0 else { return true }
        let free = Int(clamping: facts.f_bavail) / 1024 * Int(clamping: facts.f_frsize) / 1024
        return free < freeSpaceMiB + 1024
    }

    /// Whether the model's files are others than when the service started, which a child may only say.
    private func modelIsAnother() -> Bool {
        let known = [("liver", segmenter.liverModel), ("lesion", segmenter.lesionModel)]
        return known.contains { stage, facts in
            let file = models.appending(path: "\(stage).safetensors")
            return (try? ContentHash.ofFile(at: file)) != facts.sha256
        }
    }

    /// The failure of a run that ended its child. A job that did so as often as it was started is poison.
    private func failure(of job: Job, _ lost: WorkerLost, _ files: [URL]) -> any Error {
        // A full process table says nothing of the job.
        guard lost.end != .notStarted else {
            return RetryableFailure(
                code: "no_process", message: "The server could not start a process. The job starts again by itself.")
        }
        guard job.attempts >= attempts else {
            return AttemptFailure(
                code: "worker_lost",
                message: "The process that worked on the scan \(lost.how). The job starts again by itself.")
        }
        incidents.add(
            files, work: SegmentWork.name, end: lost.word, request: job.request.map { "\($0)" }, job: "\(job.id)",
            caller: job.owner)
        return AttemptFailure(
            code: "poison",
            message: """
                The job was started \(job.attempts) times; the last time the process that worked on the scan \(lost.how). \
                It is not tried again. The server may have too little memory for the scan, or the scan is damaged: tell \
                the operator of this server, whose quarantine folder names it.
                """)
    }
}

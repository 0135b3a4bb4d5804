import Foundation
import Imaging
import Jobs
import Segmentation
import Telemetry

/// What a worker does with a job: the case's files are in the job's folder, and so its mask and report will be. A child
/// process does the work; here it is watched, signed and kept.
struct JobBench: Sendable {
    let workshop: Workshop
    let cores: Cores
    let quarantine: Quarantine
    let config: ServiceConfig
    let segmenter: Segmenter
    let key: SigningKey
    let slices: Telemetry.Counter

    /// - Returns: the summary to keep with the job.
    /// - Throws: as `WorkerPool` wants it.
    func work(on job: Job, in folder: URL, context: JobContext) throws -> Data {
        guard let image = JobFiles.uploaded("image", in: folder) else {
            throw JobFailure(
                code: "upload_lost", message: "The upload is no longer on the server's disk. Send it again.")
        }
        let request = try JobRequest(of: job)
        let files = Case(
            image: image, reference: JobFiles.uploaded("reference", in: folder),
            mask: folder.appending(path: JobFiles.mask), probabilities: folder.appending(path: JobFiles.probabilities),
            journal: folder.appending(path: JobFiles.journal), options: request.options, findings: request.findings,
            limits: config.volumeLimits)
        let work = SegmentWork(
            job: files, models: URL(filePath: config.modelFolder), liverSha256: segmenter.liverModel.sha256,
            lesionSha256: segmenter.lesionModel.sha256, algorithm: segmenter.algorithm, cores: cores,
            memoryBytes: request.memoryBytes ?? Int(ProcessInfo.processInfo.physicalMemory))
        context.report(stage: "read", progress: 0)
        do {
            let report = try workshop.run(work, checkStop: { try context.checkCancelled() }) { progress in
                if progress.stage != .rules, progress.done < progress.total { slices.add(1, progress.stage.rawValue) }
                context.report(stage: progress.stage.rawValue, progress: progress.fraction)
            }.signed(with: key)
            try report.write(to: folder.appending(path: JobFiles.report))
            let verification = request.verifies.flatMap { earlier in
                report.provenance.map { Verification(earlier, now: $0.statement) }
            }
            return try JSONEncoder.hepar.encode(JobResult(report, verification: verification))
        } catch let error as VolumeError {
            if error.isUsersFault { throw JobFailure(code: error.code, message: "\(error)") }
            // Space may come back; anything else that fails again and again must end.
            if case .diskFull = error { throw RetryableFailure(code: error.code, message: "\(error)") }
            throw error
        } catch let error as CocoaError where error.code == .fileWriteOutOfSpace {
            throw RetryableFailure(code: VolumeError.diskFull.code, message: "\(VolumeError.diskFull)")
        } catch WorkFailure.modelChanged {
            throw RetryableFailure(
                code: "model_changed",
                message: "The model's files were changed while the server runs. The job starts when it was restarted.")
        } catch let lost as WorkerLost {
            throw failure(of: job, lost, [image, files.reference].compactMap { $0 })
        }
    }

    /// The failure of a run that ended its child. A job that did so as often as it was started is poison.
    private func failure(of job: Job, _ lost: WorkerLost, _ files: [URL]) -> any Error {
        // A full process table says nothing of the job.
        guard lost.end != .notStarted else {
            return RetryableFailure(
                code: "no_process", message: "The server could not start a process. The job starts again by itself.")
        }
        guard job.attempts >= config.attempts else {
            return AttemptFailure(
                code: "worker_lost",
                message: "The process that worked on the scan \(lost.how). The job starts again by itself.")
        }
        quarantine.add(
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

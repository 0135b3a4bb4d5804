import Access
import Cases
import Dicom
import Imaging
import Jobs
import Logging

extension Problem {
    /// What a client is told of an error.
    static func of(_ error: any Error, _ logger: Logger) -> Problem {
        switch error {
        case let problem as Problem:
            return problem
        case let refusal as AccessRefusal:
            return refusal.problem
        case DicomError.importFailed(reason: .notStarted):
            return noProcess(logger)
        case let error as DicomError:
            if !error.isUsersFault { logger.error("DICOM import failed", metadata: ["code": "\(error.code)"]) }
            return error.problem
        case let error as VolumeError where error.isUsersFault:
            return Problem(422, error.code, "\(error)")
        case let error as VolumeError:
            return Problem(507, "storage_failed", "\(error)")
        case WorkFailure.volume(let error, let field?):
            return Problem(422, error.code, "\(field): \(error)")
        case let lost as WorkerLost where lost.end == .notStarted:
            return noProcess(logger)
        case let lost as WorkerLost:
            return lost.problem
        case JobStoreError.removed:
            return Problem(410, "deleted", "The job was deleted, with its files.")
        case JobStoreError.queueFull(let limit):
            return .queueFull(limit, retryAfterSeconds: 60)
        case JobStoreError.ownerQueueFull, JobStoreError.ownerBytesFull:
            return Problem(429, "quota_used", "\(error)", headers: [("Retry-After", "60")])
        case JobStoreError.ownerStorageFull:
            return Problem(507, "stored_quota_used", "\(error)", headers: [("Retry-After", "600")])
        case JobStoreError.keyReused:
            return Problem(409, "key_reused", "\(error)")
        case JobStoreError.notRetryable:
            return Problem(409, "not_retryable", "\(error)")
        case JobStoreError.notFinished(let state):
            return Problem(409, "not_finished", "The job is \(state.rawValue) again. DELETE it once more.")
        case JobStoreError.diskFull, SpoolError.diskFull:
            return .storageFull
        case let damage as JobStoreError where damage.isDamage:
            logger.error("the job database is damaged", metadata: ["error": "\(damage)"])
            return Problem(
                500, "database_damaged",
                "The server's job database is damaged. Sending it again will not help: tell the operator of this server."
            )
        default:
            logger.error("request failed", metadata: ["error": "\(type(of: error))"])
            return Problem(500, "internal", "The service could not answer. Its log has the details.")
        }
    }

    private static func noProcess(_ logger: Logger) -> Problem {
        logger.error("a child process could not be started")
        return Problem(
            503, "no_process", "The server cannot start another process just now. Send it again.",
            headers: [("Retry-After", "10")])
    }

    static func queueFull(_ limit: Int, retryAfterSeconds: Int) -> Problem {
        let text = "The queue is full: \(limit) jobs wait. Try again in \(retryAfterSeconds) seconds."
        return Problem(503, "queue_full", text, headers: [("Retry-After", "\(retryAfterSeconds)")])
    }
}

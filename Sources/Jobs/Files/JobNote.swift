public import Foundation
import Glibc

/// What lies of a job beside its files: enough to queue it again when the store has lost it.
///
/// JSON with the fields of ``NewJob``; times are milliseconds since 1970, `options` is base64.
public enum JobNote {
    /// The note's name once the store has the job.
    public static let name = "job.json"
    /// Its name before.
    static let unanswered = ".job.json"

    /// The note in a job's folder, or nil if there is none that can be read or it is another job's.
    ///
    /// - Parameter folder: named as the job.
    public static func read(in folder: URL) -> NewJob? {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .millisecondsSince1970
        guard let data = try? Data(contentsOf: folder.appending(path: name)),
            let new = try? decoder.decode(NewJob.self, from: data), new.id.description == folder.lastPathComponent
        else { return nil }
        return new
    }

    static func write(_ new: NewJob, as name: String, in folder: URL) throws(SpoolError) {
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .millisecondsSince1970
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let data: Data
        do { data = try encoder.encode(new) } catch { throw .system(operation: "write the job's note", code: EINVAL) }
        let file = folder.appending(path: name)
        let descriptor = open(file.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SpoolError("write the job's note", code: errno) }
        defer { close(descriptor) }
        let written = data.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard written == data.count else {
            let code = written < 0 ? errno : ENOSPC
            unlink(file.path)
            throw SpoolError("write the job's note", code: code)
        }
    }
}

extension NewJob {
    /// A job as it was when it was accepted; its retry key is not known any more.
    init(_ job: Job) {
        self.init(
            id: job.id, options: job.options, hasReference: job.hasReference, uploadBytes: job.uploadBytes,
            createdAt: job.createdAt, priority: job.priority, cost: job.cost, owner: job.owner, webhook: job.webhook,
            contentKey: job.contentKey, request: job.request)
    }
}

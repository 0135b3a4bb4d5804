import Access
import Cases
import Foundation
import Imaging
import Jobs
import Segmentation
import Work

/// Takes jobs in: both the files and the row are on the disk when it returns, or neither is kept.
struct Admission: Sendable {
    let store: any JobStore
    let spool: Spool
    let storage: Storage
    /// Jobs that may wait in all, and that are worked on at once.
    let queueLimit: Int, workers: Int

    /// What may wait in the queue, of all and of this caller, and what of this caller may be kept.
    func limits(for caller: Caller) -> QueueLimits {
        QueueLimits(
            jobs: queueLimit, ownerJobs: caller.quota.queuedJobs, ownerBytes: caller.quota.queuedBytes,
            ownerStored: storage.storedLimit(of: caller))
    }

    /// Keeps the files and queues the job; if an earlier request with the same key has, its job is returned and the
    /// files are dropped.
    func enqueue(_ new: NewJob, files: [(from: URL, name: String)], by caller: Caller) throws -> Job {
        try keep(new, files: files) { new in
            try sayingWhen { try store.enqueue(new, limits: limits(for: caller)) }
        }!
    }

    /// The job with the result of an earlier one of the same scan; nil if there is none. It takes no room on the disk but
    /// for its report: all else are links to the earlier job's files, the scan as well. That is the file that the report's
    /// hash tells; what was sent has the same voxels and geometry.
    func finished(_ new: NewJob, _ upload: Upload, by caller: Caller) throws -> Job? {
        guard let key = new.contentKey, let earlier = try store.succeeded(contentKey: key) else { return nil }
        let folder = spool.folder(of: earlier.id)
        var links: [(from: URL, name: String)] = []
        defer { for link in links { try? FileManager.default.removeItem(at: link.from) } }
        func link(_ file: URL, as name: String) throws {
            let link = spool.incoming.appending(path: "\(new.id)-\(name)")
            try FileManager.default.linkItem(at: file, to: link)
            links.append((from: link, name: name))
        }
        do {
            // Links, for the bytes are the same; none of these files is ever written in place.
            try link(folder.appending(path: JobFiles.mask), as: JobFiles.mask)
            if upload.options.probabilities {
                try link(folder.appending(path: JobFiles.probabilities), as: JobFiles.probabilities)
            }
            var report = try Report(at: folder.appending(path: JobFiles.report))
            // Scores against a reference that came later are the earlier job's own.
            report.scores = nil
            let copy = spool.incoming.appending(path: "\(new.id)-\(JobFiles.report)")
            links.append((from: copy, name: JobFiles.report))
            try report.write(to: copy)
            guard let image = JobFiles.uploaded("image", in: folder) else { return nil }
            try link(image, as: image.lastPathComponent)
        } catch {
            // The earlier job was deleted meanwhile.
            return nil
        }
        return try keep(new, files: links) { new in
            try sayingWhen {
                try store.enqueueFinished(new, copying: earlier.id, limits: limits(for: caller))
            }
        }
    }

    /// Puts the files into the new job's folder, and removes them again unless `enter` makes the job.
    private func keep(
        _ new: NewJob, files: [(from: URL, name: String)], _ enter: (NewJob) throws -> Job?
    ) throws -> Job? {
        try spool.adopt(files: files, of: new)
        var new = new
        new.storedBytes = spool.storedBytes(of: new.id)
        let job: Job?
        do {
            job = try enter(new)
        } catch {
            // A commit that failed may have come through all the same: the files go only if there is no job. Else the next
            // start sees to them.
            let hasCome = (try? store.job(new.id) != nil) ?? true
            if !hasCome { try? spool.remove(new.id) }
            throw error
        }
        if job?.id == new.id { try spool.accepted(new.id) } else { try spool.remove(new.id) }
        return job
    }

    /// Queues a failed or cancelled job again; nil if there is none of this name.
    func retry(_ id: JobID, by caller: Caller) throws -> Job? {
        try sayingWhen { try store.retry(id, limits: limits(for: caller), at: Date()) }
    }

    /// Runs `body`; a full queue is told with the time after which there is room.
    private func sayingWhen<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch JobStoreError.queueFull(let limit) {
            throw Problem.queueFull(limit, retryAfterSeconds: secondsUntilRoom())
        }
    }

    /// When a waiting job will probably be started, and so leave its place: when the first of the running ones ends. A
    /// minute where that is not known, as in a paused queue; at least 5 s and at most 10 minutes.
    private func secondsUntilRoom() -> Int {
        guard let report = try? store.report(), !report.isPaused,
            let running = try? store.jobs(JobFilter(state: .running, limit: workers))
        else { return 60 }
        let left = running.compactMap { try? store.estimate(for: $0.id, workers: workers) }.min()
        guard let left else { return 60 }
        return Int(min(600, max(5, (left / .seconds(1)).rounded(.up))))
    }
}

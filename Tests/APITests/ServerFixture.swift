import Access
import Compute
import Foundation
import Imaging
import Jobs
import Logging
import Phantom
import TestSupport
import Testing

@testable import Cases
@testable import Work

/// Tokens: one of each role under the role's name, and some of clients.
enum Tokens {
    /// In force as long as the tests run.
    static let watch = made.watch

    /// The text of a token.
    static func text(_ name: String) -> String { made.texts[name]! }

    private static let made: (watch: TokenWatch, texts: [String: String]) = try! withTemporaryFolder { folder in
        let file = TokenFile(folder.appending(path: "tokens.yaml"))
        var texts: [String: String] = [:]
        for role in Role.allCases { texts[role.rawValue] = try file.add(name: role.rawValue, roles: [role]).text }
        texts["urgent"] = try file.add(name: "urgent", roles: [.submit, .stat]).text
        texts["waiting"] = try file.add(name: "waiting", roles: [.submit], quota: Quota(queuedJobs: 1)).text
        texts["storing"] = try file.add(name: "storing", roles: [.submit], quota: Quota(storedBytes: 1)).text
        texts["sending"] = try file.add(name: "sending", roles: [.submit], quota: Quota(inFlightBytes: 1)).text
        return (try TokenWatch(file, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }), texts)
    }
}

/// A phantom of 2 mm, made once.
enum SmallScan {
    /// .nii.gz files.
    static let ct = files.ct, reference = files.reference
    /// The same CT as DICOM, one file a slice.
    static let slices = files.slices

    private static let files: (ct: Data, reference: Data, slices: [Data]) = try! withTemporaryFolder { folder in
        let team = ThreadTeam(threads: 1)
        var options = PhantomOptions(seed: 5)
        (options.shape, options.spacing, options.lesions) = (Shape(112, 96, 24), SIMD3(2, 2, 4), 3)
        let phantom = makePhantom(options, team: team)
        let grid = try phantomAffine(shape: options.shape, spacing: options.spacing, axes: "RAS")
        let header = NIfTIHeader(shape: grid.storedShape, affine: grid.affine, voxelType: .int16)
        let (ct, reference) = (folder.appending(path: "ct.nii.gz"), folder.appending(path: "reference.nii.gz"))
        try writeCT(phantom.ct, header: header, to: ct, team: team)
        try writeLabels(phantom.reference, like: header, to: reference, team: team)
        let series = folder.appending(path: "series")
        let slices = try DicomPhantom(phantom.ct, in: series).instanceNumbers.indices.map {
            try Data(contentsOf: series.appending(path: "IM\($0)"))
        }
        return (try Data(contentsOf: ct), try Data(contentsOf: reference), slices)
    }
}

extension InProcess {
    /// Puts a job in this state where the service finds it: with its scan, and, if it succeeded, all that a run leaves.
    @discardableResult
    func job(_ state: JobState, of owner: String? = "submit", webhook: String? = nil) throws -> JobID {
        let new = NewJob(
            options: try JSONEncoder.hepar.encode(JobRequest()), hasReference: false, uploadBytes: SmallScan.ct.count,
            owner: owner, webhook: webhook)
        try spool.adopt(files: try files(["image.nii.gz": SmallScan.ct]), of: new)
        try spool.accepted(new.id)
        _ = try store.enqueue(new, limits: QueueLimits(jobs: .max))
        if state == .queued { return new.id }
        if state == .cancelled {
            _ = try store.cancel(new.id, at: Date())
            return new.id
        }
        let claim = try #require(try store.claim(at: Date(), lease: .seconds(600), maxAttempts: 3))
        try #require(claim.job.id == new.id, "another job waited")
        switch state {
        case .succeeded:
            let report = try Report.sample()
            let made = try files([
                JobFiles.mask: SmallScan.reference, JobFiles.probabilities: SmallScan.reference,
                JobFiles.report: JSONEncoder.hepar.encode(report),
            ])
            try spool.adopt(files: made, for: new.id)
            let result = try JSONEncoder.hepar.encode(JobResult(report, verification: nil))
            _ = try store.finish(claim, .succeeded(result: result), at: Date())
        case .failed:
            _ = try store.finish(claim, .failed(JobFailure(code: "broken", message: "It broke.")), at: Date())
        case .queued, .running, .cancelled: break
        }
        return new.id
    }

    /// A job that was removed.
    func removedJob() throws -> JobID {
        let id = try job(.cancelled)
        try store.remove(id)
        try spool.remove(id)
        return id
    }

    private func files(_ contents: [String: Data]) throws -> [(from: URL, name: String)] {
        try contents.map { name, content in
            let file = spool.incoming.appending(path: "\(UUID().uuidString)-\(name)")
            try content.write(to: file)
            return (file, name)
        }
    }
}

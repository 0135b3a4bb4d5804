import Cases
import Foundation
import HTTPDaemon
import Imaging
import Metrics
import Work

/// Scores of masks that are there already.
struct ScoreResource: Sendable {
    let lookup: JobLookup
    let children: Children
    let storage: Storage

    var routes: [Route] {
        [
            Route(
                method: "PUT", path: "/v1/jobs/{id}/reference", action: .changeJob, takesFiles: true,
                audited: "job.score", handle: putReference),
            Route(
                method: "POST", path: "/v1/evaluations", action: .submit, takesFiles: true, audited: "masks.score",
                handle: evaluate),
        ]
    }

    /// Scores a finished job against a reference that comes later; its report tells the scores from then on.
    func putReference(_ call: Call) throws -> Handling {
        _ = try call.query()
        let (job, folder, _) = try lookup.succeeded(call)
        let files = try FormFiles(call.request, bare: "reference", allowed: ["reference"])
        let reference = try files.required("reference")
        return .inPlace(.scoring) { [self] in
            let scores = try score(folder.appending(path: JobFiles.mask), against: reference, call)
            let file = folder.appending(path: JobFiles.report)
            var report = try Report(at: file)
            report.scores = scores
            try report.write(to: file)
            storage.measure(job.id)
            return .json(200, scores)
        }
    }

    /// Scores one mask against another, without a scan or a job.
    func evaluate(_ call: Call) throws -> Handling {
        _ = try call.query()
        let files = try FormFiles(call.request, bare: nil, allowed: ["prediction", "reference"])
        let (prediction, reference) = (try files.required("prediction"), try files.required("reference"))
        return .inPlace(.scoring) { [self] in
            try withVolumeName(prediction) { .json(200, try score($0, against: reference, isUpload: true, call)) }
        }
    }

    private func score(
        _ prediction: URL, against reference: URL, isUpload: Bool = false, _ call: Call
    ) throws -> CaseScores {
        try withVolumeName(reference) { reference in
            let work = ScoreWork(
                prediction: prediction, reference: reference, judgesPrediction: isUpload, limits: children.limits,
                cores: children.cores)
            return try children.quarantining(call, [prediction, reference], work: ScoreWork.name) {
                try children.workshop.run(work)
            }
        }
    }
}

/// libnifti goes by a file's name, so `body` is given a name that follows the content.
private func withVolumeName<Result>(_ file: URL, _ body: (URL) throws -> Result) throws -> Result {
    guard !file.lastPathComponent.contains(".nii") else { return try body(file) }
    let name = file.deletingLastPathComponent().appending(path: try volumeName(file.lastPathComponent, for: file))
    try FileManager.default.linkItem(at: file, to: name)
    defer { try? FileManager.default.removeItem(at: name) }
    return try body(name)
}

/// `stem.nii.gz` or `stem.nii`, as the content is.
func volumeName(_ stem: String, for file: URL) throws -> String {
    let handle = try FileHandle(forReadingFrom: file)
    defer { try? handle.close() }
    let magic = try handle.read(upToCount: 2)
    return magic == Data([0x1F, 0x8B]) ? "\(stem).nii.gz" : "\(stem).nii"
}

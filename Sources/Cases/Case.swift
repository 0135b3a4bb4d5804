import Compute
import Digests
import Foundation
import Imaging
import Metrics
import Segmentation

/// The files and choices of one case: a CT, where its mask goes, and perhaps a reference to score against.
public struct Case: Codable, Sendable {
    /// The CT, NIfTI.
    public var image: URL
    /// A label map on the CT's grid.
    public var reference: URL?
    /// Where the mask is written: `.nii` or `.nii.gz`.
    public var mask: URL
    /// Where the lesion probabilities are written, if ``Segmenter/Options/probabilities`` asks for them.
    public var probabilities: URL?
    /// Where finished slices are kept until the case is done, so that a run that was broken off is gone on with.
    public var journal: URL?
    /// How to segment.
    public var options: Segmenter.Options
    /// What was doubtful about the CT before it was segmented; the report tells it too.
    public var findings: [Finding]
    /// What the CT may have.
    public var limits: VolumeLimits

    /// A case.
    public init(
        image: URL, reference: URL? = nil, mask: URL, probabilities: URL? = nil, journal: URL? = nil,
        options: Segmenter.Options = .init(), findings: [Finding] = [], limits: VolumeLimits = .init()
    ) {
        precondition(!options.probabilities || probabilities != nil, "the probabilities need a place")
        self.probabilities = probabilities
        self.journal = journal
        self.image = image
        self.reference = reference
        self.mask = mask
        self.options = options
        self.findings = findings
        self.limits = limits
    }
}

/// Runs one case from its files to its mask and report: the one path that the service and the command line share.
///
/// - Parameters:
///   - progress: called between slices; the case stops by what it throws, and no mask is left then.
/// - Throws: ``VolumeError`` for what is wrong with a file.
public func run(
    _ job: Case, with segmenter: Segmenter, team: ThreadTeam,
    progress: ProgressHandler = { _ in }
) throws -> Report {
    var timings = Timings()
    let scan = try timings.time("read") { try readCT(at: job.image, limits: job.limits, team: team) }
    // Read before the long part, so that a wrong reference is told at once.
    let reference = try job.reference.map { url in
        try timings.time("read_reference") {
            try readReference(url, of: scan.header, limits: job.limits, team: team)
        }
    }
    let inputSha256 = try timings.time("hash") { try ContentHash.ofFile(at: job.image) }
    let journal = try job.journal.map {
        SliceJournal(file: $0, key: try segmenter.journalKey(inputSha256, job.options))
    }
    let segmentation = try segmenter.segment(scan, options: job.options, journal: journal, progress: progress)
    let header = scan.header
    for step in segmentation.timings.steps { timings.add(step) }
    try timings.time("write") {
        try writeLabels(segmentation.labels, like: header, to: job.mask, team: team)
        if let file = job.probabilities, let probabilities = segmentation.lesionProbabilities {
            try writeFractions(probabilities, like: header, to: file, team: team)
        }
    }
    let scores = reference.map { reference in
        timings.time("scores") { score(prediction: segmentation.labels, reference: reference, team: team) }
    }
    let statement = Provenance.Statement(
        heparVersion: Hepar.version, inputSha256: inputSha256, liverModelSha256: segmenter.liverModel.sha256 ?? "",
        lesionModelSha256: segmenter.lesionModel.sha256 ?? "", maskSha256: try ContentHash.ofFile(at: job.mask),
        options: job.options)
    journal?.remove()
    return Report(
        segmentation, findings: job.findings, header: header, segmenter: segmenter, options: job.options,
        scores: scores, provenance: try Provenance(statement, key: nil), timings)
}

extension Segmenter {
    /// All that decides what the network says of each slice.
    fileprivate func journalKey(_ inputSha256: String, _ options: Options) throws -> String {
        let options = String(decoding: try JSONEncoder.hepar.encode(options), as: UTF8.self)
        return [
            Hepar.version, inputSha256, liverModel.sha256 ?? "", lesionModel.sha256 ?? "", algorithm.rawValue, options,
        ].joined(separator: "\n")
    }
}

/// Reads a reference mask and refuses one of another grid: it is never resampled silently.
///
/// - Throws: ``VolumeError/gridMismatch(_:)`` with the difference stated.
public func readReference(
    _ url: URL, of header: NIfTIHeader, limits: VolumeLimits, team: ThreadTeam
) throws(VolumeError) -> Volume<UInt8> {
    let reference = try readLabels(at: url, limits: limits, team: team)
    if let difference = reference.header.gridDifference(from: header) { throw .gridMismatch(difference: difference) }
    return reference.volume
}

import Compute
import Dicom
import Foundation
import Imaging
import Segmentation

@testable import Cases
@testable import Work

/// What a child says, line by line: the first byte chooses the work, the rest are its lines. Whatever is believed is
/// encoded, and computed with as the service does.
func fuzzAnswer(_ input: UnsafeRawBufferPointer) throws(BrokenPromise) {
    guard let first = input.first else { return }
    let lines = input.dropFirst().split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        .map { Data($0) }
    let file = URL(filePath: "/scan.nii.gz")
    let limits = VolumeLimits()
    let cores = Cores(threads: 1)
    switch first {
    case UInt8(ascii: "j"):
        try hear(lines, JudgeWork(image: file, reference: nil, limits: limits)) { output throws(BrokenPromise) in
            let header = output.summary.header
            try promise(header.storedShape.count <= limits.voxels, "\(header.storedShape) voxels")
            try encode(output.summary.findings)
            try encode(Report.Input(header))
            try promise(cost(of: header) > 0, "it costs nothing")
        }
    case UInt8(ascii: "s"):
        let work = ScoreWork(
            prediction: file, reference: file, judgesPrediction: true, limits: limits, cores: cores)
        try hear(lines, work, encode)
    case UInt8(ascii: "d"):
        let work = DrawWork(
            choice: .report(slices: 6, lesions: 12), image: file, mask: file, reference: nil, limits: limits,
            cores: cores)
        try hear(lines, work, encode)
    case UInt8(ascii: "g"):
        let work = SegmentWork(
            job: Case(image: file, mask: file), models: file, model: Report.Model(segmenter), algorithm: .winograd,
            cores: cores, memoryBytes: 0)
        try hear(lines, work) { report throws(BrokenPromise) in
            try encode(report)
            try encode(JobResult(report, verification: nil))
        }
    default:
        try hear(lines, PartWork(label: .liver, mask: file, part: file, limits: limits, cores: cores), encode)
    }
}

/// Takes lines until one is not believed; what the work's output is used for is `use`.
private func hear<Work: ConfinedWork>(
    _ lines: [Data], _ work: Work, _ use: (Work.Output) throws(BrokenPromise) -> Void
) throws(BrokenPromise) {
    var answer = WorkAnswer(to: work)
    var done = 0.0
    for line in lines {
        guard let progress = try? answer.take(line) else { break }
        try promise(progress.fraction >= done && progress.fraction <= 1, "\(progress.fraction) after \(done)")
        done = progress.fraction
    }
    switch answer.last {
    case .output(let output): try use(output)
    case .failure(let failure): try promise(!"\(failure.error)".isEmpty, "an empty error")
    case .progress, nil: break
    }
}

private func encode(_ value: some Encodable) throws(BrokenPromise) {
    try promise((try? JSONEncoder.hepar.encode(value)) != nil, "it cannot be written")
}

/// By the model of the repository, as the service estimates what a scan takes.
private func cost(of header: NIfTIHeader) -> Int {
    segmenter.cost(shape: header.shape, spacing: header.spacing, options: .init(), hasReference: true).bytes
}

private let segmenter: Segmenter = {
    let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    return try! Segmenter(
        models: repository.appending(path: "Models/default"), algorithm: .winograd, team: ThreadTeam(threads: 1))
}()

import ArgumentParser
import Compute
import Foundation
import Imaging
import Inference
import Segmentation

/// `hepar bench pipeline`: one scan's time from file to file, step by step.
struct BenchPipeline: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pipeline", abstract: "Time the whole path of one CT, step by step.",
        discussion: """
            The mask is written to a temporary file. With --width the models are random ones of the paper's window and \
            spacing; they find no liver, so give the region of stage 2 by --liver-mask. Stage 1 runs all the same.
            """)

    @Argument(help: "The CT: .nii or .nii.gz.")
    var ct: String

    @Option(help: "The model folder.")
    var model: String?

    @Option(help: "Instead of a model folder: random models of this width; the paper's is 64.")
    var width: Int?

    @Option(help: "A label map on the CT's grid that takes the place of stage 1's answer.")
    var liverMask: String?

    @OptionGroup var options: BenchOptions

    func run() throws {
        if let width, !(1...256).contains(width) { throw UserError("--width is \(width). Give 1 to 256.") }
        let team = ThreadTeam(threads: options.threads.capped())
        let folder = FileManager.default.temporaryDirectory.appending(path: "hepar-bench-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        if let width { try writeRandomModels(width: width, to: folder) }
        let models =
            width != nil ? folder : model.map { URL(filePath: $0) } ?? EngineOptions.defaultModelFolder
        let segmenter = try Segmenter(models: models, algorithm: .winograd, team: team)

        let benchmark = options.benchmark(
            runs: 3, instructions: .best(width: segmenter.lesionModel.width))
        let name = "pipeline w\(segmenter.lesionModel.width)"
        var runs: [Timings] = []
        let mask = folder.appending(path: "mask.nii.gz")
        for _ in 0..<benchmark.runs { runs.append(try time(segmenter, mask: mask, team)) }
        for (index, step) in runs[0].steps.enumerated() {
            benchmark.report("\(name) \(step.name)", milliseconds: runs.map { $0.steps[index].ms })
        }
        benchmark.report("\(name) total", milliseconds: runs.map(\.totalMs))
    }

    private func time(_ segmenter: Segmenter, mask: URL, _ team: ThreadTeam) throws -> Timings {
        // Reading the given mask is no part of the path.
        let liver = try liverMask.map { try readLabels(at: URL(filePath: $0), team: team) }
        var timings = Timings()
        let scan = try timings.time("read") { try readCT(at: URL(filePath: ct), team: team) }
        if let difference = liver?.header.gridDifference(from: scan.header) {
            throw VolumeError.gridMismatch(difference: difference)
        }
        let result = try segmenter.segment(scan, options: .init(), liver: liver?.volume) { _ in }
        for step in result.timings.steps { timings.add(step) }
        try timings.time("write") { try writeLabels(result.labels, like: scan.header, to: mask, team: team) }
        return timings
    }

    private func writeRandomModels(width: Int, to folder: URL) throws {
        for (stage, classes) in [(ModelMetadata.Stage.liver, 2), (.lesion, 3)] {
            let metadata = ModelMetadata(
                stage: stage, window: -200...200, spacing: stage == .liver ? SIMD3(1, 1, 2.5) : nil, licence: "none",
                trainedOn: "nothing: random weights")
            let tensors = Architecture(width: width, slices: 5, classes: classes).randomTensors(seed: 1)
            try Safetensors(metadata: metadata.dictionary, tensors: tensors)
                .write(to: folder.appending(path: "\(stage.rawValue).safetensors"))
        }
    }
}

import Compute
import Foundation
import Imaging
import Inference

/// The networks of one stage, whose probabilities are averaged: `lesion.safetensors`, and beside it perhaps
/// `lesion-2.safetensors` and so on.
struct StageNetworks: Sendable {
    /// At least one; all read as many slices and give as many classes.
    let networks: [Network]
    /// Window, spacing and thresholds: those of the first file, with which the others must agree.
    let metadata: ModelMetadata
    /// What reports say of them.
    let facts: Segmenter.ModelFacts

    var slices: Int { networks[0].slices }
    var classes: Int { networks[0].classes }

    /// A network that is in memory, in training.
    init(_ network: Network, metadata: ModelMetadata) {
        networks = [network]
        self.metadata = metadata
        facts = Segmenter.ModelFacts(width: network.width, metadata: metadata, sha256: nil)
    }

    /// Loads all files of a stage.
    ///
    /// - Throws: ``ModelError`` if the first is missing, or one is faulty, made for another stage, or made for another
    ///   window, spacing or number of slices than the first.
    init(
        _ stage: ModelMetadata.Stage, classes: Int, in folder: URL, algorithm: Algorithm, instructions: InstructionSet?,
        team: ThreadTeam
    ) throws(ModelError) {
        var models: [ModelFile] = []
        for url in Self.files(of: stage, in: folder) {
            let model = try ModelFile(reading: url)
            try Self.check(model, stage, classes: classes, first: models.first, name: url.lastPathComponent)
            models.append(model)
        }
        var networks: [Network] = []
        for model in models {
            networks.append(try Network(model, algorithm: algorithm, instructions: instructions, team: team))
        }
        self.networks = networks
        metadata = models[0].metadata
        let digests = models.compactMap(\.sha256)
        facts = Segmenter.ModelFacts(
            width: models[0].width, metadata: metadata,
            sha256: digests.count == models.count ? digests.joined(separator: "+") : nil)
    }

    /// The files of a stage: the first, whether it is there or not, and those numbered from 2 without a gap.
    static func files(of stage: ModelMetadata.Stage, in folder: URL) -> [URL] {
        var files = [folder.appending(path: "\(stage.rawValue).safetensors")]
        while true {
            let next = folder.appending(path: "\(stage.rawValue)-\(files.count + 1).safetensors")
            guard FileManager.default.fileExists(atPath: next.path) else { return files }
            files.append(next)
        }
    }

    private static func check(
        _ model: ModelFile, _ stage: ModelMetadata.Stage, classes: Int, first: ModelFile?, name: String
    ) throws(ModelError) {
        let metadata = model.metadata
        guard metadata.stage == stage else {
            throw .invalidMetadata(key: "stage", reason: "\(name) is a model of stage \"\(metadata.stage.rawValue)\"")
        }
        guard model.classes == classes else {
            throw .invalidMetadata(
                key: "stage", reason: "\(name) has \(model.classes) classes; this stage has \(classes)")
        }
        guard let first else { return }
        guard metadata.window == first.metadata.window else {
            throw .invalidMetadata(key: "window_hu", reason: "\(name) has another window than the stage's first file")
        }
        guard metadata.spacing == first.metadata.spacing else {
            throw .invalidMetadata(key: "spacing_mm", reason: "\(name) has another spacing than the stage's first file")
        }
        guard model.slices == first.slices else {
            throw .invalidMetadata(
                key: "stage", reason: "\(name) reads \(model.slices) slices, the stage's first file \(first.slices)")
        }
    }

    /// Bytes that running them on one image takes, weights included.
    func memoryBytes(height: Int, width: Int) -> Int {
        let planes = 4 * (slices + classes) * height * width
        let scratch = networks.count > 1 ? 4 * classes * height * width : 0
        return networks.reduce(planes + scratch) { $0 + $1.memoryBytes(batch: 1, height: height, width: width) }
    }

    /// Runs one image.
    ///
    /// - Parameters:
    ///   - planes: one for each slice of the stack, `height` x `width` values in [-1, 1].
    ///   - logits: takes a plane a class. Of several networks the logarithm of the mean probability: softmax and argmax
    ///     read it as they read one network's logits.
    ///   - scratch: as large as `logits`; used where there are several networks.
    func run(
        planes: [UnsafePointer<Float>], height: Int, width: Int, logits: UnsafeMutablePointer<Float>,
        scratch: UnsafeMutablePointer<Float>?, team: ThreadTeam
    ) {
        guard networks.count > 1, let scratch else {
            networks[0].run(planes: planes, batch: 1, height: height, width: width, logits: logits)
            return
        }
        let plane = height * width
        nonisolated(unsafe) let (sum, one) = (logits, scratch)
        let (classes, count) = (classes, networks.count)
        for (index, network) in networks.enumerated() {
            network.run(planes: planes, batch: 1, height: height, width: width, logits: scratch)
            team.forEachChunk(of: plane, chunk: 4096) { voxels in
                for voxel in voxels {
                    var most = one[voxel]
                    for label in 1..<classes { most = max(most, one[label * plane + voxel]) }
                    var total: Float = 0
                    for label in 0..<classes {
                        let value = expf(one[label * plane + voxel] - most)
                        one[label * plane + voxel] = value
                        total += value
                    }
                    for label in 0..<classes {
                        let share = one[label * plane + voxel] / total
                        let so = index == 0 ? share : sum[label * plane + voxel] + share
                        // A probability of 0 has no logarithm; nothing below this is told from it.
                        sum[label * plane + voxel] = index == count - 1 ? logf(max(so / Float(count), 1e-30)) : so
                    }
                }
            }
        }
    }
}

extension Segmenter.ModelFacts {
    init(width: Int, metadata: ModelMetadata, sha256: String?) {
        self.init(
            width: width, windowHu: [metadata.window.lowerBound, metadata.window.upperBound],
            spacingMm: metadata.spacing.map { [$0.x, $0.y, $0.z] }, sha256: sha256)
    }
}

public import Compute
internal import Imaging
public import Inference
internal import Metrics
internal import Segmentation

/// How well a network does on cases that it was not trained on.
public struct ValidationScores: Equatable, Sendable {
    /// One case's Dice. Both masks empty: 1; one empty: 0.
    public struct Case: Equatable, Sendable {
        /// The case's name.
        public let name: String
        /// Dice of the liver with its lesions.
        public let liver: Double
        /// Dice of the lesions; nil in stage liver.
        public let lesion: Double?
    }

    /// Each case.
    public let cases: [Case]

    /// Mean Dice of the liver with its lesions.
    public var liver: Double { cases.reduce(0) { $0 + $1.liver } / Double(cases.count) }

    /// Mean Dice of the lesions; nil in stage liver.
    public var lesion: Double? {
        let values = cases.compactMap(\.lesion)
        return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
}

/// Runs a network on whole scans as the cascade would, and compares with their references.
///
/// Stage liver: every slice at the model's spacing, largest component, against the reference at that spacing. Stage
/// lesion: the slices and the box of the reference's liver at the scan's own resolution, with the rules that follow.
public final class Validator {
    private let metadata: ModelMetadata
    private var stage: ModelMetadata.Stage { metadata.stage }
    private let every: Int
    private let team: ThreadTeam
    private var cases: [Loaded] = []

    /// A case in memory: the CT, where to look, and what should be found in the slices that are run.
    private struct Loaded {
        let name: String
        let ct: Volume<Float>
        let box: Box
        let reference: Volume<UInt8>
    }

    /// The cases' names.
    public var names: [String] { cases.map(\.name) }

    /// Reads the cases, which stay in memory.
    ///
    /// - Parameters:
    ///   - metadata: stage, window and spacing of the model.
    ///   - every: runs every `every`-th slice only, at least 1.
    /// - Throws: ``TrainingError/badValidationCase(name:reason:)``.
    public init(
        _ cases: [ValidationCase], metadata: ModelMetadata, every: Int = 1, team: ThreadTeam
    ) throws(TrainingError) {
        precondition(every >= 1)
        self.metadata = metadata
        self.every = every
        self.team = team
        for item in cases {
            do throws(VolumeError) {
                self.cases.append(try load(item, spacing: metadata.stage == .liver ? metadata.spacing : nil))
            } catch {
                throw .badValidationCase(name: item.name, reason: "\(error)")
            }
        }
    }

    private func load(_ item: ValidationCase, spacing: SIMD3<Double>?) throws(VolumeError) -> Loaded {
        let scan = try readCT(at: item.ct, team: team)
        let mask = try readLabels(at: item.mask, team: team)
        if let difference = mask.header.gridDifference(from: scan.header) {
            throw .gridMismatch(difference: difference)
        }
        var (ct, labels) = (
            scan.spaced(item.storedSpacing), mask.volume.spaced(item.storedSpacing, header: mask.header)
        )
        if let spacing {
            ct = try resampleLinear(ct, to: spacing, limit: VolumeLimits().voxels, team: team)
            labels = resampleNearest(labels, to: ct.shape, spacing: spacing, team: team)
        }
        let whole = Box(x: 0..<ct.shape.x, y: 0..<ct.shape.y, z: 0..<ct.shape.z)
        // A reference without a liver has no region to look at: all of the scan is, for false lesions.
        let box = stage == .liver ? whole : liverBox(ofReference: labels, team: team) ?? whole
        return Loaded(name: item.name, ct: ct, box: box, reference: labels.part(box, every: every))
    }

    /// Scores a network; nil if `goOn`, asked between slices, said no.
    ///
    /// - Throws: ``ModelError`` where the network's numbers cannot be run.
    public func scores(of tensors: [String: Tensor], goOn: () -> Bool) throws(ModelError) -> ValidationScores? {
        let network = try Network(tensors: tensors, team: team)
        var scores: [ValidationScores.Case] = []
        for item in cases {
            guard let labels = predict(item, network, goOn: goOn) else { return nil }
            let dice = overlap(prediction: labels, reference: item.reference, team: team)
            scores.append(
                ValidationScores.Case(
                    name: item.name, liver: dice.liver, lesion: stage == .lesion ? dice.lesion : nil))
        }
        return ValidationScores(cases: scores)
    }

    private struct Interrupted: Error {}

    private func predict(_ item: Loaded, _ network: Network, goOn: () -> Bool) -> Volume<UInt8>? {
        func check(_ done: Int) throws { if !goOn() { throw Interrupted() } }
        switch stage {
        case .liver:
            return try? findLiver(
                in: item.ct, every: every, network: network, metadata: metadata, team: team, progress: check)
        case .lesion:
            return try? findLesions(
                in: item.ct, box: item.box, every: every, network: network, metadata: metadata, team: team,
                progress: check)
        }
    }
}

extension Volume<UInt8> {
    /// Every `every`-th slice of a box, from its first.
    func part(_ box: Box, every: Int) -> Volume<UInt8> {
        let slices = Array(stride(from: box.z.lowerBound, to: box.z.upperBound, by: every))
        var part: [UInt8] = []
        part.reserveCapacity(slices.count * box.x.count * box.y.count)
        for z in slices {
            for y in box.y {
                let start = shape.index(box.x.lowerBound, y, z)
                part += voxels[start..<start + box.x.count]
            }
        }
        return Volume(
            shape: Shape(box.x.count, box.y.count, slices.count), spacing: spacing * SIMD3(1, 1, Double(every)),
            voxels: part)
    }
}

internal import Compute
import Imaging

/// How many lesions were found, and how many of the predicted ones are true.
///
/// A lesion is a 6-connected component of label 2. Two rules of matching are reported:
/// - **IoU > 0.5.** A predicted and a true lesion match where their intersection is more than half of their union. Since
///   components do not overlap one another, a lesion can match at most one: the matching is one to one. A lesion
///   predicted in several parts, or several merged into one, counts only where one part alone reaches the half.
/// - **IoU > 0.** A predicted lesion is true where it shares a voxel with any true lesion; a true lesion is found where
///   it shares a voxel with any predicted one. Split and merged lesions count in full, so that the two numbers may differ.
public struct Detection: Codable, Equatable, Sendable {
    /// How many lesions there are in the prediction and in the reference.
    public let predictionLesions, referenceLesions: Int
    /// Matches of more than half of the union.
    public let overHalf: Matches
    /// Matches of any overlap.
    public let overZero: Matches

    /// What one rule of matching finds.
    public struct Matches: Codable, Equatable, Sendable {
        /// Predicted lesions that are true, and true lesions that were found.
        public let truePredictions, foundReferences: Int
        /// Share of the predicted lesions that are true; nil where none is predicted.
        public let precision: Double?
        /// Share of the true lesions that were found; nil where there are none.
        public let recall: Double?
        /// For each share that is nil, by its name in JSON: a sentence that says why.
        public let undefined: [String: String]

        /// The names in JSON.
        public enum CodingKeys: String, CodingKey {
            case truePredictions = "true_predictions"
            case foundReferences = "found_references"
            case precision, recall, undefined
        }

        /// Shares of `predictions` and `references` lesions.
        init(truePredictions: Int, of predictions: Int, foundReferences: Int, of references: Int) {
            self.truePredictions = truePredictions
            self.foundReferences = foundReferences
            precision = predictions == 0 ? nil : Double(truePredictions) / Double(predictions)
            recall = references == 0 ? nil : Double(foundReferences) / Double(references)
            var reasons: [String: String] = [:]
            if predictions == 0 { reasons["precision"] = "No lesion is predicted: there is none that could be true." }
            if references == 0 { reasons["recall"] = "The reference has no lesion: there is none to find." }
            undefined = reasons
        }

        /// Writes both shares, `null` where they are not defined.
        public func encode(to encoder: any Encoder) throws {
            var values = encoder.container(keyedBy: CodingKeys.self)
            try values.encode(truePredictions, forKey: .truePredictions)
            try values.encode(foundReferences, forKey: .foundReferences)
            try values.encode(precision, forKey: .precision)
            try values.encode(recall, forKey: .recall)
            try values.encode(undefined, forKey: .undefined)
        }
    }

    /// The names in JSON.
    public enum CodingKeys: String, CodingKey {
        case predictionLesions = "prediction_lesions"
        case referenceLesions = "reference_lesions"
        case overHalf = "iou_above_0_5"
        case overZero = "iou_above_0"
    }
}

extension Detection {
    /// Matches the lesions of two label maps of one shape.
    init(prediction: Volume<UInt8>, reference: Volume<UInt8>, team: ThreadTeam) {
        let isLesion = { (label: UInt8) in Region.lesion.contains(label) }
        self.init(
            predicted: connectedComponents(of: prediction, where: isLesion, team: team),
            actual: connectedComponents(of: reference, where: isLesion, team: team))
    }

    init(predicted: [Component], actual: [Component]) {
        var anyPredicted = Set<Int>()
        var anyActual = Set<Int>()
        var overHalf = 0
        for (pair, common) in overlaps(predicted, actual) {
            anyPredicted.insert(pair.predicted)
            anyActual.insert(pair.actual)
            let union = predicted[pair.predicted].voxelCount + actual[pair.actual].voxelCount - common
            if 2 * common > union { overHalf += 1 }
        }
        predictionLesions = predicted.count
        referenceLesions = actual.count
        self.overHalf = Matches(
            truePredictions: overHalf, of: predicted.count, foundReferences: overHalf, of: actual.count)
        overZero = Matches(
            truePredictions: anyPredicted.count, of: predicted.count, foundReferences: anyActual.count,
            of: actual.count)
    }
}

private struct Pair: Hashable {
    var predicted, actual: Int
}

/// For each pair of components that share voxels: how many.
private func overlaps(_ predicted: [Component], _ actual: [Component]) -> [Pair: Int] {
    let those = runsInScanOrder(actual)
    var counts: [Pair: Int] = [:]
    var next = 0
    for (run, component) in runsInScanOrder(predicted) {
        // Runs of one map do not overlap, so those that end before this one begins are of no more use.
        while next < those.count, ends(those[next].run, before: run) { next += 1 }
        var other = next
        while other < those.count, !ends(run, before: those[other].run) {
            let common = min(run.xEnd, those[other].run.xEnd) - max(run.xStart, those[other].run.xStart)
            counts[Pair(predicted: component, actual: those[other].component), default: 0] += Int(common)
            other += 1
        }
    }
    return counts
}

private func runsInScanOrder(_ components: [Component]) -> [(run: Run, component: Int)] {
    components.indices.flatMap { index in components[index].runs.map { ($0, index) } }
        .sorted { ($0.0.z, $0.0.y, $0.0.xStart) < ($1.0.z, $1.0.y, $1.0.xStart) }
}

/// Whether `a` ends, in scan order, before or where `b` begins.
private func ends(_ a: Run, before b: Run) -> Bool {
    (a.z, a.y) == (b.z, b.y) ? a.xEnd <= b.xStart : (a.z, a.y) < (b.z, b.y)
}

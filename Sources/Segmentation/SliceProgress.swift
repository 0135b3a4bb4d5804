/// How far a segmentation has come.
public struct SliceProgress: Codable, Equatable, Sendable {
    /// The steps in their order.
    public enum Stage: String, CaseIterable, Codable, Sendable {
        /// Stage 1: where is the liver.
        case liver
        /// Stage 2: liver and lesions at full resolution.
        case lesions
        /// Components, the 0.80 rule and the lesion table.
        case rules
    }

    /// The step at work.
    public let stage: Stage
    /// Slices finished and slices in all of this stage.
    public let done, total: Int

    /// The whole cascade's progress in 0...1: stage 1 counts for a fifth, stage 2 for the rest.
    public var fraction: Double {
        let part = total == 0 ? 1 : Double(done) / Double(total)
        switch stage {
        case .liver: return 0.2 * part
        case .lesions: return 0.2 + 0.78 * part
        case .rules: return 0.98 + 0.02 * part
        }
    }
}

/// Called between slices; it stops the segmentation by throwing.
public typealias ProgressHandler = (SliceProgress) throws -> Void

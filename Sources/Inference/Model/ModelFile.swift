public import Foundation

/// What a model file says about itself, beside its tensors.
public struct ModelMetadata: Equatable, Sendable {
    /// Which of the cascade's two stages a model is for.
    public enum Stage: String, CaseIterable, Codable, Sendable {
        /// Finds the liver, lesions included.
        case liver
        /// Tells lesions from liver, inside the liver's region.
        case lesion
    }

    /// The version of the file's conventions that this code reads and writes.
    public static let format = "1"

    /// The stage the model is for.
    public var stage: Stage
    /// Hounsfield units that are mapped linearly onto -1 ... 1; values outside are clipped.
    public var window: ClosedRange<Double>
    /// Distance between voxel centres along x, y and z in mm that the CT is resampled to; nil keeps the CT's own.
    public var spacing: SIMD3<Double>?
    /// Of a lesion model: the least probability of lesion that one voxel of a component must have; nil takes the paper's.
    public var lesionProbability: Double?
    /// Of a lesion model: liver voxels of at least this probability of lesion are lesion too; nil leaves the argmax.
    public var lesionExtent: Double?
    /// Terms under which the model may be used.
    public var licence: String
    /// What the model was trained on.
    public var trainedOn: String

    /// Metadata of a model made here.
    public init(
        stage: Stage, window: ClosedRange<Double>, spacing: SIMD3<Double>?, lesionProbability: Double? = nil,
        lesionExtent: Double? = nil, licence: String, trainedOn: String
    ) {
        self.stage = stage
        self.window = window
        self.spacing = spacing
        self.lesionProbability = lesionProbability
        self.lesionExtent = lesionExtent
        self.licence = licence
        self.trainedOn = trainedOn
    }

    /// Reads the metadata of a safetensors file.
    ///
    /// - Throws: ``ModelError/invalidMetadata(key:reason:)`` for a key that is missing or has no usable value.
    public init(_ metadata: [String: String]) throws(ModelError) {
        func value(_ key: String) throws(ModelError) -> String {
            guard let value = metadata[key] else { throw .invalidMetadata(key: key, reason: "is missing") }
            return value
        }
        func fault(_ key: String, _ found: String, _ wanted: String) -> ModelError {
            .invalidMetadata(key: key, reason: "is \(String(reflecting: found)); it must be \(wanted)")
        }
        let format = try value("hepar_format")
        guard format == Self.format else { throw fault("hepar_format", format, "\"\(Self.format)\"") }

        let stageName = try value("stage")
        guard let stage = Stage(rawValue: stageName) else { throw fault("stage", stageName, "liver or lesion") }

        let windowText = try value("window_hu")
        guard let window = numbers(in: windowText, count: 2), window[0] < window[1] else {
            throw fault("window_hu", windowText, "two ascending numbers, as in -200,200")
        }

        let spacingText = try value("spacing_mm")
        var spacing: SIMD3<Double>?
        if spacingText != "native" {
            guard let steps = numbers(in: spacingText, count: 3), steps.allSatisfy({ $0 > 0 }) else {
                throw fault("spacing_mm", spacingText, "native, or three numbers above 0, as in 1,1,2.5")
            }
            spacing = SIMD3(steps[0], steps[1], steps[2])
        }
        func probability(_ key: String) throws(ModelError) -> Double? {
            guard let text = metadata[key] else { return nil }
            guard let value = numbers(in: text, count: 1)?.first, value > 0, value < 1 else {
                throw fault(key, text, "a number between 0 and 1, as in 0.8")
            }
            return value
        }
        self.init(
            stage: stage, window: window[0]...window[1], spacing: spacing,
            lesionProbability: try probability("lesion_probability"), lesionExtent: try probability("lesion_extent"),
            licence: try value("licence"), trainedOn: try value("trained_on"))
    }

    /// The keys and values that a safetensors file carries.
    public var dictionary: [String: String] {
        var values = [
            "hepar_format": Self.format,
            "stage": stage.rawValue,
            "window_hu": "\(short(window.lowerBound)),\(short(window.upperBound))",
            "spacing_mm": spacing.map { "\(short($0.x)),\(short($0.y)),\(short($0.z))" } ?? "native",
            "licence": licence,
            "trained_on": trainedOn,
        ]
        values["lesion_probability"] = lesionProbability.map(short)
        values["lesion_extent"] = lesionExtent.map(short)
        return values
    }
}

/// `count` finite numbers between commas, or nil.
private func numbers(in text: String, count: Int) -> [Double]? {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    let values = parts.compactMap { Double($0.trimmingCharacters(in: .whitespaces)) }.filter(\.isFinite)
    return parts.count == count && values.count == count ? values : nil
}

/// The shortest text that reads back as `value`, without the fraction of a whole number.
private func short(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : String(value)
}

/// A model of one stage: its tensors, all checked, and what it says about itself.
public struct ModelFile: Sendable {
    /// Stage, window, spacing, licence and origin.
    public let metadata: ModelMetadata
    /// Size of the network, read off the tensors.
    public let architecture: Architecture
    /// Every tensor of the network, by name.
    public let tensors: [String: Tensor]
    /// SHA-256 of the file, in hexadecimal digits; nil for a model that was made in memory.
    public let sha256: String?

    /// Channels of the network's first level.
    public var width: Int { architecture.width }
    /// Adjacent axial slices that the network reads.
    public var slices: Int { architecture.slices }
    /// Logits that the network gives each pixel.
    public var classes: Int { architecture.classes }

    /// Reads and checks a model file.
    ///
    /// - Throws: every ``ModelError`` but `unwritable`; the error names the tensor or the metadata key.
    public init(reading url: URL) throws(ModelError) {
        try self.init(try Safetensors(reading: url))
    }

    /// Checks a model that is in memory.
    ///
    /// - Throws: an error that names the tensor or the metadata key.
    public init(_ content: Safetensors) throws(ModelError) {
        architecture = try Architecture(of: content.tensors)
        metadata = try ModelMetadata(content.metadata)
        tensors = content.tensors
        sha256 = content.sha256
    }
}

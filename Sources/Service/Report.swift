import Foundation
import Imaging
import Metrics
import Segmentation

/// What is told of a finished case. Its JSON is described in openapi.yaml, schema `Report`.
public struct Report: Codable, Sendable {
    /// The grid of the scan, on its own stored axes.
    public struct Input: Codable, Sendable {
        /// Voxels along the file's axes.
        public let shape: [Int]
        /// Millimetres between voxel centres along the file's axes.
        public let spacingMm: [Double]

        enum CodingKeys: String, CodingKey {
            case shape
            case spacingMm = "spacing_mm"
        }

        init(_ header: NIfTIHeader) {
            let (size, distances) = (header.storedShape, header.storedAffine.spacing)
            shape = [size.x, size.y, size.z]
            spacingMm = [distances.x, distances.y, distances.z]
        }
    }

    /// Which model answered.
    public struct Model: Codable, Sendable {
        /// The model folder's name.
        public let name: String
        /// Facts of its two files.
        public let liver, lesion: Segmenter.ModelFacts
    }

    /// Version of Hepar.
    public let heparVersion: String
    /// Which model answered.
    public let model: Model
    /// The grid of the scan.
    public let input: Input
    /// How the scan was segmented.
    public let options: Segmenter.Options
    /// Volumes in millilitres; the liver's includes its lesions.
    public let liverVolumeMl, lesionVolumeMl: Double
    /// Lesion volume over liver volume; null without a liver.
    @Nullable public private(set) var tumourBurden: Double?
    /// The lesion table, largest first.
    public let lesions: [Lesion]
    /// Components that a rule took away, largest first.
    public let dropped: [DroppedComponent]
    /// How many there were in all.
    public let droppedCount: Int
    /// What the reader should know.
    public let findings: [Finding]
    /// Whether a person should look at the result before it is used.
    public let needsReview: Bool
    /// Against the reference; null without one.
    @Nullable public internal(set) var scores: CaseScores?
    /// Milliseconds of each step, and of all.
    public let timingsMs: [String: Double]
    /// Hashes of what went in and came out, signed by the service; null in reports of versions that kept none.
    @Nullable public private(set) var provenance: Provenance?

    enum CodingKeys: String, CodingKey, CaseIterable {
        case heparVersion = "hepar_version"
        case model, input, options
        case liverVolumeMl = "liver_volume_ml"
        case lesionVolumeMl = "lesion_volume_ml"
        case tumourBurden = "tumour_burden"
        case lesions, dropped
        case droppedCount = "dropped_count"
        case findings
        case needsReview = "needs_review"
        case scores
        case timingsMs = "timings_ms"
        case provenance
    }

    init(
        _ segmentation: Segmentation, findings earlier: [Finding], header: NIfTIHeader, segmenter: Segmenter,
        options: Segmenter.Options,
        scores: CaseScores?, provenance: Provenance, _ timings: Timings
    ) {
        heparVersion = Hepar.version
        model = Model(name: segmenter.modelName, liver: segmenter.liverModel, lesion: segmenter.lesionModel)
        input = Input(header)
        self.options = options
        liverVolumeMl = segmentation.liverMl
        lesionVolumeMl = segmentation.lesionMl
        tumourBurden = segmentation.tumourBurden
        lesions = segmentation.lesions
        dropped = segmentation.dropped
        droppedCount = segmentation.droppedCount
        findings = earlier + segmentation.findings
        needsReview = findings.needReview
        self.scores = scores
        self.provenance = provenance
        timingsMs = Dictionary(timings.steps.map { ($0.name, $0.ms) }, uniquingKeysWith: +)
            .merging(["total": timings.totalMs]) { $1 }
    }
}

/// Facts of this program.
public enum Hepar {
    /// As in CHANGELOG.md.
    public static let version = "0.1.0"
}

extension Report {
    /// The same, signed.
    func signed(with key: SigningKey) throws -> Report {
        var report = self
        report.provenance = try provenance.map { try Provenance($0.statement, key: key) }
        return report
    }

    /// Reads a report from its file.
    init(at file: URL) throws { self = try JSONDecoder().decode(Report.self, from: Data(contentsOf: file)) }

    /// Writes the report so that a reader never sees half of it.
    func write(to file: URL) throws { try JSONEncoder.hepar.encode(self).write(to: file, options: .atomic) }
}

extension JSONEncoder {
    /// The one way Hepar writes JSON: sorted keys, ISO 8601 dates, readable.
    public static var hepar: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        return encoder
    }
}

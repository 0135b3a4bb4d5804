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

        package init(_ header: NIfTIHeader) {
            let (size, distances) = (header.storedShape, header.storedAffine.spacing)
            shape = [size.x, size.y, size.z]
            spacingMm = [distances.x, distances.y, distances.z]
        }
    }

    /// Which model answered.
    public struct Model: Codable, Equatable, Sendable {
        /// The model folder's name.
        public let name: String
        /// Facts of its two files.
        public let liver, lesion: Segmenter.ModelFacts

        package init(_ segmenter: Segmenter) {
            name = segmenter.modelName
            liver = segmenter.liverModel
            lesion = segmenter.lesionModel
        }
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
    /// Of the liver without its lesions and the outer 3 mm; null without a liver, where nothing is left of it, and in
    /// reports of versions that did not measure it.
    @Nullable public private(set) var liverDensity: Density?
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
    @Nullable public package(set) var scores: CaseScores?
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
        case liverDensity = "liver_density"
        case lesions, dropped
        case droppedCount = "dropped_count"
        case findings
        case needsReview = "needs_review"
        case scores
        case timingsMs = "timings_ms"
        case provenance
    }

    package init(
        _ segmentation: Segmentation, findings earlier: [Finding], header: NIfTIHeader, segmenter: Segmenter,
        options: Segmenter.Options,
        scores: CaseScores?, provenance: Provenance, _ timings: Timings
    ) {
        heparVersion = Hepar.version
        model = Model(segmenter)
        input = Input(header)
        self.options = options
        liverVolumeMl = segmentation.liverMl
        lesionVolumeMl = segmentation.lesionMl
        tumourBurden = segmentation.tumourBurden
        liverDensity = segmentation.liverDensity
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
    /// What steps are called whose times are told; `total` is all of them.
    package static let steps: Set = [
        "read", "read_reference", "hash", "stage1_resample", "stage1_network", "stage1_components", "stage2_network",
        "rules", "density", "plausibility", "assemble", "write", "scores", "total",
    ]

    /// Whether the numbers and texts are those of some scan: what a child says of one is held against it.
    package func isPossible(under limits: VolumeLimits) -> Bool {
        input.isPossible(under: limits)
            && [liverVolumeMl, lesionVolumeMl].allSatisfy { $0.isFinite && $0 >= 0 }
            && (tumourBurden.map { (0...1).contains($0) } ?? true)
            && (liverDensity.map { liverVolumeMl > 0 && $0.isPossible(voxels: limits.voxels) } ?? true)
            && lesions.allSatisfy { $0.isPossible(slices: input.shape.max() ?? 0, voxels: limits.voxels) }
            && dropped.allSatisfy { $0.isPossible } && (dropped.count...limits.voxels).contains(droppedCount)
            && findings.count <= 100 && findings.allSatisfy { isName($0.code) } && needsReview == findings.needReview
            && (scores?.isPossible(voxels: limits.voxels) ?? true)
            && timingsMs.allSatisfy { Self.steps.contains($0) && $1.isFinite && $1 >= 0 }
    }

    /// The same, signed.
    package func signed(with key: SigningKey) throws -> Report {
        var report = self
        report.provenance = try provenance.map { try Provenance($0.statement, key: key) }
        return report
    }

    /// Reads a report from its file, of this version or an earlier one.
    public init(at file: URL) throws { self = try JSONDecoder().decode(Report.self, from: Data(contentsOf: file)) }

    /// Writes the report so that a reader never sees half of it.
    package func write(to file: URL) throws { try JSONEncoder.hepar.encode(self).write(to: file, options: .atomic) }
}

extension Report.Input {
    fileprivate func isPossible(under limits: VolumeLimits) -> Bool {
        guard shape.count == 3, spacingMm.count == 3, shape.allSatisfy({ (2...limits.voxels).contains($0) }) else {
            return false
        }
        // Three numbers, each at most the limit, may be more than an Int holds.
        let voxels = shape.reduce(1.0) { $0 * Double($1) }
        return voxels <= Double(limits.voxels) && spacingMm.allSatisfy { (0.01...100).contains($0) }
    }
}

extension Lesion {
    fileprivate func isPossible(slices: Int, voxels: Int) -> Bool {
        (1...Int(Int32.max)).contains(number) && (0..<slices).contains(firstSlice)
            && (firstSlice..<slices).contains(lastSlice) && (firstSlice...lastSlice).contains(diameterSlice)
            && [volumeMl, longestAxialDiameterMm, shortAxisMm].allSatisfy { $0.isFinite && $0 >= 0 }
            && [largestProbability, meanProbability].allSatisfy { (0...1.001).contains($0) }
            && centroidRasMm.count == 3 && centroidRasMm.allSatisfy(\.isFinite)
            && (density.map { $0.isPossible(voxels: voxels) } ?? false)
    }
}

extension Density {
    fileprivate func isPossible(voxels most: Int) -> Bool {
        meanHU.isFinite && deviationHU.isFinite && deviationHU >= 0 && Density.storedHU.contains(medianHU)
            && (1...most).contains(voxels)
    }
}

extension DroppedComponent {
    fileprivate var isPossible: Bool {
        volumeMl.isFinite && volumeMl >= 0 && centroidRasMm.count == 3 && centroidRasMm.allSatisfy(\.isFinite)
            && [largestProbability, meanProbability].allSatisfy { (0...1.001).contains($0) }
    }
}

/// Whether a text is a name for programs: small letters, digits and underscores.
private func isName(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
        && text.utf8.allSatisfy { "abcdefghijklmnopqrstuvwxyz0123456789_".utf8.contains($0) }
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

public import Compute
internal import Foundation
internal import Imaging
public import Inference
internal import Segmentation

/// Where a model is wrong on the cases that are learnt from: samples that are drawn there teach the most.
///
/// What is told from such places is not one organ or another by name: spleen, stomach, vessels, fissures and faint
/// lesions all come up wherever the model takes them for what they are not.
public struct HardPlaces: Codable, Equatable, Sendable {
    /// SHA-256 of the model file; places of another model are no use.
    public let model: String
    /// By case and slice.
    let places: [Place]

    /// A square of a slice with wrong pixels.
    struct Place: Codable, Equatable, Sendable {
        /// The case's name.
        let name: String
        let slice: Int
        /// Its centre, in pixels of the slice.
        let x, y: Int
        /// How often it is drawn, against others.
        let weight: Int
    }

    /// Pixels along a square's side.
    static let side = 16
    /// Wrong pixels of a square that are none: an outline that is one pixel off.
    static let tolerated = 24

    /// How many places there are.
    public var count: Int { places.count }

    init(model: String, places: [Place]) {
        self.model = model
        self.places = places
    }

    /// Runs a model over the scans among the cases, every second slice, and looks where it is wrong.
    ///
    /// - Parameters:
    ///   - data: prepared for the model's stage, window and spacing.
    ///   - report: is given a line for each case.
    /// - Throws: ``ModelError`` where the model cannot be run; ``TrainingError/badOption(name:found:accepted:)`` where it
    ///   is of another stage, window or spacing.
    public init(
        of model: ModelFile, in data: TrainingData, team: ThreadTeam, report: (String) -> Void
    ) throws {
        let options = data.options
        guard model.metadata.stage == options.stage, model.metadata.window == options.window,
            model.metadata.spacing == options.spacing, model.slices == data.slices
        else {
            throw TrainingError.badOption(
                name: "model of hard places", found: "of another stage, window, spacing or number of slices",
                accepted: "a model as the one that is trained")
        }
        let network = try Network(model, algorithm: .winograd, team: team)
        var places: [Place] = []
        for item in data.cases where item.kind == .scan {
            let found = try Self.places(in: item, network, model.metadata, team: team)
            places += found
            report("\(found.count) hard places in \(item.name).")
        }
        self.init(model: model.sha256 ?? "", places: places)
    }

    private static func places(
        in item: TrainingCase, _ network: Network, _ metadata: ModelMetadata, team: ThreadTeam
    ) throws -> [Place] {
        guard let first = item.centres.first, let last = item.centres.last else { return [] }
        let every = 2
        let region = item.regions[first]
        let box = Box(x: region.x, y: region.y, z: first..<last + 1)
        let volume = Volume(shape: item.ct.shape, spacing: item.ct.spacing, voxels: item.ct.voxels.map { Float($0) })
        let answer = try classes(
            of: volume, in: box, every: every, network: network, metadata: metadata, team: team)
        var places: [Place] = []
        for number in 0..<answer.shape.z {
            let slice = first + number * every
            for top in stride(from: 0, to: box.y.count, by: side) {
                for left in stride(from: 0, to: box.x.count, by: side) {
                    var wrong = 0
                    for y in top..<min(top + side, box.y.count) {
                        for x in left..<min(left + side, box.x.count) {
                            let wanted = item.labels[box.x.lowerBound + x, box.y.lowerBound + y, slice]
                            if isWrong(answer[x, y, number], wanted) { wrong += 1 }
                        }
                    }
                    guard wrong > tolerated else { continue }
                    places.append(
                        Place(
                            name: item.name, slice: slice, x: box.x.lowerBound + left + side / 2,
                            y: box.y.lowerBound + top + side / 2, weight: wrong - tolerated))
                }
            }
        }
        return places
    }

    private static func isWrong(_ found: UInt8, _ wanted: UInt8) -> Bool {
        switch wanted {
        case Batch.unknown: false
        case Batch.foreground: found == Label.background
        default: found != wanted
        }
    }
}

/// Places to draw from, each with its probability: all cases with places alike, and in a case the squares by weight.
struct HardTable: Sendable {
    /// A place, with its case by number.
    struct Entry: Equatable, Sendable {
        let item, slice: Int
        let centre: SIMD2<Float>
    }

    private let entries: [Entry]
    private let cumulative: [Double]

    /// Nil where no place is of these cases.
    init?(_ hard: HardPlaces, cases: [TrainingCase]) {
        let numbers = Dictionary(zip(cases.map(\.name), cases.indices), uniquingKeysWith: { first, _ in first })
        let known = hard.places.filter { numbers[$0.name] != nil }
        let totals = known.reduce(into: [String: Double]()) { $0[$1.name, default: 0] += Double($1.weight) }
        var sum = 0.0
        var (entries, cumulative): ([Entry], [Double]) = ([], [])
        for place in known {
            // A case with four times as many wrong pixels comes twice as often.
            let total = totals[place.name] ?? 1
            sum += Double(place.weight) / total.squareRoot()
            entries.append(
                Entry(
                    item: numbers[place.name] ?? 0, slice: place.slice,
                    centre: SIMD2(Float(place.x), Float(place.y))))
            cumulative.append(sum)
        }
        guard !entries.isEmpty else { return nil }
        (self.entries, self.cumulative) = (entries, cumulative)
    }

    /// The place at `share` of the way through all probabilities, 0 ..< 1.
    func entry(at share: Double) -> Entry {
        entries[cumulative.index(at: share)]
    }
}

public import Imaging

/// One lesion of the lesion table.
public struct Lesion: Codable, Equatable, Sendable {
    /// Size classes by longest axial diameter, as the liver imaging literature reports them.
    public enum SizeClass: String, Codable, Sendable {
        /// Below 10 mm.
        case below10 = "below_10_mm"
        /// 10 to 20 mm.
        case from10To20 = "10_to_20_mm"
        /// Above 20 mm.
        case above20 = "above_20_mm"

        init(longestDiameter: Double) {
            self = longestDiameter < 10 ? .below10 : longestDiameter <= 20 ? .from10To20 : .above20
        }
    }

    /// 1 for the largest lesion, and on by falling volume.
    public let number: Int
    /// Volume in millilitres.
    public let volumeMl: Double
    /// Longest diameter on any axial slice, and the longest chord across it on that slice, in mm.
    public let longestAxialDiameterMm, shortAxisMm: Double
    /// Mean position of its voxels in the file's patient coordinates (NIfTI: x to the Right, y to Anterior, z to
    /// Superior), in mm.
    public let centroidRasMm: [Double]
    /// First and last slice, counted from 0 along the input file's own axial axis.
    public let firstSlice, lastSlice: Int
    /// Slice of the longest diameter, counted in the same way.
    public let diameterSlice: Int
    /// Softmax probability of lesion over its voxels, largest and mean.
    public let largestProbability, meanProbability: Double
    /// By its longest axial diameter.
    public let sizeClass: SizeClass
    /// Of all its voxels; nil in reports of versions that did not measure it.
    public let density: Density?

    enum CodingKeys: String, CodingKey {
        case number
        case volumeMl = "volume_ml"
        case longestAxialDiameterMm = "longest_axial_diameter_mm"
        case shortAxisMm = "short_axis_mm"
        case centroidRasMm = "centroid_ras_mm"
        case firstSlice = "first_slice"
        case lastSlice = "last_slice"
        case diameterSlice = "diameter_slice"
        case largestProbability = "largest_probability"
        case meanProbability = "mean_probability"
        case sizeClass = "size_class"
        case density
    }
}

/// A component that the network called lesion and a rule took away.
public struct DroppedComponent: Codable, Equatable, Sendable {
    /// Which rule.
    public enum Reason: String, Codable, Sendable {
        /// No voxel reached the lesion probability that METHOD step 8 asks for; it became liver.
        case lowProbability = "largest_probability_below_threshold"
        /// It does not touch the largest liver component; it became background.
        case outsideLiver = "outside_the_final_liver"
    }

    /// Why it was dropped.
    public let reason: Reason
    /// Volume in millilitres.
    public let volumeMl: Double
    /// Softmax probability of lesion over its voxels, largest and mean.
    public let largestProbability, meanProbability: Double
    /// Mean position of its voxels in the file's patient coordinates (RAS), in mm.
    public let centroidRasMm: [Double]

    enum CodingKeys: String, CodingKey {
        case reason
        case volumeMl = "volume_ml"
        case largestProbability = "largest_probability"
        case meanProbability = "mean_probability"
        case centroidRasMm = "centroid_ras_mm"
    }
}

/// What is measured of a component on the box's grid, before it is given a place in the patient.
struct ComponentMeasures {
    var largestProbability = 0.0
    var meanProbability = 0.0
    var centroid = SIMD3<Double>.zero
    var diameters = AxialDiameters(long: 0, short: 0)
    var diameterSlice = 0
}

/// Probabilities and centroid of a component of lesion voxels.
func measure(_ component: Component, probabilities: [SliceProbabilities]) -> ComponentMeasures {
    var measures = ComponentMeasures()
    var sum = 0.0
    var position = SIMD3<Double>.zero
    for run in component.runs {
        let columns = Int(run.xStart)..<Int(run.xEnd)
        for value in probabilities[Int(run.z)].run(row: Int(run.y), columns: columns) {
            sum += Double(value)
            measures.largestProbability = max(measures.largestProbability, Double(value))
        }
        let middle = Double(run.xStart + run.xEnd - 1) / 2
        position += SIMD3(middle, Double(run.y), Double(run.z)) * Double(columns.count)
    }
    measures.meanProbability = sum / Double(component.voxelCount)
    measures.centroid = position / Double(component.voxelCount)
    return measures
}

/// The longest axial diameter of a component, the chord across it, and the slice they are on. Parts of one slice that
/// do not touch are measured apart: a diameter never spans healthy tissue between two of them.
package func longestAxialDiameter(
    of component: Component, spacing: SIMD3<Double>
) -> (diameters: AxialDiameters, slice: Int) {
    var best = (diameters: AxialDiameters(long: 0, short: 0), slice: component.box.z.lowerBound)
    var start = 0
    while start < component.runs.count {
        let slice = component.runs[start].z
        var end = start
        while end < component.runs.count, component.runs[end].z == slice { end += 1 }
        for part in touchingParts(component.runs[start..<end]) {
            let rows = part.map { (y: Int($0.y), first: Int($0.xStart), last: Int($0.xEnd) - 1) }
            let diameters = axialDiameters(rows: rows, spacing: SIMD2(spacing.x, spacing.y))
            if diameters.long > best.diameters.long { best = (diameters, Int(slice)) }
        }
        start = end
    }
    return best
}

/// Splits the runs of one slice, in scan order, into parts that touch by an edge or a corner.
private func touchingParts(_ runs: ArraySlice<Run>) -> [[Run]] {
    let runs = Array(runs)
    var parent = Array(runs.indices)
    func root(_ index: Int) -> Int {
        var index = index
        while parent[index] != index { index = parent[index] }
        return index
    }
    for (index, run) in runs.enumerated() {
        for earlier in stride(from: index - 1, through: 0, by: -1) {
            if runs[earlier].y < run.y - 1 { break }
            let touches =
                runs[earlier].y == run.y - 1 && runs[earlier].xStart <= run.xEnd && run.xStart <= runs[earlier].xEnd
            if touches { parent[root(index)] = root(earlier) }
        }
    }
    return Dictionary(grouping: runs.indices, by: root).sorted { $0.key < $1.key }.map { $0.value.map { runs[$0] } }
}

import Imaging

/// The Hounsfield units of a region: how dense it is, and how evenly.
public struct Density: Codable, Equatable, Sendable {
    /// Mean, in HU.
    public let meanHU: Double
    /// Median, in whole HU as CTs store them: the lowest that half of the voxels do not exceed, within -1024 to 3071.
    public let medianHU: Int
    /// Standard deviation over the voxels (of the population), in HU.
    public let deviationHU: Double
    /// How many voxels were measured, at least 1.
    public let voxels: Int

    enum CodingKeys: String, CodingKey {
        case meanHU = "mean_hu"
        case medianHU = "median_hu"
        case deviationHU = "deviation_hu"
        case voxels
    }
}

extension Density {
    /// What a 12-bit CT can store: where the median is looked for.
    package static let storedHU = -1024...3071

    /// The density of the voxels of `runs`.
    ///
    /// - Parameters:
    ///   - runs: on the grid of a box of the scan.
    ///   - corner: the box's first voxel.
    ///   - volume: the scan, in HU.
    /// - Returns: nil where there is no voxel.
    init?(of runs: [Run], from corner: SIMD3<Int>, in volume: Volume<Float>) {
        var histogram = [Int](repeating: 0, count: Self.storedHU.count)
        // Sums of differences from a value of the region itself: squares of large values would cost digits.
        var (first, count, sum, squares) = (0.0, 0, 0.0, 0.0)
        volume.voxels.withUnsafeBufferPointer { hu in
            for run in runs {
                let start = volume.shape.index(
                    corner.x + Int(run.xStart), corner.y + Int(run.y), corner.z + Int(run.z))
                if count == 0 { first = Double(hu[start]) }
                for value in hu[start..<start + run.count] {
                    let difference = Double(value) - first
                    sum += difference
                    squares += difference * difference
                    let whole = min(
                        max(value.rounded(), Float(Self.storedHU.lowerBound)), Float(Self.storedHU.upperBound))
                    histogram[Int(whole) - Self.storedHU.lowerBound] += 1
                }
                count += run.count
            }
        }
        guard count > 0 else { return nil }
        let mean = sum / Double(count)
        var (below, median) = (0, 0)
        while true {
            below += histogram[median]
            if 2 * below >= count { break }
            median += 1
        }
        meanHU = first + mean
        medianHU = median + Self.storedHU.lowerBound
        deviationHU = max(0, squares / Double(count) - mean * mean).squareRoot()
        voxels = count
    }
}

extension Segmenter {
    /// Millimetres of the healthy liver's rim that do not count in its density: there, and around lesions, voxels hold a
    /// part of what lies beside them, and outlines are least sure.
    static let rim = 3.0
}

/// Takes the rim off a component's voxels of one label: those are kept that have no other voxel within `rim`.
///
/// What lies outside the scan is no other voxel: where the scan ends there is no rim. What lies outside the box is one.
///
/// - Parameters:
///   - label: which one.
///   - component: on the grid of `box`.
///   - labels: on that grid too.
///   - box: where they lie in a scan of `scan` voxels.
///   - rim: millimetres between voxel centres; a slice distance above it leaves slices their outer voxels in z.
/// - Returns: the runs of the voxels that are left, in scan order.
/// - Complexity: O(runs · rows within the rim).
func core(
    of label: UInt8, in component: Component, labels: Volume<UInt8>, box: Box, scan: Shape, rim: Double
) -> [Run] {
    let shape = labels.shape
    let spacing = labels.spacing
    var rows = [[Range<Int>]](repeating: [], count: shape.y * shape.z)
    for run in component.runs {
        let row = Int(run.z) * shape.y + Int(run.y)
        let (start, end) = (Int(run.xStart), Int(run.xEnd))
        rows[row] += spans(of: label, in: labels.voxels[row * shape.x + start..<row * shape.x + end], from: start)
    }
    // For each row around a voxel's own, how far along x the rim reaches in it.
    var around: [(y: Int, z: Int, reach: Int)] = []
    let (reachY, reachZ) = (Int(rim / spacing.y), Int(rim / spacing.z))
    for z in -reachZ...reachZ {
        for y in -reachY...reachY {
            let (dy, dz) = (Double(y) * spacing.y, Double(z) * spacing.z)
            let left = rim * rim - dy * dy - dz * dz
            if left >= 0 { around.append((y, z, Int(left.squareRoot() / spacing.x))) }
        }
    }
    var kept: [Run] = []
    for z in 0..<shape.z {
        for y in 0..<shape.y where !rows[z * shape.y + y].isEmpty {
            var left = rows[z * shape.y + y]
            for row in around where !left.isEmpty {
                let (otherY, otherZ) = (y + row.y, z + row.z)
                guard (0..<shape.y).contains(otherY), (0..<shape.z).contains(otherZ) else {
                    let isOutsideScan =
                        !(0..<scan.y).contains(box.y.lowerBound + otherY)
                        || !(0..<scan.z).contains(box.z.lowerBound + otherZ)
                    if !isOutsideScan { left = [] }
                    continue
                }
                let shrunk = rows[otherZ * shape.y + otherY].compactMap { span -> Range<Int>? in
                    let isFirst = box.x.lowerBound + span.lowerBound == 0
                    let isLast = box.x.lowerBound + span.upperBound == scan.x
                    let start = isFirst ? span.lowerBound : span.lowerBound + row.reach
                    let end = isLast ? span.upperBound : span.upperBound - row.reach
                    return start < end ? start..<end : nil
                }
                left = intersection(left, shrunk)
            }
            kept += left.map { Run(xStart: Int32($0.lowerBound), xEnd: Int32($0.upperBound), y: Int32(y), z: Int32(z)) }
        }
    }
    return kept
}

/// Where a part of a row, which begins at column `first`, has the label: from the left.
private func spans(of label: UInt8, in part: ArraySlice<UInt8>, from first: Int) -> [Range<Int>] {
    var found: [Range<Int>] = []
    var start: Int?
    for (offset, value) in part.enumerated() {
        if value == label {
            start = start ?? first + offset
        } else if let begun = start {
            found.append(begun..<first + offset)
            start = nil
        }
    }
    if let start { found.append(start..<first + part.count) }
    return found
}

/// What two lists of spans have in common; both go from the left and do not overlap in themselves.
private func intersection(_ a: [Range<Int>], _ b: [Range<Int>]) -> [Range<Int>] {
    var common: [Range<Int>] = []
    var (i, j) = (0, 0)
    while i < a.count, j < b.count {
        let (start, end) = (max(a[i].lowerBound, b[j].lowerBound), min(a[i].upperBound, b[j].upperBound))
        if start < end { common.append(start..<end) }
        if a[i].upperBound < b[j].upperBound { i += 1 } else { j += 1 }
    }
    return common
}

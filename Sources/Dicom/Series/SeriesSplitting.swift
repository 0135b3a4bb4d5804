import Foundation

/// What the slices of many files make up.
struct Sorted {
    var stacks: [Stack] = []
    /// Slices dropped because the same one was there already.
    var doubled = 0
}

/// Puts slices together that are of one patient, study, series and grid, and separates the volumes within.
///
/// - Parameters:
///   - slices: in any order; the result does not depend on it.
///   - limits: the fewest slices, the most voxels, the most slices at one position.
///   - digest: stands for a slice's voxels, which it may read; nil where they cannot be read.
/// - Complexity: O(n log n), with slices at one position read once each, where nothing else tells them apart.
func sortIntoStacks(
    _ slices: [SliceHeader], limits: DicomLimits, digest: (SliceHeader) -> Int?
) -> Sorted {
    var result = Sorted()
    for group in joiningSingleSlices(grids(of: slices.sorted(by: precedes)), limits: limits) {
        let slices = sortedByPlace(group.slices)
        var stacks = stacks(of: slices, limits: limits, digest: digest, doubled: &result.doubled)
        for index in stacks.indices { stacks[index].notes.series = group.series }
        result.stacks += stacks
    }
    result.stacks.sort { precedes($0.first, $1.first) }
    return result
}

/// The stacks of one grid, whose slices are sorted by place.
private func stacks(
    of slices: [SliceHeader], limits: DicomLimits, digest: (SliceHeader) -> Int?, doubled: inout Int
) -> [Stack] {
    if let fault = slices.lazy.compactMap(\.fault).first { return [Stack(slices, refusal: fault)] }
    if let odd = slices.first(where: { $0.position == nil }) {
        return [Stack(slices, refusal: .multiFrame(frames: odd.frames))]
    }
    let most = mostAtOnePosition(slices)
    guard most <= limits.slicesAtOnePosition else {
        return [Stack(slices, refusal: .tooManyAtOnePosition(found: most, limit: limits.slicesAtOnePosition))]
    }
    var kept = droppingDoubled(slices, ofOneInstance: true, digest: digest)
    var parts = volumes(in: kept, limits: limits)
    if parts == nil {
        kept = droppingDoubled(kept, ofOneInstance: false, digest: digest)
        parts = volumes(in: kept, limits: limits)
    }
    doubled += slices.count - kept.count
    guard let parts else {
        let places = positions(of: kept).count
        return [Stack(kept, refusal: .phasesNotSeparable(slices: kept.count, positions: places))]
    }
    return joiningEndToEnd(parts).map { part in
        var stack = Stack(part.slices, limits: limits)
        stack.notes.overlapping = part.leftOut
        stack.notes.framesOfReference = Set(part.slices.map { $0.marks[Mark.frameOfReference.rawValue] }).count
        stack.notes.strays = strays(in: part.slices)
        return stack
    }
}

/// An order of slices that does not depend on files' names or order.
func precedes(_ a: SliceHeader, _ b: SliceHeader) -> Bool {
    func number(_ value: Int?) -> Int { value ?? .max }
    if a.seriesNumber != b.seriesNumber { return number(a.seriesNumber) < number(b.seriesNumber) }
    if a.acquisitionNumber != b.acquisitionNumber { return number(a.acquisitionNumber) < number(b.acquisitionNumber) }
    if a.instanceNumber != b.instanceNumber { return number(a.instanceNumber) < number(b.instanceNumber) }
    if a.origin != b.origin { return a.origin < b.origin }
    if a.place != b.place { return a.place < b.place }
    if a.frame != b.frame { return a.frame < b.frame }
    return a.instance < b.instance
}

private func sortedByPlace(_ slices: [SliceHeader]) -> [SliceHeader] {
    // Sorting is stable, so slices at one place stay in the order above.
    slices.map { (place: $0.place, slice: $0) }.sorted { $0.place < $1.place }.map(\.slice)
}

// MARK: Grids

/// Slices of one origin and grid; of several series where each had a slice or two.
private struct Grid {
    var slices: [SliceHeader]
    var series = 1
}

/// What slices of one grid have exactly in common.
private struct GridKey: Hashable {
    var origin: Origin
    var seriesNumber: Int?
    let rows, columns: Int
    let isPlaced: Bool

    init(_ slice: SliceHeader) {
        origin = slice.origin
        seriesNumber = slice.seriesNumber
        (rows, columns) = (slice.rows, slice.columns)
        isPlaced = slice.position != nil
    }
}

/// How many grids of one series a slice is compared with: a series that turns has a grid each slice, and no volume.
private let comparedGrids = 64

/// Slices by origin, grid and orientation.
private func grids(of slices: [SliceHeader]) -> [Grid] {
    var grids: [Grid] = []
    var known: [GridKey: [Int]] = [:]
    for slice in slices {
        let key = GridKey(slice)
        // The last first: neighbours are mostly of one grid.
        if let index = known[key]?.suffix(comparedGrids).last(where: { isSameGrid(grids[$0].slices[0], slice) }) {
            grids[index].slices.append(slice)
        } else {
            known[key, default: []].append(grids.count)
            grids.append(Grid(slices: [slice]))
        }
    }
    return grids
}

private func isSameGrid(_ a: SliceHeader, _ b: SliceHeader) -> Bool {
    func isNear(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> Bool { dot(a - b, a - b) < 1e-6 }
    // What has a fault stands for its series, in whichever grid.
    if a.fault != nil || b.fault != nil { return true }
    return abs(a.columnSpacing - b.columnSpacing) < 1e-3 && abs(a.rowSpacing - b.rowSpacing) < 1e-3
        && isNear(a.alongRow, b.alongRow) && isNear(a.alongColumn, b.alongColumn)
}

/// Joins series of a slice or two that make one even stack: some programs give each file a series of its own.
private func joiningSingleSlices(_ grids: [Grid], limits: DicomLimits) -> [Grid] {
    let isSmall = grids.map { $0.slices.count <= 2 && $0.slices[0].position != nil && $0.slices[0].fault == nil }
    var candidates: [GridKey: [Int]] = [:]
    for index in grids.indices where isSmall[index] {
        var key = GridKey(grids[index].slices[0])
        (key.origin.series, key.seriesNumber) = ("", nil)
        candidates[key, default: []].append(index)
    }
    var joined: [Grid] = []
    var gone = Set<Int>()
    for indices in candidates.values where indices.count > 1 {
        let slices = indices.flatMap { grids[$0].slices }
        guard slices.count >= limits.slices,
            slices.allSatisfy({ isSameGrid($0, slices[0]) && isOfOneKind($0, slices[0], anyPlace: true) })
        else { continue }
        let sorted = sortedByPlace(slices)
        guard !hasRepeats(sorted), isEven(sorted) else { continue }
        joined.append(Grid(slices: slices.sorted(by: precedes), series: indices.count))
        gone.formUnion(indices)
    }
    return grids.indices.filter { !gone.contains($0) }.map { grids[$0] } + joined
}

// MARK: Doubled slices

/// Keeps the first of the slices at each position that hold the same voxels in the same scale.
///
/// - Parameter ofOneInstance: whether only slices of one SOPInstanceUID may be the same.
private func droppingDoubled(
    _ slices: [SliceHeader], ofOneInstance: Bool, digest: (SliceHeader) -> Int?
) -> [SliceHeader] {
    struct Content: Hashable {
        let instance: String
        let voxels: Int
        let slope, intercept: Double
    }
    return positions(of: slices).flatMap { range -> ArraySlice<SliceHeader> in
        let group = slices[range]
        guard group.count > 1 else { return group }
        var instances: [String: Int] = [:]
        if ofOneInstance { for slice in group { instances[slice.instance, default: 0] += 1 } }
        var seen = Set<Content>()
        return group.filter { slice in
            if ofOneInstance {
                guard !slice.instance.isEmpty, instances[slice.instance, default: 0] > 1 else { return true }
            }
            guard let voxels = digest(slice) else { return true }
            let instance = ofOneInstance ? slice.instance : ""
            return seen.insert(
                Content(instance: instance, voxels: voxels, slope: slice.slope, intercept: slice.intercept)
            ).inserted
        }[...]
    }
}

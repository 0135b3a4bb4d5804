import Foundation

/// What the slices of many files make up.
struct Sorted {
    var stacks: [Stack] = []
    /// Slices dropped because the same one was there already.
    var doubled = 0
}

/// Puts slices together that are of one series and grid, and separates the phases within.
///
/// - Parameters:
///   - slices: in any order; the result does not depend on it.
///   - limits: the fewest slices, the most voxels.
///   - areSame: whether two slices at one position hold the same voxels; it may read them.
func sortIntoStacks(
    _ slices: [SliceHeader], limits: DicomLimits, areSame: (SliceHeader, SliceHeader) -> Bool
) -> Sorted {
    var result = Sorted()
    for group in grids(of: slices.sorted(by: precedes)) {
        if let odd = group.first(where: { $0.position == nil }) {
            result.stacks.append(Stack(group, refusal: .multiFrame(frames: odd.frames)))
            continue
        }
        let known = droppingDoubled(group) { $0.instance == $1.instance && !$0.instance.isEmpty && areSame($0, $1) }
        var parts = phases(of: known, limits: limits)
        var kept = known
        if parts == nil {
            kept = droppingDoubled(known, where: areSame)
            parts = phases(of: kept, limits: limits)
        }
        result.doubled += group.count - kept.count
        if let parts {
            result.stacks += parts.map { Stack($0, limits: limits) }
        } else {
            let places = positions(of: kept).count
            result.stacks.append(
                Stack(kept, refusal: .phasesNotSeparable(slices: kept.count, positions: places)))
        }
    }
    result.stacks.sort { precedes($0.first, $1.first) }
    return result
}

/// An order of slices that does not depend on files' names or order.
private func precedes(_ a: SliceHeader, _ b: SliceHeader) -> Bool {
    func key(_ slice: SliceHeader) -> [Int] {
        [slice.seriesNumber ?? .max, slice.acquisitionNumber ?? .max, slice.instanceNumber ?? .max]
    }
    let (first, second) = (key(a), key(b))
    if first != second { return first.lexicographicallyPrecedes(second) }
    if a.series != b.series { return a.series < b.series }
    if a.place != b.place { return a.place < b.place }
    return a.instance < b.instance
}

/// Slices by series, grid and orientation.
private func grids(of slices: [SliceHeader]) -> [[SliceHeader]] {
    var groups: [[SliceHeader]] = []
    for slice in slices {
        if let index = groups.firstIndex(where: { isSameGrid($0[0], slice) }) {
            groups[index].append(slice)
        } else {
            groups.append([slice])
        }
    }
    return groups
}

private func isSameGrid(_ a: SliceHeader, _ b: SliceHeader) -> Bool {
    func isNear(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> Bool { dot(a - b, a - b) < 1e-6 }
    return a.series == b.series && a.seriesNumber == b.seriesNumber && a.frameOfReference == b.frameOfReference
        && a.rows == b.rows && a.columns == b.columns && (a.position == nil) == (b.position == nil)
        && abs(a.columnSpacing - b.columnSpacing) < 1e-3 && abs(a.rowSpacing - b.rowSpacing) < 1e-3
        && isNear(a.alongRow, b.alongRow) && isNear(a.alongColumn, b.alongColumn)
}

/// Keeps the first of the slices at each position that `areSame` says are one.
private func droppingDoubled(
    _ slices: [SliceHeader], where areSame: (SliceHeader, SliceHeader) -> Bool
) -> [SliceHeader] {
    positions(of: slices).flatMap { group in
        group.reduce(into: [SliceHeader]()) { kept, slice in
            if !kept.contains(where: { areSame($0, slice) }) { kept.append(slice) }
        }
    }
}

/// The phases of one grid, each with a position at most once; nil where nothing tells them apart.
///
/// One even stack is one volume, whatever its acquisition numbers are: some scanners count each turn of the gantry.
private func phases(of slices: [SliceHeader], limits: DicomLimits) -> [[SliceHeader]]? {
    if hasRepeats(slices) { return separate(slices, by: Separator.all[...], limits: limits) }
    let parts = Separator.acquisition.parts(of: slices) ?? []
    guard parts.count > 1, parts.allSatisfy({ $0.count >= limits.slices }) else { return [slices] }
    do throws(DicomError) {
        _ = try evenSpacing(of: slices.sorted { $0.place < $1.place })
        return [slices]
    } catch {
        return parts
    }
}

private func hasRepeats(_ slices: [SliceHeader]) -> Bool { positions(of: slices).contains { $0.count > 1 } }

private func separate(
    _ slices: [SliceHeader], by separators: ArraySlice<Separator>, limits: DicomLimits
) -> [[SliceHeader]]? {
    guard hasRepeats(slices) else { return [slices] }
    for (index, separator) in zip(separators.indices, separators) {
        // Parts too small to be volumes are no phases.
        guard let parts = separator.parts(of: slices), parts.count > 1, parts.count * limits.slices <= slices.count
        else { continue }
        let resolved = parts.map { separate($0, by: separators[(index + 1)...], limits: limits) }
        if resolved.allSatisfy({ $0 != nil }) { return resolved.flatMap { $0 ?? [] } }
    }
    return nil
}

/// What may tell phases apart, in the order in which it is believed.
private enum Separator: CaseIterable {
    case acquisition, temporalPosition, acquisitionTime, contentTime, instance

    static let all = Array(allCases)

    /// Slices with one value, or runs of rising values that have every position once; nil where it does not apply.
    func parts(of slices: [SliceHeader]) -> [[SliceHeader]]? {
        switch self {
        case .acquisition: byValue(slices, \.acquisitionNumber)
        case .temporalPosition: byValue(slices, \.temporalPosition)
        case .acquisitionTime: byRuns(slices, slices.compactMap(\.acquisitionTime))
        case .contentTime: byRuns(slices, slices.compactMap(\.contentTime))
        case .instance: byRuns(slices, slices.compactMap { $0.instanceNumber.map(Double.init) })
        }
    }

    private func byValue(_ slices: [SliceHeader], _ value: KeyPath<SliceHeader, Int?>) -> [[SliceHeader]] {
        Dictionary(grouping: slices) { $0[keyPath: value] }.sorted { ($0.key ?? .max) < ($1.key ?? .max) }.map(\.value)
    }

    private func byRuns(_ slices: [SliceHeader], _ values: [Double]) -> [[SliceHeader]]? {
        let places = positions(of: slices).count
        guard values.count == slices.count, slices.count % places == 0 else { return nil }
        let order = slices.indices.sorted { values[$0] < values[$1] }
        var runs: [[SliceHeader]] = []
        for start in stride(from: 0, to: order.count, by: places) {
            let run = order[start..<start + places]
            if start > 0, values[order[start]] <= values[order[start - 1]] { return nil }
            runs.append(run.map { slices[$0] })
        }
        return runs.allSatisfy { !hasRepeats($0) } ? runs : nil
    }
}

/// The volumes of one grid, each with a position at most once; nil where nothing tells slices at one position apart.
///
/// One even stack is one volume, whatever its acquisition numbers are: some scanners count each turn of the gantry. But
/// where slices of two kinds alternate, as in two phases of which one lies between the other's slices, each is a volume.
///
/// - Parameter slices: sorted by place.
func volumes(in slices: [SliceHeader], limits: DicomLimits) -> [[SliceHeader]]? {
    guard hasRepeats(slices) else { return withoutRepeats(slices, limits: limits) }
    let ways = separations(of: slices).filter { parts in
        // Parts too small to be volumes are no phases.
        parts.count > 1 && parts.count * limits.slices <= slices.count
    }
    // What resolves all is believed before what resolves some; then what comes first. No way is given up for another, so
    // that no input makes this slow.
    let whole = ways.first { parts in parts.allSatisfy { !hasRepeats($0) } }
    let most = mostAtOnePosition(slices)
    guard let parts = whole ?? ways.first(where: { parts in parts.allSatisfy { mostAtOnePosition($0) < most } }) else {
        return nil
    }
    var result: [[SliceHeader]] = []
    for part in parts {
        guard let volumes = volumes(in: part, limits: limits) else { return nil }
        result += volumes
    }
    return result
}

/// The volumes of slices of which no two are at one position.
private func withoutRepeats(_ slices: [SliceHeader], limits: DicomLimits) -> [[SliceHeader]] {
    for mark in Mark.allCases {
        let parts = byValue(slices, mark)
        guard isInterleaved(slices, mark, parts.count) else { continue }
        let isSplit = mark.isCertain ? !hasStraysOnly(parts) : areStacksOfTheirOwn(parts)
        if isSplit { return parts.flatMap { withoutRepeats($0, limits: limits) } }
    }
    if let parts = runs(of: slices).first(where: areStacksOfTheirOwn) { return parts }
    // Other frames of reference, each of a volume's length, are other places, whatever their numbers.
    let frames = byValue(slices, .frameOfReference)
    if frames.count > 1, frames.allSatisfy({ $0.count >= limits.slices }) { return frames }
    let parts = byValue(slices, .acquisition)
    guard parts.count > 1, parts.allSatisfy({ $0.count >= limits.slices }), !isEven(slices) else { return [slices] }
    return parts
}

/// How many slices differ from those above and below by a mark of which one volume never has two values by turns.
func strays(in slices: [SliceHeader]) -> Int {
    Mark.allCases.filter { $0.isCertain && $0 != .frameOfReference }.map { mark in
        let parts = byValue(slices, mark)
        guard isInterleaved(slices, mark, parts.count) else { return 0 }
        return slices.count - (parts.map(\.count).max() ?? 0)
    }.max() ?? 0
}

/// All ways to part slices, in the order in which they are believed: by value, then by time and number.
private func separations(of slices: [SliceHeader]) -> [[[SliceHeader]]] {
    let certain = Mark.allCases.filter(\.isCertain).map { byValue(slices, $0) }
    let others = Mark.allCases.filter { !$0.isCertain }.map { byValue(slices, $0) }
    return certain + runs(of: slices) + others
}

/// Slices by the value of a mark, sorted by place as before; parts in the order of their lowest slices.
private func byValue(_ slices: [SliceHeader], _ mark: Mark) -> [[SliceHeader]] {
    var parts: [[SliceHeader]] = []
    var known: [Int: Int] = [:]
    for slice in slices {
        if let index = known[slice.marks[mark.rawValue]] {
            parts[index].append(slice)
        } else {
            known[slice.marks[mark.rawValue]] = parts.count
            parts.append([slice])
        }
    }
    return parts
}

/// Whether slices of one value lie between those of another: more runs along the stack than values. Not where most slices
/// have a value of their own, which then tells nothing.
private func isInterleaved(_ slices: [SliceHeader], _ mark: Mark, _ values: Int) -> Bool {
    guard values > 1, values <= slices.count / 2 else { return false }
    let changes = zip(slices, slices.dropFirst()).count { $0.marks[mark.rawValue] != $1.marks[mark.rawValue] }
    return changes + 1 > values
}

/// Whether all but a tenth of the slices are of one part: some repeated slices are no phase.
private func hasStraysOnly(_ parts: [[SliceHeader]]) -> Bool {
    let counts = parts.map(\.count)
    return 10 * (counts.reduce(0, +) - (counts.max() ?? 0)) <= counts.reduce(0, +)
}

/// Whether each part is an even stack, and lies among the slices of another.
private func areStacksOfTheirOwn(_ parts: [[SliceHeader]]) -> Bool {
    guard parts.count > 1, parts.allSatisfy({ $0.count >= 3 && isEven($0) }) else { return false }
    let ends = parts.map { (low: $0[0].place, high: $0[$0.count - 1].place) }.sorted { $0.low < $1.low }
    return zip(ends, ends.dropFirst()).allSatisfy { $1.low < $0.high - samePlace }
}

// MARK: Runs

/// Ways to part slices by their order in time or number: each run goes along the stack in one direction.
private func runs(of slices: [SliceHeader]) -> [[[SliceHeader]]] {
    let orders: [[Double?]] = [
        slices.map(\.acquisitionTime), slices.map(\.triggerTime), slices.map(\.contentTime),
        slices.map { $0.acquisitionNumber.map(Double.init) }, slices.map { $0.instanceNumber.map(Double.init) },
    ]
    return orders.flatMap { order -> [[[SliceHeader]]] in
        let values = order.compactMap { $0 }
        guard values.count == slices.count, values.count > 1, values.allSatisfy(\.isFinite) else { return [] }
        return [runs(slices, by: values, atSteps: false), runs(slices, by: values, atSteps: true)].compactMap { $0 }
    }
}

/// Slices in the order of `values`, parted where the way along the stack turns or stands still.
///
/// - Parameter atSteps: whether a step of another length parts them too, as between phases that go to and fro.
/// - Returns: each run sorted by place; nil where slices of one value lie at one position.
private func runs(_ slices: [SliceHeader], by values: [Double], atSteps: Bool) -> [[SliceHeader]]? {
    let places = slices.map(\.place)
    // Slices of one value, as those of one turn of the gantry, count as one step; within it they are sorted by place.
    var units: [ArraySlice<Int>] = []
    let order = slices.indices.sorted { (values[$0], $0) < (values[$1], $1) }
    var begin = 0
    for end in 1...order.count where end == order.count || values[order[end]] != values[order[begin]] {
        units.append(order[begin..<end])
        begin = end
    }
    for unit in units where zip(unit, unit.dropFirst()).contains(where: { places[$1] - places[$0] < samePlace }) {
        return nil
    }
    let middles = units.map { unit in (places[unit[unit.startIndex]] + places[unit[unit.endIndex - 1]]) / 2 }
    var result: [[Int]] = []
    var step: Double?
    for (index, unit) in units.enumerated() {
        let moved = index > 0 ? middles[index] - middles[index - 1] : 0
        let turns = step.map { moved * $0 <= 0 || (atSteps && abs(moved - $0) > 0.2 * abs($0)) } ?? false
        if index == 0 || turns || abs(moved) < samePlace {
            result.append(Array(unit))
            step = nil
        } else {
            result[result.count - 1] += unit
            step = moved
        }
    }
    return result.map { run in run.sorted { (places[$0], $0) < (places[$1], $1) }.map { slices[$0] } }
}

// MARK: Parts end to end

/// A volume, and how many slices were left out where its parts overlap.
struct JoinedPart {
    var slices: [SliceHeader]
    var leftOut = 0
}

/// Joins volumes that lie end to end and share some positions, as a scan in two acquisitions does: there the slices of
/// the lower one are kept. Only where all of them make one even stack; what overlaps by more than a quarter is a phase.
func joiningEndToEnd(_ volumes: [[SliceHeader]]) -> [JoinedPart] {
    let separate = volumes.map { JoinedPart(slices: $0) }
    let parts = volumes.sorted { $0[0].place < $1[0].place }
    guard parts.count > 1, parts.allSatisfy({ isOfOneKind($0[0], parts[0][0], anyPlace: false) }) else {
        return separate
    }
    var joined = JoinedPart(slices: parts[0])
    for (below, part) in zip(parts, parts.dropFirst()) {
        let end = joined.slices[joined.slices.count - 1].place
        let beyond = part.drop { $0.place - end < samePlace }
        let overlap = part.count - beyond.count
        guard overlap > 0, 4 * overlap <= min(below.count, part.count) else { return separate }
        joined.slices += beyond
        joined.leftOut += overlap
    }
    return isEven(joined.slices) ? [joined] : separate
}

/// Whether two slices may be of one volume, by all but their places and moments.
///
/// - Parameter anyPlace: whether their frames of reference may differ.
func isOfOneKind(_ a: SliceHeader, _ b: SliceHeader, anyPlace: Bool) -> Bool {
    let marks: [Mark] = [.imageType, .kernel, .voltage] + (anyPlace ? [] : [.frameOfReference])
    return marks.allSatisfy { a.marks[$0.rawValue] == b.marks[$0.rawValue] }
}

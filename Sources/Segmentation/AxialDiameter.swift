/// The two diameters a radiologist measures on one axial slice, in mm.
package struct AxialDiameters: Equatable {
    /// The longest distance between two points of the outline.
    package var long: Double
    /// The longest chord at right angles to it.
    package var short: Double
    /// The two points that ``long`` lies between, in mm from the centre of the first pixel; none without an outline.
    package var ends: [SIMD2<Double>] = []
}

/// Measures the convex hull of a set of pixels of one slice.
///
/// A pixel's extent is taken as its four edge midpoints, so that n pixels in a row measure n times the spacing, and a
/// single pixel measures its spacing. The short axis is the longest chord of the hull perpendicular to the long one, as
/// in the bidimensional measure of Eisenhauer et al., RECIST 1.1, European Journal of Cancer 45 (2009) 228-247.
///
/// - Parameters:
///   - rows: for each row, its y index and the first and last x index of the pixels in it.
///   - spacing: millimetres between columns and between rows.
/// - Returns: zero for an empty set.
func axialDiameters(rows: [(y: Int, first: Int, last: Int)], spacing: SIMD2<Double>) -> AxialDiameters {
    let points = rows.flatMap { row -> [SIMD2<Double>] in
        let y = Double(row.y)
        let first = Double(row.first)
        let last = Double(row.last)
        return [
            SIMD2(first - 0.5, y), SIMD2(last + 0.5, y), SIMD2(first, y - 0.5), SIMD2(first, y + 0.5),
            SIMD2(last, y - 0.5), SIMD2(last, y + 0.5),
        ].map { $0 * spacing }
    }
    let hull = convexHull(points)
    var best = (squared: -1.0, from: SIMD2<Double>.zero, to: SIMD2<Double>.zero)
    for (index, a) in hull.enumerated() {
        for b in hull[(index + 1)...] {
            let squared = ((a - b) * (a - b)).sum()
            if squared > best.squared { best = (squared, a, b) }
        }
    }
    guard best.squared > 0 else { return AxialDiameters(long: 0, short: 0) }
    let long = best.squared.squareRoot()
    let along = (best.to - best.from) / long
    let across = SIMD2(-along.y, along.x)
    // The chord's length is a concave function of its place along the axis, with its corners at hull points.
    let short = hull.map { chord(of: hull, at: ($0 * along).sum(), along: along, across: across) }.max() ?? 0
    return AxialDiameters(long: long, short: short, ends: [best.from, best.to])
}

/// Length of the hull's cut by the line { p : p · along = place }.
private func chord(
    of hull: [SIMD2<Double>], at place: Double, along: SIMD2<Double>, across: SIMD2<Double>
) -> Double {
    var low = Double.infinity
    var high = -Double.infinity
    for (index, a) in hull.enumerated() {
        let b = hull[(index + 1) % hull.count]
        let from = (a * along).sum()
        let to = (b * along).sum()
        guard min(from, to) <= place, place <= max(from, to) else { continue }
        let ends = from == to ? [a, b] : [a + (b - a) * ((place - from) / (to - from))]
        for end in ends {
            low = min(low, (end * across).sum())
            high = max(high, (end * across).sum())
        }
    }
    return max(0, high - low)
}

/// The corners of the convex hull, anticlockwise (Andrew's monotone chain).
private func convexHull(_ points: [SIMD2<Double>]) -> [SIMD2<Double>] {
    let sorted = points.sorted { ($0.x, $0.y) < ($1.x, $1.y) }
    guard sorted.count > 2 else { return sorted }
    func half(_ points: some Sequence<SIMD2<Double>>) -> [SIMD2<Double>] {
        var chain: [SIMD2<Double>] = []
        for point in points {
            while chain.count >= 2, turn(chain[chain.count - 2], chain[chain.count - 1], point) <= 0 {
                chain.removeLast()
            }
            chain.append(point)
        }
        return chain.dropLast()
    }
    return half(sorted) + half(sorted.reversed())
}

/// Above 0 for a left turn at `b`.
private func turn(_ a: SIMD2<Double>, _ b: SIMD2<Double>, _ c: SIMD2<Double>) -> Double {
    (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

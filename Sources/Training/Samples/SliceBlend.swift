internal import Compute
internal import Glibc
import Imaging

/// One slice of a sample as a mean of slices of its case.
struct SliceBlend: Equatable, Sendable {
    /// Where it lies, in slices of its case.
    let position: Float
    /// The slices and their weights, which add up to 1.
    let shares: [(slice: Int, weight: Float)]

    /// The slice of the case that lies nearest.
    var nearest: Int { Int(position.rounded()) }

    static func == (a: SliceBlend, b: SliceBlend) -> Bool {
        a.position == b.position && a.shares.elementsEqual(b.shares) { $0.slice == $1.slice && $0.weight == $1.weight }
    }

    /// A slice as it is; at a scan's ends the last slice is repeated, as in use.
    ///
    /// - Parameter count: slices in the case.
    init(_ slice: Int, count: Int) {
        let slice = min(max(slice, 0), count - 1)
        position = Float(slice)
        shares = [(slice, 1)]
    }

    /// A place between two slices.
    private init(at position: Float, count: Int) {
        let position = min(max(position, 0), Float(count - 1))
        let low = Int(position)
        let weight = position - Float(low)
        self.position = position
        shares =
            weight < 0.01 || low == count - 1
            ? [(slice: low, weight: Float(1))]
            : [(slice: low, weight: 1 - weight), (slice: low + 1, weight: weight)]
    }

    /// A thick slice: a slice with half as much of its two neighbours.
    private init(thick slice: Int, count: Int) {
        let slice = min(max(slice, 0), count - 1)
        position = Float(slice)
        shares = [(max(slice - 1, 0), 0.25), (slice, 0.5), (min(slice + 1, count - 1), 0.25)]
    }

    /// A stack with another distance between its slices.
    ///
    /// - Parameters:
    ///   - slice: the middle slice.
    ///   - reach: slices on either side of it.
    ///   - thickness: the distances to draw from, in mm.
    static func stack(
        around slice: Int, reach: Int, of source: TrainingCase, thickness: ClosedRange<Double>,
        random: inout SplitMix64
    ) -> [SliceBlend] {
        let count = source.ct.shape.z
        let wanted = thickness.lowerBound * pow(thickness.upperBound / thickness.lowerBound, random.unit())
        let step = wanted / source.ct.spacing.z
        let isThick = random.unit() < 0.5
        if step < 0.8 {
            return (-reach...reach).map { SliceBlend(at: Float(slice) + Float(step) * Float($0), count: count) }
        }
        // More than a few would leave nothing of the neighbourhood in a scan of usual height.
        let whole = min(max(Int(step.rounded()), 1), 5)
        return (-reach...reach).map { offset in
            let at = slice + offset * whole
            return isThick && whole > 1 ? SliceBlend(thick: at, count: count) : SliceBlend(at, count: count)
        }
    }
}

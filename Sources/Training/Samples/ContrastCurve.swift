internal import Compute

/// A rising curve within the window, as another phase or another filling of vessels and gut would give: values at the
/// window's ends stay.
struct ContrastCurve: Equatable, Sendable {
    private let low, step: Float
    /// What the knots become, the window's ends included.
    private let values: [Float]

    private static let knots = 6
    /// HU that neighbouring knots stay apart, so that no contrast goes wholly.
    private static let least: Float = 6

    /// Draws a curve.
    ///
    /// - Parameters:
    ///   - window: the model's window in HU.
    ///   - strength: the most HU by which a knot moves on its own, and by which all of them move together.
    init(window: ClosedRange<Double>, strength: Double, random: inout SplitMix64) {
        let (low, high) = (Float(window.lowerBound), Float(window.upperBound))
        let step = (high - low) / Float(Self.knots - 1)
        let shared = random.uniform(-strength...strength)
        var values = (0..<Self.knots).map { knot in
            low + Float(knot) * step + Float(shared + random.uniform(-strength...strength) * 0.6)
        }
        values[0] = low
        values[Self.knots - 1] = high
        let least = min(Self.least, step / 2)
        for knot in 1..<Self.knots - 1 {
            let room = Float(Self.knots - 1 - knot) * least
            values[knot] = min(max(values[knot], values[knot - 1] + least), high - room)
        }
        self.low = low
        self.step = step
        self.values = values
    }

    /// What a value becomes; what lies outside the window stays.
    @inline(__always) func callAsFunction(_ value: Float) -> Float {
        let at = (value - low) / step
        guard at > 0, at < Float(values.count - 1) else { return value }
        let knot = Int(at)
        return values[knot] + (values[knot + 1] - values[knot]) * (at - Float(knot))
    }
}

/// How a file's axes lie along the canonical ones: x to the patient's Left, y to Posterior, z to Superior.
public struct CanonicalAxes: Equatable, Sendable {
    /// The file's axis (0, 1 or 2) that canonical x, y and z run along: a permutation.
    public let stored: [Int]
    /// Whether canonical x, y and z run against that axis.
    public let flipped: [Bool]

    /// The best one-to-one assignment for a map from stored voxels to RAS millimetres.
    ///
    /// Of the six permutations the one with the largest sum of direction cosines is taken; between equals, as at
    /// 45 degrees, the one nearest to the file's own order. Every axis is used once, however oblique the map is.
    ///
    /// - Parameter affine: must not be singular.
    public init(of affine: Affine) {
        let directions = (0..<3).map { affine[$0] / length(affine[$0]) }
        let permutations = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
        var best = permutations[0]
        var bestScore = -1.0
        for permutation in permutations {
            let cosines = (0..<3).map { abs(directions[permutation[$0]][$0]) }
            let score = cosines.reduce(0, +)
            if cosines.allSatisfy({ $0 > 1e-9 }), score > bestScore + 1e-6 {
                best = permutation
                bestScore = score
            }
        }
        stored = best
        // The map's x and y grow to Right and Anterior, against canonical x and y.
        flipped = (0..<3).map { ($0 == 2) == (directions[best[$0]][$0] < 0) }
    }

    /// Where each of the file's axes grows to, as three of the letters R L A P I S: `LAS`, for example.
    public var orientation: String {
        var letters = [Character](repeating: "?", count: 3)
        let ahead: [Character] = ["L", "P", "S"]
        let behind: [Character] = ["R", "A", "I"]
        for axis in 0..<3 { letters[stored[axis]] = flipped[axis] ? behind[axis] : ahead[axis] }
        return String(letters)
    }

    /// The shape on canonical axes.
    func canonicalShape(of shape: Shape) -> Shape { Shape(shape[stored[0]], shape[stored[1]], shape[stored[2]]) }

    /// The map from canonical voxels to RAS millimetres.
    func canonicalAffine(of affine: Affine, shape: Shape) -> Affine {
        var origin = affine.origin
        var steps: [SIMD3<Double>] = []
        for axis in 0..<3 {
            let step = affine[stored[axis]]
            if flipped[axis] { origin += step * Double(shape[stored[axis]] - 1) }
            steps.append(flipped[axis] ? -step : step)
        }
        return Affine(x: steps[0], y: steps[1], z: steps[2], origin: origin)
    }
}

/// Where a stored voxel lies in an array on canonical axes: `base + i · strides[0] + j · strides[1] + k · strides[2]`.
struct CanonicalIndex {
    let base: Int
    let strides: [Int]

    init(axes: CanonicalAxes, storedShape: Shape) {
        let canonical = axes.canonicalShape(of: storedShape)
        let steps = [1, canonical.x, canonical.x * canonical.y]
        var base = 0
        var strides = [0, 0, 0]
        for axis in 0..<3 {
            strides[axes.stored[axis]] = axes.flipped[axis] ? -steps[axis] : steps[axis]
            if axes.flipped[axis] { base += steps[axis] * (canonical[axis] - 1) }
        }
        self.base = base
        self.strides = strides
    }
}

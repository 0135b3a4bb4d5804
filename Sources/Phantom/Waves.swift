internal import Compute

/// A smooth random field: a sum of products of waves along x, y and z.
///
/// Because each product is separable, a row of voxels costs one multiplication a wave and voxel.
struct Waves {
    private struct Term {
        var amplitude: Float
        /// Turns a millimetre, and the phase in turns, along x, y and z.
        var rate, phase: SIMD3<Float>
    }

    private let terms: [Term]

    /// `count` waves with wavelengths in `lengths` (mm) and amplitudes that add up to at most `amplitude`.
    init(_ random: inout SplitMix64, count: Int, amplitude: Float, lengths: ClosedRange<Float>) {
        terms = (0..<count).map { _ in
            let rate = SIMD3<Float>(
                1 / random.float(lengths), 1 / random.float(lengths), 1 / random.float(lengths))
            let phase = SIMD3<Float>(random.float(0...1), random.float(0...1), random.float(0...1))
            return Term(amplitude: amplitude / Float(count), rate: rate, phase: phase)
        }
    }

    /// Adds the field along one row to `row`: `x` holds the positions of the row's points, `y` and `z` are the same
    /// for all of them.
    func add(to row: UnsafeMutablePointer<Lanes>, blocks: Int, x: UnsafeMutablePointer<Lanes>, y: Float, z: Float) {
        for term in terms {
            let along = Lanes(repeating: 0) + y * term.rate.y + term.phase.y
            let across = Lanes(repeating: 0) + z * term.rate.z + term.phase.z
            let factor = term.amplitude * wave(along) * wave(across)
            for block in 0..<blocks {
                row[block] += factor * wave(x[block] * term.rate.x + term.phase.x)
            }
        }
    }

    /// The field at eight points.
    @inline(__always) func callAsFunction(_ p: Points) -> Lanes {
        var sum = Lanes.zero
        for term in terms {
            let x = wave(p.x * term.rate.x + term.phase.x)
            let y = wave(p.y * term.rate.y + term.phase.y)
            let z = wave(p.z * term.rate.z + term.phase.z)
            sum += term.amplitude * (x * y * z)
        }
        return sum
    }
}

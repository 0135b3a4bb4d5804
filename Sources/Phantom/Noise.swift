internal import Compute
import Imaging

/// The noise of a CT reconstruction: normal, the same in every slice, correlated over about a millimetre in the slice,
/// with little power at the lowest frequencies.
///
/// Every value depends on the seed and on its place alone, so that slices can be made in any order.
struct Noise {
    private let seed: UInt64
    private let shape: Shape
    /// Weights of a narrow and of a wide blur along x and y; their difference is what is kept.
    private let narrow, wide: (x: [Float], y: [Float])
    private let gain: Float

    /// Noise of `deviation` HU for voxels of `spacing` mm.
    init(seed: UInt64, shape: Shape, spacing: SIMD3<Double>, deviation: Double) {
        self.seed = seed
        self.shape = shape
        narrow = (Noise.weights(0.75 / spacing.x), Noise.weights(0.75 / spacing.y))
        wide = (Noise.weights(2.4 / spacing.x), Noise.weights(2.4 / spacing.y))
        // The variance of white noise after the filter is the sum of its squared weights.
        var power = 0.0
        for y in wide.y.indices {
            for x in wide.x.indices {
                let inner = Noise.value(narrow.x, x, in: wide.x) * Noise.value(narrow.y, y, in: wide.y)
                let weight = Double(inner) - Noise.wideShare * Double(wide.x[x] * wide.y[y])
                power += weight * weight
            }
        }
        gain = Float(deviation / power.squareRoot())
    }

    private static let wideShare = 0.7

    /// The weight of the centred kernel `kernel` at `index` of the longer kernel `frame`.
    private static func value(_ kernel: [Float], _ index: Int, in frame: [Float]) -> Float {
        let shifted = index - (frame.count - kernel.count) / 2
        return kernel.indices.contains(shifted) ? kernel[shifted] : 0
    }

    /// A bell of standard deviation `sigma` voxels (a cosine-like polynomial), an odd number of weights of sum 1.
    private static func weights(_ sigma: Double) -> [Float] {
        let reach = max(1, sigma * 2.65)  // (1 - (t / reach)²)³ has this standard deviation
        let radius = min(12, Int(reach))
        let bell = (-radius...radius).map { offset -> Double in
            let t = Double(offset) / (reach + 0.01)
            let base = max(0, 1 - t * t)
            return base * base * base
        }
        let sum = bell.reduce(0, +)
        return bell.map { Float($0 / sum) }
    }

    /// Adds the noise of slice `z` to `slice`, x fastest, rows `stride` values apart.
    func add(to slice: UnsafeMutablePointer<Float>, stride: Int, z: Int) {
        let radiusX = wide.x.count / 2
        let radiusY = wide.y.count / 2
        let width = shape.x + 2 * radiusX
        let height = shape.y + 2 * radiusY
        let white = UnsafeMutablePointer<Float>.allocate(capacity: width * height)
        let narrowRows = UnsafeMutablePointer<Float>.allocate(capacity: shape.x * height)
        let wideRows = UnsafeMutablePointer<Float>.allocate(capacity: shape.x * height)
        defer {
            white.deallocate()
            narrowRows.deallocate()
            wideRows.deallocate()
        }
        var random = SplitMix64(seed: seed &+ UInt64(z) &* 0xD6E8_FEB8_6659_FD93)
        for index in 0..<width * height { white[index] = Noise.normal(&random) }
        for y in 0..<height {
            Noise.filter(white + y * width, 1, narrow.x, radiusX, into: narrowRows + y * shape.x, count: shape.x)
            Noise.filter(white + y * width, 1, wide.x, radiusX, into: wideRows + y * shape.x, count: shape.x)
        }
        let line = UnsafeMutablePointer<Float>.allocate(capacity: 2 * shape.x)
        defer { line.deallocate() }
        for y in 0..<shape.y {
            let fine = line
            let coarse = line + shape.x
            Noise.filter(narrowRows + y * shape.x, shape.x, narrow.y, radiusY, into: fine, count: shape.x)
            Noise.filter(wideRows + y * shape.x, shape.x, wide.y, radiusY, into: coarse, count: shape.x)
            let row = slice + y * stride
            for x in 0..<shape.x { row[x] += gain * (fine[x] - Float(Noise.wideShare) * coarse[x]) }
        }
    }

    /// Weighted sums over values `step` apart, the kernel's middle lying `radius` steps after each start.
    private static func filter(
        _ source: UnsafePointer<Float>, _ step: Int, _ kernel: [Float], _ radius: Int,
        into sums: UnsafeMutablePointer<Float>, count: Int
    ) {
        let first = radius - kernel.count / 2
        sums.update(repeating: 0, count: count)
        for (offset, weight) in kernel.enumerated() {
            let shifted = source + (first + offset) * step
            for index in 0..<count { sums[index] += weight * shifted[index] }
        }
    }

    /// Mean 0, variance 1: the sum of four uniform numbers, whose tails a scan's noise does not need longer.
    @inline(__always) private static func normal(_ random: inout SplitMix64) -> Float {
        let bits = random.next()
        let a = Int32(truncatingIfNeeded: bits & 0xFFFF) + Int32(truncatingIfNeeded: bits >> 16 & 0xFFFF)
        let b = Int32(truncatingIfNeeded: bits >> 32 & 0xFFFF) + Int32(truncatingIfNeeded: bits >> 48)
        return Float(a + b - 131_070) * Float(1 / 37_837.0)  // 65536 · √(4/12)
    }
}

import Compute
import Imaging
import Testing

@testable import Phantom

@Suite struct NoiseTests {
    /// Deviation as asked for, mean 0, neighbours in the slice alike, slices independent, on square and other pixels.
    @Test(arguments: [SIMD3(1.4, 1.4, 2.5), SIMD3(0.7, 0.7, 1), SIMD3(0.6, 1.8, 5), SIMD3(6, 6, 6)])
    func hasTheStatisticsOfAReconstruction(spacing: SIMD3<Double>) {
        let shape = Shape(200, 160, 2)
        let noise = Noise(seed: 9, shape: shape, spacing: spacing, deviation: 12)
        var slices = [[Float](repeating: 0, count: 208 * 160), [Float](repeating: 0, count: 208 * 160)]
        for z in 0..<2 {
            slices[z].withUnsafeMutableBufferPointer { noise.add(to: $0.baseAddress!, stride: 208, z: z) }
        }

        var sum = 0.0
        var squares = 0.0
        var neighbours = 0.0
        var across = 0.0
        for y in 0..<shape.y {
            for x in 0..<shape.x - 1 {
                let value = Double(slices[0][y * 208 + x])
                sum += value
                squares += value * value
                neighbours += value * Double(slices[0][y * 208 + x + 1])
                across += value * Double(slices[1][y * 208 + x])
            }
        }
        let count = Double(shape.y * (shape.x - 1))
        let variance = squares / count
        #expect(abs(sum / count) < 0.6)
        #expect(abs(variance.squareRoot() - 12) < 0.6, "deviation \(variance.squareRoot())")
        #expect(abs(across / squares) < 0.05)
        let correlation = neighbours / squares
        if spacing.x < 1 { #expect((0.5...0.98).contains(correlation), "\(correlation)") }
        if spacing.x == 1.4 { #expect((0.15...0.6).contains(correlation), "\(correlation)") }
        #expect(slices[0][200..<208].allSatisfy { $0 == 0 }, "the padding of a row is left alone")
    }
}

import Compute
import Glibc
import Testing

@testable import Phantom

/// The eight-lane functions against plain double precision.
@Suite struct FieldTests {
    private func lanes(_ random: inout SplitMix64, _ range: ClosedRange<Float>) -> Lanes {
        var result = Lanes.zero
        for lane in 0..<8 { result[lane] = random.float(range) }
        return result
    }

    @Test func rootAndWave() {
        var random = SplitMix64(seed: 1)
        for _ in 0..<500 {
            let values = lanes(&random, 0...5_000)
            let roots = root(values)
            let turns = lanes(&random, -40...40)
            let waves = wave(turns)
            for lane in 0..<8 {
                let exact = Double(values[lane]).squareRoot()
                #expect(abs(Double(roots[lane]) - exact) <= 6e-6 * exact)
                #expect(abs(Double(waves[lane]) - sin(2 * .pi * Double(turns[lane]))) < 2e-3)
            }
        }
        #expect(root(.zero)[0] == 0)
        #expect(wave(.zero)[0] == 0)
    }

    /// A tube of one radius: the distance to a segment, less the radius.
    @Test func tubeIsTheDistanceToASegment() {
        var random = SplitMix64(seed: 2)
        for _ in 0..<200 {
            let a = random.vector() * 50
            let b = random.vector() * 50
            let p = Points(x: lanes(&random, -80...80), y: lanes(&random, -80...80), z: lanes(&random, -80...80))
            let result = tube(p, a, 3, b, 3)
            for lane in 0..<8 {
                let q = SIMD3<Double>(SIMD3(p.x[lane], p.y[lane], p.z[lane])) - SIMD3<Double>(a)
                let d = SIMD3<Double>(b) - SIMD3<Double>(a)
                let t = min(1, max(0, (q * d).sum() / (d * d).sum()))
                let rest = q - d * t
                #expect(abs(Double(result[lane]) - ((rest * rest).sum().squareRoot() - 3)) < 1e-3)
            }
        }
    }

    /// A sphere's distance is exact; joined and cut solids have the sign of the sets.
    @Test func setsOfSpheres() {
        var random = SplitMix64(seed: 3)
        for _ in 0..<200 {
            let p = Points(x: lanes(&random, -60...60), y: lanes(&random, -60...60), z: lanes(&random, -60...60))
            let a = ellipsoid(p, SIMD3(5, -3, 8), SIMD3(repeating: 20))
            let b = ellipsoid(p, SIMD3(25, -3, 8), SIMD3(repeating: 15))
            let joined = join(a, b, 1)
            let shared = common(a, b, 1)
            let rest = cut(a, b, 1)
            for lane in 0..<8 {
                let d = SIMD3<Double>(Double(p.x[lane]) - 5, Double(p.y[lane]) + 3, Double(p.z[lane]) - 8)
                #expect(abs(Double(a[lane]) - ((d * d).sum().squareRoot() - 20)) < 1e-3)
                guard abs(a[lane]) > 0.3, abs(b[lane]) > 0.3 else { continue }
                #expect((joined[lane] < 0) == (a[lane] < 0 || b[lane] < 0))
                #expect((shared[lane] < 0) == (a[lane] < 0 && b[lane] < 0))
                #expect((rest[lane] < 0) == (a[lane] < 0 && b[lane] > 0))
            }
        }
    }

    /// A field along a row is the field at the row's points.
    @Test func wavesAlongARow() {
        var random = SplitMix64(seed: 4)
        let field = Waves(&random, count: 4, amplitude: 3, lengths: 10...40)
        var x: [Lanes] = [Lanes(0, 1, 2, 3, 4, 5, 6, 7), Lanes(8, 9, 10, 11, 12, 13, 14, 15)]
        var row: [Lanes] = [.zero, .zero]
        field.add(to: &row, blocks: 2, x: &x, y: 17, z: -5)
        for block in 0..<2 {
            let expected = field(Points(x: x[block], y: Lanes(repeating: 17), z: Lanes(repeating: -5)))
            for lane in 0..<8 { #expect(abs(row[block][lane] - expected[lane]) < 1e-5) }
        }
        #expect(row[0] != .zero)
    }
}

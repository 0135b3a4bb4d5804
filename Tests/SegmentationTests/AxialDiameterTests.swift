import Glibc
import Testing

@testable import Segmentation

@Suite struct AxialDiameterTests {
    @Test func aPixelMeasuresItsSpacing() {
        let one = axialDiameters(rows: [(y: 3, first: 5, last: 5)], spacing: SIMD2(0.7, 0.9))
        #expect(abs(one.long - 0.9) < 1e-12)
        #expect(abs(one.short - 0.7) < 1e-12)
    }

    @Test func aRowMeasuresItsPixels() {
        let row = axialDiameters(rows: [(y: 0, first: 0, last: 9)], spacing: SIMD2(0.8, 0.8))
        #expect(abs(row.long - 8) < 1e-12)
        #expect(abs(row.short - 0.8) < 1e-12)
    }

    @Test func aDiscMeasuresItsDiameterEveryWay() {
        let radius = 20.0
        let rows = (-20...20).map { y in
            let half = Int((radius * radius - Double(y * y)).squareRoot())
            return (y: y, first: -half, last: half)
        }
        let disc = axialDiameters(rows: rows, spacing: SIMD2(0.5, 0.5))
        #expect(abs(disc.long - 20.5) < 0.5)
        #expect(abs(disc.short - 20.5) < 0.6)
    }

    /// An ellipse drawn at an angle: the axes are found whatever their direction.
    @Test(arguments: [0.0, 0.3, 0.8, 1.4])
    func anEllipseHasItsTwoAxes(angle: Double) {
        let (a, b) = (30.0, 12.0)
        let direction = SIMD2(cos(angle), sin(angle))
        var rows: [(y: Int, first: Int, last: Int)] = []
        for y in -40...40 {
            let inside = (-40...40).filter { x in
                let along = Double(x) * direction.x + Double(y) * direction.y
                let across = -Double(x) * direction.y + Double(y) * direction.x
                return along * along / (a * a) + across * across / (b * b) <= 1
            }
            if let first = inside.first, let last = inside.last { rows.append((y, first, last)) }
        }
        let ellipse = axialDiameters(rows: rows, spacing: SIMD2(1, 1))
        #expect(abs(ellipse.long - 2 * a) < 1.5)
        #expect(abs(ellipse.short - 2 * b) < 1.5)
    }

    @Test func nothingMeasuresNothing() {
        #expect(axialDiameters(rows: [], spacing: SIMD2(1, 1)) == AxialDiameters(long: 0, short: 0))
    }
}

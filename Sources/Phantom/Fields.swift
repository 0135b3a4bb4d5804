internal import Compute

// Smooth implicit functions: each gives, for eight points at once, about how far a point lies outside a solid, in mm
// (negative inside). Only additions, multiplications, comparisons and bit operations: no call to the C library, whose
// last digit differs between machines, so that a seed gives the same bytes everywhere.
// Source of the distances and smooth unions: Quilez, Distance functions and Smooth minimum, iquilezles.org.

/// Eight values, one for each of eight voxels that are neighbours along x.
typealias Lanes = SIMD8<Float>

/// Eight points in anatomy millimetres: x to the Left, y to Posterior, z to Superior.
struct Points {
    var x, y, z: Lanes

    /// Eight copies of one point.
    init(_ point: SIMD3<Float>) {
        x = Lanes(repeating: point.x)
        y = Lanes(repeating: point.y)
        z = Lanes(repeating: point.z)
    }

    init(x: Lanes, y: Lanes, z: Lanes) {
        self.x = x
        self.y = y
        self.z = z
    }
}

@inline(__always) func smaller(_ a: Lanes, _ b: Lanes) -> Lanes { a.replacing(with: b, where: b .< a) }

@inline(__always) func larger(_ a: Lanes, _ b: Lanes) -> Lanes { a.replacing(with: b, where: b .> a) }

@inline(__always) func magnitude(_ a: Lanes) -> Lanes { larger(a, 0 - a) }

/// Values outside [0, 1] are moved to its nearer end.
@inline(__always) func clampToUnit(_ a: Lanes) -> Lanes {
    let low = a.replacing(with: 0, where: a .< 0)
    return low.replacing(with: 1, where: low .> 1)
}

/// Square root of a value that is not negative, to about 5e-6 of it: the hardware's instruction is reached only one
/// lane at a time. Two Newton steps from the exponent-halving guess.
@inline(__always) func root(_ a: Lanes) -> Lanes {
    let bits = SIMD8<UInt32>(repeating: 0x5F37_59DF) &- (unsafeBitCast(a, to: SIMD8<UInt32>.self) &>> 1)
    var inverse = unsafeBitCast(bits, to: Lanes.self)
    let half = a * 0.5
    inverse *= 1.5 - half * inverse * inverse
    inverse *= 1.5 - half * inverse * inverse
    return a * inverse
}

/// Distance from the nearest whole number, signed, in [-0.5, 0.5]; for values below 2²².
@inline(__always) func signedFraction(_ a: Lanes) -> Lanes {
    let magic: Float = 12_582_912  // 1.5 · 2²³: adding it leaves no room for a fraction
    return a - ((a + magic) - magic)
}

/// A wave of period 1 that is 0 at 0 and runs between -1 and 1: a sine to 0.1 %.
@inline(__always) func wave(_ turns: Lanes) -> Lanes {
    let t = signedFraction(turns)
    let arc = t * (8 - 16 * magnitude(t))
    return arc * (0.775 + 0.225 * magnitude(arc))
}

/// An ellipsoid with the given centre and half-axes along x, y, z.
@inline(__always) func ellipsoid(_ p: Points, _ centre: SIMD3<Float>, _ half: SIMD3<Float>) -> Lanes {
    let x = (p.x - centre.x) * (1 / half.x)
    let y = (p.y - centre.y) * (1 / half.y)
    let z = (p.z - centre.z) * (1 / half.z)
    let gx = x * (1 / half.x)
    let gy = y * (1 / half.y)
    let gz = z * (1 / half.z)
    let k0 = root(x * x + y * y + z * z)
    let k1 = root(gx * gx + gy * gy + gz * gz)
    return k0 * (k0 - 1) / larger(k1, Lanes(repeating: 1e-4))
}

/// A cylinder along z of oval cross-section: half-axes along x and y; `squareness` 0 is an ellipse, 1 nearly a box.
@inline(__always)
func oval(_ x: Lanes, _ y: Lanes, halfX: Float, halfY: Float, squareness: Float = 0.15) -> Lanes {
    let u = x * (1 / halfX)
    let v = y * (1 / halfY)
    let uu = u * u
    let vv = v * v
    let round = root(uu + vv)
    let square = root(root(uu * uu + vv * vv))
    let ratio = larger((1 - squareness) * round + squareness * square, Lanes(repeating: 0.02))
    return root(x * x + y * y) * (1 - 1 / ratio)
}

/// A straight tube from `a` to `b` with round ends, its radius going from `radiusA` to `radiusB`.
@inline(__always)
func tube(
    _ p: Points, _ a: SIMD3<Float>, _ radiusA: Float, _ b: SIMD3<Float>, _ radiusB: Float
) -> Lanes {
    let d = b - a
    let inverse = 1 / max((d * d).sum(), 1e-6)
    let x = p.x - a.x
    let y = p.y - a.y
    let z = p.z - a.z
    let t = clampToUnit((x * d.x + y * d.y + z * d.z) * inverse)
    let ex = x - t * d.x
    let ey = y - t * d.y
    let ez = z - t * d.z
    return root(ex * ex + ey * ey + ez * ez) - (radiusA + t * (radiusB - radiusA))
}

/// Both solids, their seam rounded over about `blend` mm.
@inline(__always) func join(_ a: Lanes, _ b: Lanes, _ blend: Float) -> Lanes {
    let overlap = larger(Lanes(repeating: blend) - magnitude(a - b), .zero) * (1 / blend)
    return smaller(a, b) - overlap * overlap * (blend * 0.25)
}

/// What both solids share, with the edge rounded over about `blend` mm.
@inline(__always) func common(_ a: Lanes, _ b: Lanes, _ blend: Float) -> Lanes {
    let overlap = larger(Lanes(repeating: blend) - magnitude(a - b), .zero) * (1 / blend)
    return larger(a, b) + overlap * overlap * (blend * 0.25)
}

/// Solid `a` without solid `b`, with the edge rounded over about `blend` mm.
@inline(__always) func cut(_ a: Lanes, _ b: Lanes, _ blend: Float) -> Lanes { common(a, 0 - b, blend) }

/// The box of points, in anatomy mm, outside which a solid has no effect.
struct Extent {
    var lower, upper: SIMD3<Float>

    init(centre: SIMD3<Float>, half: SIMD3<Float>) {
        lower = centre - half
        upper = centre + half
    }

    init(x: ClosedRange<Float>, y: ClosedRange<Float>, z: ClosedRange<Float>) {
        lower = SIMD3(x.lowerBound, y.lowerBound, z.lowerBound)
        upper = SIMD3(x.upperBound, y.upperBound, z.upperBound)
    }

    /// The box around both.
    func union(_ other: Extent) -> Extent {
        var result = self
        result.lower = pointwiseMin(lower, other.lower)
        result.upper = pointwiseMax(upper, other.upper)
        return result
    }

    /// The box with `margin` mm more on each side.
    func grown(by margin: Float) -> Extent {
        var result = self
        result.lower = lower - margin
        result.upper = upper + margin
        return result
    }
}

/// A tube with what it is filled with; chains and trees of tubes make vessels and bowel.
struct Tube {
    var a, b: SIMD3<Float>
    var radiusA, radiusB: Float
    /// Mean value in Hounsfield units.
    var hu: Float

    init(_ a: SIMD3<Float>, _ radiusA: Float, _ b: SIMD3<Float>, _ radiusB: Float, hu: Float) {
        self.a = a
        self.b = b
        self.radiusA = radiusA
        self.radiusB = radiusB
        self.hu = hu
    }

    var extent: Extent {
        let first = Extent(centre: a, half: SIMD3(repeating: radiusA))
        return first.union(Extent(centre: b, half: SIMD3(repeating: radiusB)))
    }

    @inline(__always) func distance(_ p: Points) -> Lanes { tube(p, a, radiusA, b, radiusB) }

    /// Tubes through the given points, one after the other; `radii` has one value a point.
    static func chain(_ points: [SIMD3<Float>], radii: [Float], hu: Float) -> [Tube] {
        (1..<points.count).map { Tube(points[$0 - 1], radii[$0 - 1], points[$0], radii[$0], hu: hu) }
    }
}

extension SplitMix64 {
    /// A number in `range`, in single precision.
    mutating func float(_ range: ClosedRange<Float>) -> Float {
        Float(uniform(Double(range.lowerBound)...Double(range.upperBound)))
    }

    /// A vector whose components lie in [-1, 1].
    mutating func vector() -> SIMD3<Float> { SIMD3(float(-1...1), float(-1...1), float(-1...1)) }
}

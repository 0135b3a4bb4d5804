import Imaging

@testable import Metrics

/// The scores by their definitions, voxel by voxel and pair by pair: the twin of the fast path, for small volumes.
struct BruteForce {
    let dice, voe: Double
    let rvd, rvdLiTSProgram, assd, rmsd, mssd: Double?

    init(prediction: Volume<UInt8>, reference: Volume<UInt8>, isMember: (UInt8) -> Bool) {
        let p = prediction.voxels.map(isMember)
        let r = reference.voxels.map(isMember)
        let both = Double(zip(p, r).count { $0 && $1 })
        let either = Double(zip(p, r).count { $0 || $1 })
        let sizeP = Double(p.count { $0 })
        let sizeR = Double(r.count { $0 })
        dice = sizeP + sizeR == 0 ? 1 : 2 * both / (sizeP + sizeR)
        voe = either == 0 ? 0 : 1 - both / either
        if sizeP == 0 || sizeR == 0 {
            let agreed: Double? = sizeP + sizeR == 0 ? 0 : nil
            (rvd, rvdLiTSProgram, assd, rmsd, mssd) = (agreed, agreed, agreed, agreed, agreed)
            return
        }
        rvd = (sizeP - sizeR) / sizeR
        rvdLiTSProgram = (sizeR - sizeP) / sizeP
        let shape = reference.shape
        let surfaceP = BruteForce.surface(p, shape)
        let surfaceR = BruteForce.surface(r, shape)
        let all =
            BruteForce.distances(surfaceP, surfaceR, reference.spacing)
            + BruteForce.distances(surfaceR, surfaceP, reference.spacing)
        assd = all.reduce(0, +) / Double(all.count)
        rmsd = (all.reduce(0) { $0 + $1 * $1 } / Double(all.count)).squareRoot()
        mssd = all.max()
    }

    /// Voxels of the mask with one outside it among those that differ by at most 1 along each axis and along at most
    /// two axes.
    static func surface(_ mask: [Bool], _ shape: Shape) -> [SIMD3<Int>] {
        func isIn(_ at: SIMD3<Int>) -> Bool {
            (0..<shape.x).contains(at.x) && (0..<shape.y).contains(at.y) && (0..<shape.z).contains(at.z)
                && mask[shape.index(at.x, at.y, at.z)]
        }
        var steps: [SIMD3<Int>] = []
        for z in -1...1 {
            for y in -1...1 {
                for x in -1...1 where (1...2).contains(abs(x) + abs(y) + abs(z)) { steps.append(SIMD3(x, y, z)) }
            }
        }
        precondition(steps.count == 18)
        var result: [SIMD3<Int>] = []
        for z in 0..<shape.z {
            for y in 0..<shape.y {
                for x in 0..<shape.x {
                    let at = SIMD3(x, y, z)
                    if isIn(at), steps.contains(where: { !isIn(at &+ $0) }) { result.append(at) }
                }
            }
        }
        return result
    }

    private static func distances(
        _ from: [SIMD3<Int>], _ to: [SIMD3<Int>], _ spacing: SIMD3<Double>
    ) -> [Double] {
        from.map { a in
            to.map { b in
                let d = SIMD3<Double>(a &- b) * spacing
                return (d * d).sum().squareRoot()
            }.min()!
        }
    }
}

/// Whether two scores are the same to 1e-9 of their size, or both undefined.
func agree(_ a: Double?, _ b: Double?) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    return abs(a - b) <= 1e-9 * max(1, abs(b))
}

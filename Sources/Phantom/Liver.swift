internal import Compute

/// The liver's shape: right lobe under the right dome, tapering downwards, left lobe across the midline, caudate lobe
/// beside the vena cava; moulded by diaphragm, wall, kidney, stomach and gallbladder.
struct Liver {
    let hu: Float
    private let upper, upperHalf, lower, lowerHalf: SIMD3<Float>
    private let leftLobe: Tube
    private let fissure: SIMD3<Float>
    private let gallbladder: Tube
    private let bileHU: Float
    private let trunk: Trunk
    private let organs: Organs
    private let stomach: Stomach
    private let bowel: Bowel

    init(_ random: inout SplitMix64, trunk: Trunk, organs: Organs, stomach: Stomach, bowel: Bowel) {
        self.trunk = trunk
        self.organs = organs
        self.stomach = stomach
        self.bowel = bowel
        hu = random.float(102...118)
        let size = random.float(0.92...1.06)
        upper = SIMD3(-64, random.float(-8...2), 20)
        upperHalf = SIMD3(74, 86, random.float(64...72)) * size
        let reach = random.float(44...70)  // how far down the right lobe goes
        lower = SIMD3(random.float(-94 ... -86), random.float(0...10), -38)
        lowerHalf = SIMD3(random.float(34...40), random.float(52...62) * size, reach)
        let tip = SIMD3<Float>(random.float(30...84), random.float(-56 ... -42), random.float(24...48))
        leftLobe = Tube(SIMD3(-24, -42, random.float(16...26)), random.float(30...40), tip, random.float(8...16), hu: 0)
        fissure = SIMD3(random.float(-16 ... -8), -64, random.float(-12...2))
        let neck = SIMD3<Float>(-44, -22, -20)
        let fundus = neck + SIMD3(random.float(-18 ... -8), random.float(-38 ... -28), random.float(-34 ... -24))
        gallbladder = Tube(neck, random.float(6...8), fundus, random.float(12...16), hu: 0)
        bileHU = random.float(4...16)
    }

    /// Where the liver may lie.
    let extent = Extent(x: -145...95, y: -105...85, z: -115...100)

    /// The middle of a typical liver, in anatomy mm.
    static let middle = SIMD3<Float>(-42, -4, 0)

    /// Distance outside the liver, given the distances outside the lungs and the cavity at the same points.
    @inline(__always) func distance(_ p: Points, lung: Lanes, cavity: Lanes) -> Lanes {
        let right = join(ellipsoid(p, upper, upperHalf), ellipsoid(p, lower, lowerHalf), 26)
        let left = leftLobe.distance(p) + 0.10 * larger(0 - p.z + 10, .zero)
        let caudate = ellipsoid(p, SIMD3(-12, -2, 18), SIMD3(17, 15, 27))
        let whole = join(join(right, left, 24), caudate, 8)
        let moulded = common(common(whole, cavity + 0.4, 6), 3.2 - lung, 3)
        return cut(moulded, neighbours(p), 4)
    }

    /// What presses into the liver.
    @inline(__always) private func neighbours(_ p: Points) -> Lanes {
        let spine = oval(p.x - 2, p.y - 44, halfX: 31, halfY: 36)
        var vein = organs.cava[1].distance(p)
        vein = smaller(vein, organs.cava[2].distance(p))
        vein = smaller(vein, organs.cava[3].distance(p))
        // Behind the kidney lies the wall, not liver.
        let before = smaller(p.y, Lanes(repeating: organs.rightKidney.centre.y))
        let kidney = organs.rightKidney.outline(Points(x: p.x, y: before, z: p.z)) - 4
        let hilum = tube(p, SIMD3(-2, -10, -34), 14, SIMD3(-44, -9, -3), 7)
        let slanted = Points(x: p.x + 0.25 * (p.y + 64), y: p.y, z: p.z)
        let ligament = ellipsoid(slanted, fissure, SIMD3(1.8, 25, 24))
        let turned = Points(x: p.x, y: p.y - 0.35 * (p.x - 4), z: p.z)
        let venous = ellipsoid(turned, SIMD3(4, -19, 18), SIMD3(17, 1.6, 19))
        let heart = ellipsoid(p, SIMD3(22, -42, 120), SIMD3(66, 51, 58))
        let soft = smaller(smaller(stomach.wall(p) - 2.5, bowel.flexure(p) - 5), gallbladder.distance(p))
        let hard = smaller(smaller(spine, vein), smaller(kidney, hilum))
        return smaller(smaller(hard, soft), smaller(smaller(ligament, venous), heart))
    }

    /// The same for any points, however slow.
    func distance(_ p: Points) -> Lanes {
        let cavity = trunk.cavity(trunk.muscularWall(p, z: p.z[0]))
        return distance(p, lung: trunk.lungs(p, cavity: cavity), cavity: cavity)
    }

    /// Paints the liver without vessels and leaves its share of each voxel in the row; then the gallbladder.
    func paint(_ row: Row) {
        for block in row.blocks(in: extent) {
            let p = row.points(block)
            let outside = distance(p, lung: row.lung[block], cavity: row.cavity[block]) + 0.9 * row.bump[block]
            let share = row.cover(outside)
            row.liver[block] = share
            row.blend(block, share, hu + 3.5 * row.texture[block])
        }
        for block in row.blocks(in: gallbladder.extent) {
            let outside = gallbladder.distance(row.points(block))
            row.liver[block] *= 1 - row.cover(outside)
            row.blend(block, row.cover(outside), Lanes(repeating: 62))
            row.blend(block, row.cover(outside + 1.8), Lanes(repeating: bileHU))
        }
    }
}

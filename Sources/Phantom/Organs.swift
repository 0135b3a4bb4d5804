internal import Compute

/// Kidneys, spleen, pancreas, adrenals and the great vessels beside the spine.
struct Organs {
    /// A kidney: its centre, half-axes and how far its lower pole leans outwards (mm sideways for each mm down).
    struct Kidney {
        var centre, half: SIMD3<Float>
        var lean: Float
        var side: Float

        var extent: Extent { Extent(centre: centre, half: half + SIMD3(abs(lean) * half.z, 6, 2)) }

        /// The points as the upright kidney sees them.
        @inline(__always) private func upright(_ p: Points) -> Points {
            let down = p.z - centre.z
            return Points(x: p.x - centre.x + side * lean * down, y: p.y - centre.y + 0.12 * down, z: down)
        }

        /// Distance outside the kidney, its hollow (the sinus) not counted.
        @inline(__always) func outline(_ p: Points) -> Lanes { ellipsoid(upright(p), .zero, half) }

        /// Distance outside the sinus, which opens towards the spine.
        @inline(__always) func sinus(_ p: Points) -> Lanes {
            ellipsoid(upright(p), SIMD3(-side * half.x * 0.62, -4, 0), SIMD3(half.x * 0.62, 8, half.z * 0.42))
        }

        /// Cortical columns: about 1 in a pyramid of the medulla, -1 between two.
        @inline(__always) func pyramids(_ p: Points) -> Lanes {
            let q = upright(p)
            return wave(q.z * (1 / 19) + 0.2) * 0.6 + wave(q.y * (1 / 21) + q.z * 0.01) * 0.5
        }
    }

    let rightKidney, leftKidney: Kidney
    /// Inferior vena cava from below to the right atrium.
    let cava: [Tube]
    let aorta: [Tube]
    let portal: PortalRoots
    let bloodHU: Float
    private let branches: [Tube]
    private let pancreas: [Tube]
    private let adrenals: [Tube]
    private let spleenCentre, spleenHalf: SIMD3<Float>
    private let spleenHU, cortexHU, medullaHU: Float

    init(_ random: inout SplitMix64, bloodHU: Float, portalHU: Float) {
        self.bloodHU = bloodHU
        let size = random.float(0.93...1.07)
        rightKidney = Kidney(
            centre: SIMD3(-60 + random.float(-3...3), 40, random.float(-68 ... -52)),
            half: SIMD3(27, 26, 53) * size, lean: 0.16, side: -1)
        leftKidney = Kidney(
            centre: SIMD3(62 + random.float(-3...3), 40, random.float(-52 ... -38)),
            half: SIMD3(27, 26, 54) * size, lean: 0.16, side: 1)
        cortexHU = random.float(178...205)
        medullaHU = cortexHU - random.float(18...45)
        spleenHU = random.float(116...132)
        spleenCentre = SIMD3(100, random.float(26...36), random.float(14...26))
        spleenHalf = SIMD3(30, random.float(42...52), random.float(42...56))
        let sway = random.float(-4...4)
        aorta = Tube.chain(
            [SIMD3(14, 22, 220), SIMD3(12 + sway, 16, 60), SIMD3(10, 12, -60), SIMD3(8, 10, -220)],
            radii: [12.5, 12, 10, 8.5], hu: bloodHU)
        cava = Tube.chain(
            [SIMD3(-20, 12, -220), SIMD3(-22, 10, -60), SIMD3(-25, 6, 5), SIMD3(-22, 0, 60), SIMD3(-14, -16, 100)],
            radii: [10, 10.5, 12, 13, 14], hu: bloodHU - 8)
        portal = PortalRoots(hu: portalHU)
        branches = Organs.branches(portal: portal, blood: bloodHU, kidneys: (rightKidney, leftKidney))
        pancreas = Tube.chain(
            [
                SIMD3(-26, -4, -58), SIMD3(-24, -10, -38), SIMD3(-4, -24, -28), SIMD3(26, -18, -20),
                SIMD3(56, 4, -8), SIMD3(76, 16, 0),
            ], radii: [9, 14, 9, 10, 10, 7], hu: random.float(92...108))
        adrenals =
            Tube.chain([SIMD3(-34, 26, 14), SIMD3(-36, 32, -4), SIMD3(-44, 40, -12)], radii: [2.2, 2.4, 1.6], hu: 72)
            + Tube.chain([SIMD3(30, 20, 10), SIMD3(33, 26, -6), SIMD3(42, 32, -14)], radii: [2.2, 2.6, 1.6], hu: 72)
            + Tube.chain([SIMD3(33, 26, -6), SIMD3(26, 32, -16)], radii: [2.4, 1.6], hu: 72)
    }

    /// Arteries to the gut, veins and arteries of kidneys and spleen.
    private static func branches(portal: PortalRoots, blood: Float, kidneys: (Kidney, Kidney)) -> [Tube] {
        let (right, left) = kidneys
        let rightHilum = right.centre + SIMD3(18, -6, 0)
        let leftHilum = left.centre + SIMD3(-18, -6, 0)
        var tubes = Tube.chain([SIMD3(10, 8, -8), SIMD3(8, -16, -4)], radii: [4, 3.4], hu: blood)  // coeliac trunk
        tubes += Tube.chain([SIMD3(8, -16, -4), SIMD3(-22, -18, -6)], radii: [2.6, 2.2], hu: blood)  // to the liver
        tubes += Tube.chain(
            [SIMD3(8, -16, -4), SIMD3(40, -2, 4), SIMD3(78, 18, 12)], radii: [2.8, 2.6, 2.2], hu: blood)
        tubes += Tube.chain(
            [SIMD3(10, 8, -26), SIMD3(8, -10, -38), SIMD3(6, -16, -130)], radii: [4.2, 3.8, 3], hu: blood)
        tubes += Tube.chain([SIMD3(10, 8, -36), SIMD3(-14, 22, -42), rightHilum], radii: [2.8, 2.6, 2.4], hu: blood)
        tubes += Tube.chain([SIMD3(10, 10, -36), leftHilum], radii: [2.8, 2.4], hu: blood)
        tubes += Tube.chain([SIMD3(-22, 9, -44), rightHilum + SIMD3(0, -4, 4)], radii: [5.5, 4.5], hu: blood - 4)
        tubes += Tube.chain(
            [SIMD3(-20, 6, -38), SIMD3(8, -5, -38), SIMD3(24, 4, -38), leftHilum + SIMD3(0, -4, 4)],
            radii: [4.5, 4, 5, 4.5], hu: blood - 4)
        tubes += Tube.chain(
            [portal.junction, SIMD3(30, -10, -16), SIMD3(80, 18, 8)], radii: [5.5, 5, 4], hu: portal.hu)
        tubes += Tube.chain([portal.junction, SIMD3(-2, -14, -130)], radii: [6, 4.5], hu: portal.hu)
        tubes += Tube.chain([portal.junction, portal.hilum], radii: [7, 6.5], hu: portal.hu)
        return tubes
    }

    /// What lies behind the peritoneum, and the spleen.
    func paint(_ row: Row, stomach: Stomach) {
        for tube in pancreas {
            for block in row.blocks(in: tube.extent.grown(by: 3)) {
                let lobules = 1.6 * row.bump[block] + 1.4 * row.texture[block]
                let share = row.cover(tube.distance(row.points(block)) + lobules)
                row.blend(block, share, tube.hu + 7 * row.texture[block])
            }
        }
        row.paint(adrenals)
        paintSpleen(row, stomach: stomach)
        paintKidney(row, rightKidney)
        paintKidney(row, leftKidney)
        row.paint(branches)
        row.paint(cava)
        row.paint(aorta)
    }

    private func paintSpleen(_ row: Row, stomach: Stomach) {
        row.paint(Extent(centre: spleenCentre, half: spleenHalf + 6), hu: spleenHU, grain: 4) { p, block in
            let whole = ellipsoid(p, spleenCentre, spleenHalf) + row.bump[block]
            let hollow = ellipsoid(p, SIMD3(66, 14, 18), SIMD3(30, 34, 60))
            let shaped = cut(cut(whole, hollow, 8), leftKidney.outline(p) - 4, 4)
            let below = common(shaped, 4.5 - row.lung[block], 4)
            return cut(common(below, row.cavity[block] + 2.5, 4), stomach.wall(p) - 2, 3)
        }
    }

    private func paintKidney(_ row: Row, _ kidney: Kidney) {
        for block in row.blocks(in: kidney.extent) {
            let p = row.points(block)
            let outline = kidney.outline(p) + 0.5 * row.bump[block]
            let sinus = kidney.sinus(p)
            let solid = cut(outline, sinus, 4)
            let deep = clampToUnit((0 - outline - 5.5) * 0.7)
            let pyramid = deep * clampToUnit(kidney.pyramids(p) * 1.6 + 0.55)
            let tissue = cortexHU + pyramid * (medullaHU - cortexHU) + 4 * row.texture[block]
            row.blend(block, row.cover(solid), tissue)
            let pelvis = row.cover(common(sinus + 3.5, outline + 2, 2))
            row.blend(block, pelvis, Lanes(repeating: 12))
        }
    }
}

/// Where the portal vein begins and where it enters the liver.
struct PortalRoots {
    let hu: Float
    /// Where the veins of spleen and gut meet.
    let junction = SIMD3<Float>(-4, -12, -30)
    /// Where it divides in the liver.
    let hilum = SIMD3<Float>(-46, -8, 2)
}

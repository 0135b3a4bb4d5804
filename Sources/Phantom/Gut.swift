internal import Compute

/// The stomach: wall, fluid and, at the front since the patient lies on the back, air.
struct Stomach {
    private let fundus: SIMD3<Float>
    private let fundusHalf: SIMD3<Float>
    private let body, antrum: Tube
    private let level: Float
    private let wallHU, contentHU: Float

    init(_ random: inout SplitMix64) {
        fundus = SIMD3(random.float(50...58), random.float(4...14), random.float(34...44))
        fundusHalf = SIMD3(random.float(30...37), random.float(32...40), 34)
        let bend = SIMD3<Float>(random.float(48...62), random.float(-58 ... -48), random.float(-18...0))
        body = Tube(fundus + SIMD3(2, -18, -4), 28, bend, random.float(20...25), hu: 0)
        antrum = Tube(bend, body.radiusB, SIMD3(-22, -42, random.float(-40 ... -30)), 13, hu: 0)
        level = random.float(-62 ... -46)
        wallHU = random.float(72...92)
        contentHU = random.float(8...28)
    }

    private var extent: Extent {
        Extent(centre: fundus, half: fundusHalf).union(body.extent).union(antrum.extent).grown(by: 4)
    }

    /// Distance outside the stomach's outer surface.
    @inline(__always) func wall(_ p: Points) -> Lanes {
        join(join(ellipsoid(p, fundus, fundusHalf), body.distance(p), 14), antrum.distance(p), 6)
    }

    func paint(_ row: Row) {
        for block in row.blocks(in: extent) {
            let p = row.points(block)
            let whole = wall(p) + 0.8 * row.bump[block]
            let outside = common(common(whole, 4.5 - row.lung[block], 3), row.cavity[block] + 2, 3)
            row.blend(block, row.cover(outside), wallHU + 5 * row.texture[block])
            let folds = 1.2 * wave(p.x * (1 / 13) + p.z * (1 / 17)) + row.bump[block]
            let lumen = outside + 4.2 + folds
            row.blend(block, row.cover(lumen), contentHU + 10 * row.texture[block])
            row.blend(block, row.cover(common(lumen, p.y - level, 0.5)), Lanes(repeating: -990))
        }
    }
}

/// Duodenum, small bowel, colon, and the vessels and strands in the fat between them.
struct Bowel {
    private let loops: [Tube]
    private let loopContentHU: Float
    private let colon: [Tube]
    private let strands: [Tube]
    private let stool: Waves

    init(_ random: inout SplitMix64) {
        // Oral contrast in one patient of three.
        loopContentHU = random.unit() < 0.33 ? random.float(180...300) : random.float(25...60)
        var small = Tube.chain(
            [
                SIMD3(-24, -40, -34), SIMD3(-44, -20, -34), SIMD3(-46, -8, -60), SIMD3(-36, -4, -88),
                SIMD3(0, -4, -92), SIMD3(28, -8, -70),
            ], radii: [11, 12, 12, 12, 11, 11], hu: 88)
        for _ in 0..<14 {
            var at = SIMD3<Float>(random.float(-30...84), random.float(-66...2), random.float(-180 ... -58))
            for _ in 0..<5 {
                var way = random.vector() * SIMD3(38, 30, 24)
                way.x += at.x > 60 ? -14 : at.x < -20 ? 14 : 0
                let next = pointwiseMin(pointwiseMax(at + way, SIMD3(-48, -72, -210)), SIMD3(92, 8, -52))
                small.append(Tube(at, random.float(9...12), next, random.float(9...12), hu: random.float(80...105)))
                at = next
            }
        }
        loops = small
        let sag = random.float(-92 ... -70)
        let wide = random.float(17...22)
        colon = Tube.chain(
            [
                SIMD3(-100, 20, -230), SIMD3(-100, 16, -140), SIMD3(-88, -24, -116), SIMD3(-50, -66, sag - 6),
                SIMD3(0, -72, sag + 4), SIMD3(54, -66, sag + 22), SIMD3(92, -36, -34), SIMD3(104, 4, -22),
                SIMD3(108, 28, -60), SIMD3(106, 30, -230),
            ], radii: [24, 23, 21, wide, wide, wide, wide, 17, 15, 15], hu: 62)
        stool = Waves(&random, count: 5, amplitude: 3.2, lengths: 8...30)
        strands = (0..<110).map { _ in
            let root = SIMD3<Float>(random.float(-60...80), random.float(-70...10), random.float(-150 ... -20))
            let way = random.vector() * SIMD3(24, 24, 24)
            let radius = random.float(0.7...1.9)
            return Tube(root, radius, root + way, radius * 0.8, hu: random.float(70...150))
        }
    }

    /// Distance outside the part of the colon that comes near the liver's lower edge.
    @inline(__always) func flexure(_ p: Points) -> Lanes {
        smaller(smaller(colon[1].distance(p), colon[2].distance(p)), colon[3].distance(p))
    }

    func paint(_ row: Row) {
        row.paint(strands)
        paint(row, loops, wall: 2.6) { _, block in
            (Lanes(repeating: loopContentHU) + 16 * row.texture[block], Lanes.zero)
        }
        paint(row, colon, wall: 2.8) { p, block in
            // Stool: soft matter with small pockets of gas; more gas towards the front.
            let grain = stool(p)
            let gas = clampToUnit((grain + 0.2 * row.texture[block] - 0.016 * (p.y + 58)) * 3.5 - 0.5)
            return (34 + 26 * row.texture[block] + 30 * grain, gas)
        }
    }

    /// First all walls, then all contents, so that neighbouring tubes of a chain open into each other. `content` gives
    /// a value in HU and the share of gas.
    @inline(__always)
    private func paint(_ row: Row, _ tubes: [Tube], wall: Float, content: (Points, Int) -> (Lanes, Lanes)) {
        for tube in tubes {
            for block in row.blocks(in: tube.extent.grown(by: 2)) {
                let outside = inCavity(row, block, tube.distance(row.points(block)) + 1.5 * row.bump[block])
                row.blend(block, row.cover(outside), tube.hu + 5 * row.texture[block])
            }
        }
        for tube in tubes {
            for block in row.blocks(in: tube.extent.grown(by: 2)) {
                let p = row.points(block)
                let pleats = 1.5 * wave(p.x * (1 / 23) + p.z * (1 / 21))
                let lumen =
                    inCavity(row, block, tube.distance(p) + 1.5 * row.bump[block]) + wall + larger(pleats, .zero)
                let (value, gas) = content(p, block)
                row.blend(block, row.cover(lumen), value + gas * (-900 - value))
            }
        }
    }

    @inline(__always) private func inCavity(_ row: Row, _ block: Int, _ distance: Lanes) -> Lanes {
        common(common(distance, row.cavity[block] + 2.5, 3), 4.5 - row.lung[block], 3)
    }
}

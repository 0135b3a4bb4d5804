internal import Compute

/// The body's outline, its wall of fat and muscle, the chest and abdominal cavity with diaphragm, lungs and heart,
/// and the table under the patient.
struct Trunk {
    /// Outer half-axes of the muscular wall, in mm, left-right and front-back.
    let halfWidth, halfDepth: Float
    /// Fat under the skin, in mm: at the flanks, at the front and at the back.
    let fatLateral, fatFront, fatBack: Float
    /// How much squarer than an ellipse the trunk is.
    let squareness: Float
    /// Thickness of the muscular wall, in mm.
    let wall: Float
    /// Highest point of the right and of the left dome of the diaphragm.
    let rightDome, leftDome: SIMD3<Float>
    let muscleHU, fatHU, lungHU, bloodHU: Float
    private let lungVessels: [Tube]

    init(_ random: inout SplitMix64, bloodHU: Float) {
        halfWidth = random.float(130...143)
        halfDepth = random.float(92...104)
        let fat = random.float(7...24)
        fatLateral = fat * random.float(0.9...1.2)
        fatFront = fat * random.float(0.7...1.3)
        fatBack = fat * random.float(0.5...0.9)
        squareness = random.float(0.15...0.4)
        wall = random.float(9...12)
        rightDome = SIMD3(random.float(-68 ... -60), random.float(-10...0), random.float(80...90))
        leftDome = SIMD3(random.float(64...72), random.float(-6...4), random.float(68...78))
        muscleHU = random.float(54...64)
        fatHU = random.float(-108 ... -98)
        lungHU = random.float(-880 ... -820)
        self.bloodHU = bloodHU
        lungVessels = (0..<90).map { index in
            let side: Float = index % 2 == 0 ? -1 : 1
            let root = SIMD3<Float>(side * random.float(38...70), random.float(-30...50), random.float(70...130))
            let way = SIMD3<Float>(side * random.float(-5...30), random.float(-25...30), random.float(-40...15))
            let radius = random.float(0.8...2.2)
            return Tube(root, radius, root + way, radius * 0.6, hu: random.float(0...90))
        }
    }

    /// Half-axes of everything are multiplied by this at height `z`: the chest narrows upwards, the waist a little.
    @inline(__always) func girth(_ z: Float) -> Float {
        let chest = max(0, z - 20)
        let waist = max(0, -z - 30)
        return 1 - 0.0000075 * chest * chest - 0.0004 * waist
    }

    /// The skin.
    @inline(__always) func body(_ p: Points, z: Float) -> Lanes {
        let g = girth(z)
        let shift = 0.5 * (fatBack - fatFront)
        let depth = halfDepth + 0.5 * (fatBack + fatFront)
        let outline = oval(
            p.x, p.y - shift, halfX: (halfWidth + fatLateral) * g + 2, halfY: depth * (0.5 + 0.5 * g) + 2,
            squareness: squareness)
        let back = p.y - (halfDepth + fatBack - 4)  // lying on the table flattens the back
        let groove = ellipsoid(p, SIMD3(0, halfDepth + fatBack + 9, z), SIMD3(11, 15, 60))
        return cut(common(outline, back, 16), groove, 10)
    }

    /// The outer surface of the muscular wall.
    @inline(__always) func muscularWall(_ p: Points, z: Float) -> Lanes {
        let g = girth(z)
        return oval(p.x, p.y, halfX: halfWidth * g, halfY: halfDepth * (0.4 + 0.6 * g), squareness: squareness)
    }

    /// The inner surface of the wall; `outer` is the distance to the outer one.
    @inline(__always) func cavity(_ outer: Lanes) -> Lanes { outer + wall }

    /// Below one dome of the diaphragm: an ellipsoid that goes on downwards as a widening cylinder.
    @inline(__always) private func dome(_ p: Points, _ top: SIMD3<Float>, _ half: SIMD3<Float>) -> Lanes {
        let z = p.z - (top.z - half.z)
        let above = larger(z, .zero) / half.z
        let widen = 1 / (1 + 0.0018 * larger(0 - z, .zero))
        let x = (p.x - top.x) * (1 / half.x) * widen
        let y = (p.y - top.y) * (1 / half.y) * widen
        let ratio = larger(root(x * x + y * y + above * above), Lanes(repeating: 0.05))
        return (ratio - 1) * 62
    }

    /// The lungs: the chest cavity without what lies below the diaphragm and between the lungs.
    @inline(__always) func lungs(_ p: Points, cavity: Lanes) -> Lanes {
        let right = dome(p, rightDome, SIMD3(64, 74, 62))
        let left = dome(p, leftDome, SIMD3(58, 76, 58))
        let middle = oval(p.x - 4, p.y + 14, halfX: 32, halfY: 62)
        let spine = oval(p.x, p.y - 40, halfX: 25, halfY: 28)
        let heart = ellipsoid(p, SIMD3(22, -42, 119), SIMD3(69, 54, 61))
        let filled = smaller(join(join(right, left, 14), middle, 16), join(spine, heart, 8))
        // The recess between diaphragm and ribs reaches lower at the back than in front.
        let floor = (-6 - 0.42 * p.y) - p.z
        return common(common(cavity + 1.5, 0 - filled, 5), floor, 14)
    }

    /// Skin, fat, wall and what fills the cavity. Leaves `cavity` and `lung` distances in the row.
    func paint(_ row: Row) {
        for block in 0..<row.blocks {
            let p = row.points(block)
            let skin = body(p, z: row.z)
            let outer = muscularWall(p, z: row.z)
            let inner = cavity(outer)
            let lung = lungs(p, cavity: inner)
            row.cavity[block] = inner
            row.lung[block] = lung
            let texture = row.texture[block]
            row.blend(block, row.cover(skin), Lanes(repeating: 10))
            row.blend(block, row.cover(skin + 2), fatHU + 6 * texture)
            // Muscle, with a thin layer of fat between its sheets where the wall bears no ribs.
            let sheets = magnitude(outer + 0.42 * wall + 1.5 * row.bump[block]) - 0.5
            let between = row.cover(sheets) * clampToUnit((-20 - p.z) * 0.03) * 0.8
            row.blend(block, row.cover(outer), muscleHU + 6 * texture - between * 130)
            row.blend(block, row.cover(inner), fatHU + 7 * texture)
            // The diaphragm clothes the lungs' lower face; above, it passes for pleura.
            row.blend(block, row.cover(common(lung - 3.4, inner, 1)), Lanes(repeating: muscleHU - 4))
        }
    }

    /// The heart, its fat and the lungs; to be painted after `paint`.
    func paintChest(_ row: Row) {
        guard row.z > -80 else { return }
        paintHeart(row)
        for block in 0..<row.blocks {
            let depth = (row.py[block] + 80) * 0.25  // the lower, rear parts hold more blood
            row.blend(block, row.cover(row.lung[block]), lungHU + depth + 25 * row.texture[block])
        }
        for tube in lungVessels {
            for block in row.blocks(in: tube.extent) {
                let inside = common(tube.distance(row.points(block)), row.lung[block] + 3, 1)
                row.blend(block, row.cover(inside), Lanes(repeating: tube.hu))
            }
        }
    }

    private func paintHeart(_ row: Row) {
        let centre = SIMD3<Float>(22, -42, 120)
        let half = SIMD3<Float>(64, 49, 56)
        row.paint(Extent(centre: centre, half: half), hu: muscleHU + 40) { p, block in
            common(ellipsoid(p, centre, half), row.cavity[block] + 6, 6)
        }
        let left = SIMD3<Float>(46, -34, 122)
        row.paint(Extent(centre: left, half: SIMD3(26, 26, 38)), hu: bloodHU) { p, _ in
            ellipsoid(p, left, SIMD3(26, 26, 38))
        }
        let right = SIMD3<Float>(4, -54, 122)
        row.paint(Extent(centre: right, half: SIMD3(30, 24, 42)), hu: bloodHU - 8) { p, _ in
            ellipsoid(p, right, SIMD3(30, 24, 42))
        }
    }

    /// The table: a thin curved shell below the back, with foam inside.
    func paintTable(_ row: Row) {
        let top = halfDepth + fatBack + 3
        for block in 0..<row.blocks {
            let x = Lanes(repeating: row.start) + (Lanes(0, 1, 2, 3, 4, 5, 6, 7) + Float(8 * block)) * row.step
            let y = row.y - top + x * x * (1 / 1_150)
            let side = magnitude(x) - 190
            let foam = common(magnitude(y - 17) - 16, side, 3)
            let shell = common(smaller(magnitude(y - 1.5) - 1, magnitude(y - 33) - 1.3), side, 1)
            row.blend(block, row.cover(foam), Lanes(repeating: -950))
            row.blend(block, row.cover(shell), Lanes(repeating: 160))
        }
    }
}

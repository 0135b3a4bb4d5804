internal import Compute

/// Spine, ribs and the muscles along the spine.
struct Skeleton {
    private let pitch: Float
    private let discPhase, ribPhase: Float
    private let marrowHU: Float
    private let trunk: Trunk

    init(_ random: inout SplitMix64, trunk: Trunk) {
        self.trunk = trunk
        pitch = random.float(31...35)
        discPhase = random.float(0...1)
        ribPhase = random.float(0...1)
        marrowHU = random.float(150...230)
    }

    /// Muscles first, then bone over them.
    func paint(_ row: Row) {
        paintMuscles(row)
        paintVertebrae(row)
        paintRibs(row)
    }

    private func paintMuscles(_ row: Row) {
        let back = trunk.halfDepth
        for side: Float in [-1, 1] {
            let bulk = SIMD3<Float>(side * 27, back - 17, row.z)
            let bulkHalf = SIMD3<Float>(27, 17, 400)
            row.paint(Extent(centre: bulk, half: bulkHalf), hu: trunk.muscleHU - 4, grain: 14) { p, _ in
                ellipsoid(p, bulk, bulkHalf)
            }
            // Psoas: begins beside the twelfth vertebra and grows downwards and outwards.
            let top = SIMD3<Float>(side * 24, 44, -25)
            let bottom = SIMD3<Float>(side * 44, 38, -180)
            row.paint(Extent(x: -70...70, y: 10...75, z: -200 ... -15), hu: trunk.muscleHU, grain: 6) { p, _ in
                tube(p, top, 3, bottom, 26)
            }
            let square = SIMD3<Float>(side * 58, 66, -120)
            row.paint(Extent(centre: square, half: SIMD3(24, 9, 90)), hu: trunk.muscleHU, grain: 6) { p, block in
                common(ellipsoid(p, square, SIMD3(24, 9, 90)), row.cavity[block] - 4, 3)
            }
            // Crura of the diaphragm, on both sides of the aorta.
            let crusTop = SIMD3<Float>(side * 15 + 4, 2, 52)
            let crusBottom = SIMD3<Float>(side * 15, 26, -42)
            row.paint(Extent(x: -30...34, y: -10...40, z: -50...60), hu: trunk.muscleHU) { p, _ in
                tube(p, crusTop, 5.5, crusBottom, 2.5)
            }
        }
    }

    private func paintVertebrae(_ row: Row) {
        let canalY: Float = 66
        for block in row.blocks(in: Extent(x: -44...44, y: 20...110, z: -1_000...1_000)) {
            let p = row.points(block)
            let turns = p.z * (1 / pitch) + discPhase
            let level = signedFraction(turns) * pitch
            let upper = signedFraction(turns - 0.18) * pitch
            // Body: waisted, with dense end plates and a dense rim around spongy bone.
            let waist = 2.4 - 0.016 * level * level
            let side = oval(p.x, p.y - 42, halfX: 22, halfY: 16.5, squareness: 0.1)
            let body = common(side + waist, magnitude(level) - (pitch * 0.5 - 4.2), 2.5)
            let disc = row.cover(side + 1)
            row.blend(block, disc, 88 + 5 * row.texture[block])
            paintBone(row, block, body, shell: 1.4, cortexHU: 430)
            // Arch: a ring around the canal, a process to each side and one to the back.
            let ring = oval(p.x, p.y - canalY, halfX: 12.5, halfY: 10)
            let height = magnitude(upper) - 10
            let arch = common(magnitude(ring) - 3.2, common(height, 58 - p.y, 2), 2)
            let sloped = signedFraction(turns + (p.y - canalY) * 0.008) * pitch
            let spinous = common(
                common(magnitude(p.x) - 3.4, magnitude(p.y - 85) - 12, 3), magnitude(sloped) - 9, 3)
            // Transverse processes slope backwards and thin out.
            let outwards = magnitude(p.x)
            let across = common(
                magnitude(outwards - 25) - 13, magnitude(p.y - 62 - 0.3 * outwards) - 5.2 + 0.07 * outwards, 3)
            let transverse = common(across, magnitude(upper) - 5, 3)
            paintBone(row, block, join(join(arch, spinous, 4), transverse, 4), shell: 2, cortexHU: 620)
            row.blend(block, row.cover(ring + 3.2), Lanes(repeating: -40))
            row.blend(block, row.cover(oval(p.x, p.y - canalY, halfX: 7.5, halfY: 6)), Lanes(repeating: 34))
        }
    }

    private func paintRibs(_ row: Row) {
        let depth = trunk.halfDepth
        let width = trunk.halfWidth
        for block in row.blocks(in: Extent(x: -160...160, y: -120...120, z: -90...400)) {
            let p = row.points(block)
            let u = p.x / width
            let v = p.y / depth
            // Where on the wall: -1 at the breastbone, 0 at the flank, 1 at the spine.
            let along = v / root(u * u + v * v + 1e-4)
            let turns = (p.z - 52 * along) * (1 / 27) + ribPhase
            let high = signedFraction(turns) * (27 * 0.80 / 5.8)
            let deep = (row.cavity[block] - trunk.wall * 0.5 + 1.5) * (1 / 3.2)
            let section = (root(high * high + deep * deep) - 1) * 4.2
            let front = larger(0 - along, .zero)
            let margin = (-74 + 120 * front * front) - p.z
            let ends = larger(margin, 20 - magnitude(p.x))
            let rib = common(section, ends, 3)
            let cartilage = clampToUnit((front - 0.78) * 12)
            let cover = row.cover(rib)
            let core = clampToUnit((0 - rib - 1) * 0.8)
            let bone = 560 - core * 330
            row.blend(block, cover, bone + cartilage * (105 - bone))
        }
        let sternum = SIMD3<Float>(0, -depth + 8, 130)
        for block in row.blocks(in: Extent(centre: sternum, half: SIMD3(20, 7, 75))) {
            let p = row.points(block)
            let plate = common(
                common(magnitude(p.x) - 15, row.cavity[block], 3), magnitude(p.z - 130) - 70, 6)
            let slab = common(plate, -trunk.wall + 3 - row.cavity[block], 3)
            paintBone(row, block, common(slab, p.y + 0.5 * depth, 2), shell: 1.5, cortexHU: 420)
        }
    }

    /// Bone: dense within `shell` mm of the surface, marrow below.
    @inline(__always)
    private func paintBone(_ row: Row, _ block: Int, _ distance: Lanes, shell: Float, cortexHU: Float) {
        let core = clampToUnit((0 - distance - shell) * 0.9)
        let marrow = marrowHU + 45 * row.texture[block]
        row.blend(block, row.cover(distance), cortexHU + core * (marrow - cortexHU))
    }
}

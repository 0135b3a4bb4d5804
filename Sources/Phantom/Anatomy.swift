internal import Compute
import Imaging

/// One patient: every organ's shape and value, drawn from a seed. The same for every voxel grid.
struct Anatomy {
    let trunk: Trunk
    let liver: Liver
    let lesions: [Lesion]
    /// Patient mm for each anatomy mm.
    let size: SIMD3<Float>
    /// How far from the middle of the field of view the patient lies, in mm, where there is room.
    let offset: SIMD3<Float>
    private let skeleton: Skeleton
    private let organs: Organs
    private let stomach: Stomach
    private let bowel: Bowel
    private let vessels: LiverVessels
    private let bend: (x: Waves, y: Waves, z: Waves)
    private let bump, texture, grain: Waves

    /// How far `bend` may move a point along each axis, in mm.
    private static let bendReach: Float = 5

    init(seed: UInt64, lesions count: Int?) {
        var random = SplitMix64(seed: seed)
        let build = random.float(0.94...1.05)
        size = build * SIMD3(1, random.float(0.96...1.04), random.float(0.94...1.06))
        offset = SIMD3(random.float(-9...9), random.float(-8...8), random.float(-8...8))
        let bloodHU = random.float(146...168)
        trunk = Trunk(&random, bloodHU: bloodHU)
        skeleton = Skeleton(&random, trunk: trunk)
        organs = Organs(&random, bloodHU: bloodHU, portalHU: bloodHU + random.float(4...16))
        stomach = Stomach(&random)
        bowel = Bowel(&random)
        liver = Liver(&random, trunk: trunk, organs: organs, stomach: stomach, bowel: bowel)
        vessels = LiverVessels(&random, liver: liver, portal: organs.portal, veinHU: bloodHU + random.float(0...8))
        let reach = Anatomy.bendReach
        bend = (
            Waves(&random, count: 3, amplitude: reach, lengths: 110...260),
            Waves(&random, count: 3, amplitude: reach, lengths: 110...260),
            Waves(&random, count: 3, amplitude: reach, lengths: 110...260)
        )
        bump = Waves(&random, count: 4, amplitude: 2, lengths: 22...60)
        texture = Waves(&random, count: 3, amplitude: 1.2, lengths: 9...30)
        grain = Waves(&random, count: 2, amplitude: 0.8, lengths: 5...9)
        // Last, and from a sequence of their own: the number of lesions changes nothing else.
        var lesionRandom = SplitMix64(seed: random.next())
        let drawn = 1 + Int(lesionRandom.next() % 6)
        lesions = Lesion.place(count ?? drawn, &lesionRandom, liver: liver, vessels: vessels)
    }

    /// The body's box, in patient mm, that a field of view need not exceed; the height is the liver's.
    var bodyExtent: Extent {
        let x = trunk.halfWidth + trunk.fatLateral + 8
        let front = trunk.halfDepth + trunk.fatFront + 8
        let back = trunk.halfDepth + trunk.fatBack + 40
        var extent = Extent(x: -x...x, y: -front...back, z: -400...400)
        extent.lower *= size
        extent.upper *= size
        return extent
    }

    /// Fills a row whose geometry is set: positions and fields first, then every organ, from the outside inwards and
    /// from what lies behind to what presses into it.
    func paint(_ row: Row) {
        for block in 0..<row.blocks {
            row.hu[block] = Lanes(repeating: -1_000)
            row.liver[block] = .zero
            row.lesion[block] = .zero
            row.bump[block] = .zero
            row.texture[block] = .zero
            // Positions before the bend, for now: the fields are functions of these.
            let along = Lanes(0, 1, 2, 3, 4, 5, 6, 7) + Float(8 * block)
            row.lung[block] = row.start + along * row.step
            row.px[block] = row.lung[block]
            row.py[block] = Lanes(repeating: row.y)
            row.pz[block] = Lanes(repeating: row.z)
        }
        trunk.paintTable(row)
        let front = -trunk.halfDepth - trunk.fatFront - 12
        guard row.y > front, row.y < trunk.halfDepth + trunk.fatBack + 12 else { return }
        bump.add(to: row.bump, blocks: row.blocks, x: row.lung, y: row.y, z: row.z)
        texture.add(to: row.texture, blocks: row.blocks, x: row.lung, y: row.y, z: row.z)
        grain.add(to: row.texture, blocks: row.blocks, x: row.lung, y: row.y, z: row.z)
        bend.x.add(to: row.px, blocks: row.blocks, x: row.lung, y: row.y, z: row.z)
        bend.y.add(to: row.py, blocks: row.blocks, x: row.lung, y: row.y, z: row.z)
        bend.z.add(to: row.pz, blocks: row.blocks, x: row.lung, y: row.y, z: row.z)
        trunk.paint(row)
        trunk.paintChest(row)
        bowel.paint(row)
        stomach.paint(row)
        skeleton.paint(row)
        organs.paint(row, stomach: stomach)
        liver.paint(row)
        vessels.paint(row)
        for lesion in lesions { lesion.paint(row) }
    }

    /// How far the bend moves points at most, in mm.
    var margin: Float { Anatomy.bendReach }
}

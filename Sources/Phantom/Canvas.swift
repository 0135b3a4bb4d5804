/// One row of voxels being painted: where its points are, what has been painted so far.
///
/// Solids are painted one over the other, each with the share of the voxel that it covers, so that edges hold partial
/// volumes. Memory is lent by the caller; one row belongs to one thread.
struct Row {
    /// How many groups of eight voxels there are.
    let blocks: Int
    /// Position of the row's first voxel and the step to the next, in anatomy mm, before the anatomy is deformed.
    let start, step: Float
    /// Where the row lies, in anatomy mm, before the anatomy is deformed.
    let y, z: Float
    /// How far the deformation may move a point, plus the reach of an edge, in mm.
    let margin: Float
    /// The distance in mm over which an edge goes from outside to inside.
    let edge: Float

    /// Where the points are after deformation.
    let px, py, pz: UnsafeMutablePointer<Lanes>
    /// A field of about ±1 that makes surfaces of organs uneven.
    let bump: UnsafeMutablePointer<Lanes>
    /// A field of about ±1 that makes tissue uneven.
    let texture: UnsafeMutablePointer<Lanes>
    /// Hounsfield units.
    let hu: UnsafeMutablePointer<Lanes>
    /// Share of the voxel that is liver, with its lesions; share that is lesion.
    let liver, lesion: UnsafeMutablePointer<Lanes>
    /// Distances that many organs ask for: outside the lungs, outside the abdominal and chest cavity.
    let lung, cavity: UnsafeMutablePointer<Lanes>

    /// The blocks that a solid within `extent` may touch; empty where the row passes by.
    @inline(__always) func blocks(in extent: Extent) -> Range<Int> {
        guard y >= extent.lower.y - margin, y <= extent.upper.y + margin,
            z >= extent.lower.z - margin, z <= extent.upper.z + margin
        else { return 0..<0 }
        let first = (extent.lower.x - margin - start) / (8 * step)
        let last = (extent.upper.x + margin - start) / (8 * step)
        let lower = min(max(Int(first), 0), blocks)
        let upper = last < 0 ? 0 : min(Int(last) + 1, blocks)
        return lower..<max(lower, upper)
    }

    @inline(__always) func points(_ block: Int) -> Points { Points(x: px[block], y: py[block], z: pz[block]) }

    /// The share of a voxel that lies inside a surface `distance` mm away.
    @inline(__always) func cover(_ distance: Lanes) -> Lanes { clampToUnit(0.5 - distance * (1 / edge)) }

    /// Paints `value` over the share `cover` of each voxel of a block.
    @inline(__always) func blend(_ block: Int, _ cover: Lanes, _ value: Lanes) {
        hu[block] += cover * (value - hu[block])
    }

    /// Paints a solid of one tissue: `distance` of a block's points in mm, `value` in HU plus `grain` times the texture.
    @inline(__always)
    func paint(_ extent: Extent, hu value: Float, grain: Float = 4, distance: (Points, Int) -> Lanes) {
        for block in blocks(in: extent) {
            let share = cover(distance(points(block), block))
            blend(block, share, value + grain * texture[block])
        }
    }

    /// Paints tubes, each with its own value.
    func paint(_ tubes: [Tube]) {
        for tube in tubes {
            for block in blocks(in: tube.extent) {
                blend(block, cover(tube.distance(points(block))), Lanes(repeating: tube.hu))
            }
        }
    }
}

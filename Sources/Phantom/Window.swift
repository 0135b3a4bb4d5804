internal import Imaging

/// The voxel grid through which an anatomy is seen, and the painting of its slices.
struct Window {
    private let shape: Shape
    /// Patient mm of voxel (0, 0, 0), the anatomy's origin being 0, and the steps between voxels.
    private let origin, step: SIMD3<Float>
    private let size: SIMD3<Float>
    /// A thick slice is painted as the mean of this many thinner ones.
    private let layers: Int

    init(options: PhantomOptions, anatomy: Anatomy) {
        shape = options.shape
        step = SIMD3<Float>(options.spacing)
        size = anatomy.size
        layers = min(4, max(1, Int((options.spacing.z / 2.6).rounded())))
        let extent = SIMD3(Float(shape.x), Float(shape.y), Float(shape.z)) * step
        let body = anatomy.bodyExtent
        var middle = SIMD3<Float>.zero
        for axis in 0..<3 {
            let liver = Liver.middle[axis] * size[axis]
            let half = extent[axis] / 2
            let room = half - (body.upper[axis] - body.lower[axis]) / 2
            if room >= 0 {
                let shift = min(max(anatomy.offset[axis], -room), room)
                middle[axis] = (body.lower[axis] + body.upper[axis]) / 2 + shift
            } else {
                middle[axis] = min(max(liver, body.lower[axis] + half), body.upper[axis] - half)
            }
        }
        middle.z = Liver.middle.z * size.z + anatomy.offset.z * min(1, extent.z / 240)
        origin = middle - (extent - step) * 0.5
    }

    /// Paints slice `z` into `hu` and `labels`, which hold one slice each.
    func paint(
        slice z: Int, anatomy: Anatomy, noise: Noise, hu: UnsafeMutableBufferPointer<Int16>,
        labels: UnsafeMutableBufferPointer<UInt8>
    ) {
        let blocks = (shape.x + 7) / 8
        let stride = blocks * 8
        let store = UnsafeMutablePointer<Lanes>.allocate(capacity: blocks * (10 + shape.y))
        defer { store.deallocate() }
        func field(_ index: Int) -> UnsafeMutablePointer<Lanes> { store + index * blocks }
        store.initialize(repeating: .zero, count: blocks * (10 + shape.y))
        let slice = field(10)
        var liver = [Float](repeating: 0, count: stride)
        var lesion = [Float](repeating: 0, count: stride)
        let layerStep = step.z / Float(layers)
        let scale = min(size.x, size.z)
        let edge = max(1.3, max(step.x, step.y), 0.7 * layerStep) / scale
        for y in 0..<shape.y {
            for index in 0..<stride {
                liver[index] = 0
                lesion[index] = 0
            }
            for layer in 0..<layers {
                let height = origin.z + Float(z) * step.z + (Float(layer) + 0.5) * layerStep - 0.5 * step.z
                let row = Row(
                    blocks: blocks, start: origin.x / size.x, step: step.x / size.x,
                    y: (origin.y + Float(y) * step.y) / size.y, z: height / size.z,
                    margin: anatomy.margin + edge, edge: edge, px: field(0), py: field(1), pz: field(2),
                    bump: field(3), texture: field(4), hu: field(5), liver: field(6), lesion: field(7),
                    lung: field(8), cavity: field(9))
                anatomy.paint(row)
                let share = 1 / Float(layers)
                for block in 0..<blocks {
                    slice[y * blocks + block] += share * row.hu[block]
                    for lane in 0..<8 {
                        liver[block * 8 + lane] += share * row.liver[block][lane]
                        lesion[block * 8 + lane] += share * row.lesion[block][lane]
                    }
                }
            }
            for x in 0..<shape.x {
                let isLiver = liver[x] >= 0.5
                let isLesion = isLiver && lesion[x] >= 0.5
                labels[y * shape.x + x] = isLesion ? Label.lesion : isLiver ? Label.liver : Label.background
            }
        }
        slice.withMemoryRebound(to: Float.self, capacity: stride * shape.y) { values in
            noise.add(to: values, stride: stride, z: z)
            for y in 0..<shape.y {
                for x in 0..<shape.x {
                    let value = min(3_071, max(-1_024, values[y * stride + x]))
                    hu[y * shape.x + x] = Int16(value.rounded())
                }
            }
        }
    }
}

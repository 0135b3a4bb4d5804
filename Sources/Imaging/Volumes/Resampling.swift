public import Compute

/// The shape after resampling from one voxel spacing to another.
///
/// - Parameters:
///   - shape: voxels along x, y, z.
///   - old: their spacing in mm, each above 0.
///   - new: the wanted spacing in mm, each above 0.
/// - Returns: `round(n · old / new)` along each axis, at least 1.
public func resampledShape(_ shape: Shape, from old: SIMD3<Double>, to new: SIMD3<Double>) -> Shape {
    func length(_ axis: Int) -> Int {
        let exact = (Double(shape[axis]) * old[axis] / new[axis]).rounded()
        // Beyond any volume, and far from an overflow.
        return max(1, Int(min(exact, 1e15)))
    }
    return Shape(length(0), length(1), length(2))
}

/// Resamples a CT to another voxel spacing by trilinear interpolation.
///
/// The volume's outer corner stays where it is and voxel centres follow from it: output index `i` reads input
/// coordinate `(i + 0.5) · new / old − 0.5`, clamped to the volume. The same spacing gives the same values.
///
/// - Parameters:
///   - volume: HU, shape (nx, ny, nz), x fastest; finite.
///   - spacing: the wanted spacing in mm, each above 0.
///   - limit: the most voxels the result may have.
///   - team: the threads that share the output's slices.
/// - Returns: HU at the wanted spacing, of the shape that ``resampledShape(_:from:to:)`` gives.
/// - Throws: ``VolumeError/tooLarge(found:limit:)``, before anything is allocated.
/// - Complexity: O(voxels of the result). Four input rows are blended into one, which is then read along x.
public func resampleLinear(
    _ volume: Volume<Float>, to spacing: SIMD3<Double>, limit: Int, team: ThreadTeam
) throws(VolumeError) -> Volume<Float> {
    let shape = resampledShape(volume.shape, from: volume.spacing, to: spacing)
    let (slice, overflow) = shape.x.multipliedReportingOverflow(by: shape.y)
    let (count, overflow2) = slice.multipliedReportingOverflow(by: shape.z)
    guard !overflow, !overflow2, count <= limit else {
        throw .tooLarge(found: [shape.x, shape.y, shape.z], limit: limit)
    }
    let x = LinearTaps(count: shape.x, inputCount: volume.shape.x, ratio: spacing.x / volume.spacing.x)
    let y = LinearTaps(count: shape.y, inputCount: volume.shape.y, ratio: spacing.y / volume.spacing.y)
    let z = LinearTaps(count: shape.z, inputCount: volume.shape.z, ratio: spacing.z / volume.spacing.z)
    let width = volume.shape.x

    let voxels = [Float](unsafeUninitializedCapacity: count) { output, initialized in
        volume.voxels.withUnsafeBufferPointer { input in
            guard let input = input.baseAddress, let output = output.baseAddress else { return }
            team.forEach(shape.z) { k in
                let row = UnsafeMutablePointer<Float>.allocate(capacity: width)
                defer { row.deallocate() }
                let near = input + z.lower[k] * width * volume.shape.y
                let far = input + z.upper[k] * width * volume.shape.y
                for j in 0..<shape.y {
                    let (j0, j1) = (y.lower[j] * width, y.upper[j] * width)
                    blend(near + j0, near + j1, far + j0, far + j1, y.weight[j], z.weight[k], into: row, count: width)
                    x.apply(to: row, into: output + (k * shape.y + j) * shape.x)
                }
            }
        }
        initialized = count
    }
    return Volume(shape: shape, spacing: spacing, voxels: voxels)
}

/// Brings a mask onto another grid that begins at the same corner, each voxel taking the value of the input voxel that
/// its centre lies in.
///
/// - Parameters:
///   - mask: labels, x fastest.
///   - shape: the wanted shape. What lies outside the mask takes the value of its nearest voxel.
///   - spacing: the wanted grid's spacing in mm, each above 0.
///   - team: the threads that share the output's slices.
/// - Returns: labels on the wanted grid.
public func resampleNearest(
    _ mask: Volume<UInt8>, to shape: Shape, spacing: SIMD3<Double>, team: ThreadTeam
) -> Volume<UInt8> {
    func nearest(_ axis: Int) -> [Int] {
        let ratio = spacing[axis] / mask.spacing[axis]
        let last = mask.shape[axis] - 1
        return (0..<shape[axis]).map { min(last, Int(((Double($0) + 0.5) * ratio).rounded(.down))) }
    }
    let (x, y, z) = (nearest(0), nearest(1), nearest(2))
    let voxels = [UInt8](unsafeUninitializedCapacity: shape.count) { output, initialized in
        mask.voxels.withUnsafeBufferPointer { input in
            guard let input = input.baseAddress, let output = output.baseAddress else { return }
            x.withUnsafeBufferPointer { x in
                team.forEach(shape.z) { k in
                    for j in 0..<shape.y {
                        let source = input + mask.shape.index(0, y[j], z[k])
                        let target = output + shape.index(0, j, k)
                        if j > 0, y[j] == y[j - 1] {
                            target.update(from: target - shape.x, count: shape.x)
                        } else {
                            for i in 0..<shape.x { target[i] = source[x[i]] }
                        }
                    }
                }
            }
        }
        initialized = shape.count
    }
    return Volume(shape: shape, spacing: spacing, voxels: voxels)
}

/// For each output index along an axis, the two inputs that it lies between and how far it is from the first.
private struct LinearTaps {
    var lower, upper: [Int]
    var weight: [Float]

    init(count: Int, inputCount: Int, ratio: Double) {
        let last = Double(inputCount - 1)
        let places = (0..<count).map { min(last, max(0, (Double($0) + 0.5) * ratio - 0.5)) }
        lower = places.map { Int($0) }
        upper = lower.map { min(inputCount - 1, $0 + 1) }
        weight = zip(places, lower).map { Float($0 - Double($1)) }
    }

    /// Reads a row at all output places.
    func apply(to row: UnsafePointer<Float>, into output: UnsafeMutablePointer<Float>) {
        lower.withUnsafeBufferPointer { lower in
            upper.withUnsafeBufferPointer { upper in
                weight.withUnsafeBufferPointer { weight in
                    for i in 0..<lower.count {
                        let a = row[lower[i]]
                        output[i] = a + (row[upper[i]] - a) * weight[i]
                    }
                }
            }
        }
    }
}

/// Blends four rows, neighbours in y and z, into one.
private func blend(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ c: UnsafePointer<Float>, _ d: UnsafePointer<Float>,
    _ y: Float, _ z: Float, into row: UnsafeMutablePointer<Float>, count: Int
) {
    for i in 0..<count {
        let near = a[i] + (b[i] - a[i]) * y
        let far = c[i] + (d[i] - c[i]) * y
        row[i] = near + (far - near) * z
    }
}

public import Compute

/// The exact squared Euclidean distance from every voxel to the nearest member voxel.
///
/// One pass an axis: along x by two sweeps, along y and z as the lower envelope of parabolas, each line by itself and
/// in linear time. Sums are of squared axis distances, so that the result is exact up to rounding: within 1e-12 of it.
///
/// - Parameters:
///   - isMember: nonzero voxels are members; any spacing.
///   - team: the threads that share the lines.
/// - Returns: mm², between voxel centres: 0 at members, +infinity everywhere where there is no member.
/// - Complexity: O(voxels); 8 bytes a voxel.
///
/// Source: Felzenszwalb & Huttenlocher, Distance Transforms of Sampled Functions, Theory of Computing 8 (2012) 415–428.
public func squaredDistances(to isMember: Volume<UInt8>, team: ThreadTeam) -> Volume<Double> {
    let shape = isMember.shape
    let spacing = isMember.spacing
    let voxels = [Double](unsafeUninitializedCapacity: shape.count) { output, initialized in
        guard let output = output.baseAddress else { return }
        isMember.voxels.withUnsafeBufferPointer { members in
            guard let members = members.baseAddress else { return }
            team.forEachChunk(of: shape.y * shape.z, chunk: 64) { rows in
                for row in rows {
                    sweep(members + row * shape.x, into: output + row * shape.x, count: shape.x, spacing: spacing.x)
                }
            }
        }
        let slice = shape.x * shape.y
        minimise(
            output, lineLength: shape.y, lineStep: shape.x, planes: shape.z, planeStep: slice, width: shape.x,
            spacing: spacing.y, team: team)
        minimise(
            output, lineLength: shape.z, lineStep: slice, planes: shape.y, planeStep: shape.x, width: shape.x,
            spacing: spacing.z, team: team)
        initialized = shape.count
    }
    return Volume(shape: shape, spacing: spacing, voxels: voxels)
}

/// Squared distances along one row.
private func sweep(
    _ members: UnsafePointer<UInt8>, into output: UnsafeMutablePointer<Double>, count: Int, spacing: Double
) {
    // Whole steps are counted, then scaled once: no error gathers along the row.
    var steps = Double.infinity
    for x in 0..<count {
        steps = members[x] != 0 ? 0 : steps + 1
        output[x] = steps
    }
    steps = .infinity
    for x in stride(from: count - 1, through: 0, by: -1) {
        steps = members[x] != 0 ? 0 : steps + 1
        let distance = min(output[x], steps) * spacing
        output[x] = distance * distance
    }
}

/// Lines that are worked on together: what one line of the cache holds.
private let bundle = 8

/// Replaces each line's values f by min over j of f(j) + (spacing · (i - j))².
///
/// A line has `lineLength` values, `lineStep` apart. Lines begin at each of `width` neighbouring values of `planes`
/// planes, `planeStep` apart.
private func minimise(
    _ values: UnsafeMutablePointer<Double>, lineLength: Int, lineStep: Int, planes: Int, planeStep: Int, width: Int,
    spacing: Double, team: ThreadTeam
) {
    guard lineLength > 1 else { return }
    let bundles = (width + bundle - 1) / bundle
    team.forEachChunk(of: planes * bundles, chunk: max(1, 4096 / (lineLength * bundle))) { range in
        let envelope = Envelope(capacity: lineLength, spacing: spacing)
        defer { envelope.deallocate() }
        let lines = UnsafeMutablePointer<Double>.allocate(capacity: bundle * lineLength)
        defer { lines.deallocate() }
        for index in range {
            let (plane, part) = index.quotientAndRemainder(dividingBy: bundles)
            let start = values + plane * planeStep + part * bundle
            let count = min(bundle, width - part * bundle)
            for i in 0..<lineLength {
                for line in 0..<count { lines[line * lineLength + i] = start[i * lineStep + line] }
            }
            for line in 0..<count { envelope.minimise(lines + line * lineLength) }
            for i in 0..<lineLength {
                for line in 0..<count { start[i * lineStep + line] = lines[line * lineLength + i] }
            }
        }
    }
}

/// The lower envelope of the parabolas f(j) + (spacing · (i - j))², found without a division.
private struct Envelope {
    private let capacity: Int
    private let square: Double
    /// The parabolas of the envelope from left to right: where each has its lowest point, and its lowest value.
    private let place, height: UnsafeMutablePointer<Double>

    init(capacity: Int, spacing: Double) {
        self.capacity = capacity
        square = spacing * spacing
        place = .allocate(capacity: capacity)
        height = .allocate(capacity: capacity)
    }

    func deallocate() {
        place.deallocate()
        height.deallocate()
    }

    /// Replaces a line of `capacity` values.
    func minimise(_ line: UnsafeMutablePointer<Double>) {
        var count = 0
        for j in 0..<capacity where line[j] < .infinity {
            let (here, value) = (Double(j), line[j])
            while count >= 2, isHidden(count - 1, behind: here, value) { count -= 1 }
            place[count] = here
            height[count] = value
            count += 1
        }
        guard count > 0 else { return }
        var lowest = 0
        for i in 0..<capacity {
            var value = distance(to: lowest, from: Double(i))
            while lowest + 1 < count {
                let next = distance(to: lowest + 1, from: Double(i))
                guard next <= value else { break }
                value = next
                lowest += 1
            }
            line[i] = value
        }
    }

    @inline(__always) private func distance(to parabola: Int, from i: Double) -> Double {
        let step = i - place[parabola]
        return height[parabola] + step * step * square
    }

    /// Whether a parabola is nowhere below both the one before it and a new one to its right.
    ///
    /// With steps a to the one before and b to the new one: (a + b) · f < b · f(before) + a · f(new) + a · b · (a + b)
    /// · spacing² where it is below both somewhere. Each term is at most a few hundred times the result near by, so
    /// that rounding stays far below 1e-12 of it.
    @inline(__always) private func isHidden(_ parabola: Int, behind here: Double, _ value: Double) -> Bool {
        let a = place[parabola] - place[parabola - 1]
        let b = here - place[parabola]
        return (a + b) * height[parabola] >= b * height[parabola - 1] + a * value + a * b * (a + b) * square
    }
}

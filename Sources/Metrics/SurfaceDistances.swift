internal import Compute
import Imaging
import Synchronization

/// What the distance scores are made of: the distances from each voxel of one surface to the nearest of another.
struct DistanceSums: Equatable {
    /// How many distances.
    var count = 0
    /// Their sum in mm, the sum of their squares in mm², the square of the largest.
    var sum = 0.0
    var squares = 0.0
    var largestSquare = 0.0

    mutating func add(square: Double) {
        count += 1
        sum += square.squareRoot()
        squares += square
        largestSquare = max(largestSquare, square)
    }

    mutating func add(_ other: DistanceSums) {
        count += other.count
        sum += other.sum
        squares += other.squares
        largestSquare = max(largestSquare, other.largestSquare)
    }
}

/// Distances from each voxel of `surface` to the nearest voxel of `target`, which must have one; both on one box.
///
/// An exact distance transform that stores no volume. It works on strips of 16 columns, which fit a core's cache: along
/// x the nearest target is read off the mask's bits, along y the lower envelope of parabolas gives the nearest in each
/// slice, and along z only the voxels of `surface` look, outwards until the slices are further off than the best found.
///
/// Sums are taken strip by strip and then added in the order of strips: the same for any number of threads.
///
/// Source: Felzenszwalb & Huttenlocher, Distance Transforms of Sampled Functions, Theory of Computing 8 (2012) 415–428.
func distances(
    from surface: BitMask, to target: BitMask, spacing: SIMD3<Double>, team: ThreadTeam
) -> DistanceSums {
    let strips = (surface.shape.x + Strip.width - 1) / Strip.width
    var sums = [DistanceSums](repeating: DistanceSums(), count: strips)
    sums.withUnsafeMutableBufferPointer { sums in
        nonisolated(unsafe) let sums = sums
        let next = Atomic<Int>(0)
        team.run { _ in
            var strip: Strip?
            defer { strip?.deallocate() }
            while true {
                let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard index < strips else { return }
                // A strip that no voxel asks about costs nothing.
                guard surface.hasVoxels(inColumns: index * Strip.width) else { continue }
                if strip == nil { strip = Strip(shape: surface.shape, spacing: spacing) }
                strip?.measure(columns: index * Strip.width, to: target)
                sums[index] = strip?.look(from: surface) ?? DistanceSums()
            }
        }
    }
    return sums.reduce(into: DistanceSums()) { $0.add($1) }
}

/// Squared distances in mm², within each slice, of 16 neighbouring columns to the target. Used by one thread.
private struct Strip {
    /// Columns of a strip; a quarter of a mask's word.
    static let width = 16

    private let shape: Shape
    private let spacing: SIMD3<Double>
    /// `values[(z · width + column) · shape.y + y]`; slices without a target hold nothing and are not in `slices`.
    private let values: UnsafeMutablePointer<Double>
    private var firstColumn = 0
    private var hasTarget: [Bool]
    private let place: UnsafeMutablePointer<Int>
    private let height, from: UnsafeMutablePointer<Double>
    /// `1 / (2 · spacing.y² · n)`: multiplying by it is quicker than dividing.
    private let inverse: UnsafeMutablePointer<Double>

    init(shape: Shape, spacing: SIMD3<Double>) {
        self.shape = shape
        self.spacing = spacing
        values = .allocate(capacity: Strip.width * shape.y * shape.z)
        hasTarget = [Bool](repeating: false, count: shape.z)
        place = .allocate(capacity: shape.y)
        height = .allocate(capacity: shape.y)
        from = .allocate(capacity: shape.y)
        inverse = .allocate(capacity: shape.y)
        for n in 0..<shape.y { inverse[n] = 1 / (2 * spacing.y * spacing.y * Double(max(n, 1))) }
    }

    func deallocate() {
        values.deallocate()
        place.deallocate()
        height.deallocate()
        from.deallocate()
        inverse.deallocate()
    }

    /// Fills the strip that begins at column `first`.
    mutating func measure(columns first: Int, to target: BitMask) {
        firstColumn = first
        let columns = min(Strip.width, shape.x - first)
        target.words.withUnsafeBufferPointer { words in
            for z in 0..<shape.z {
                let slice = values + z * Strip.width * shape.y
                var found = false
                for y in 0..<shape.y {
                    if measureRow(words, target.row(y, z), target.rowWords, slice + y, columns) { found = true }
                }
                hasTarget[z] = found
                guard found else { continue }
                for column in 0..<columns { lowerEnvelope(slice + column * shape.y) }
            }
        }
    }

    /// Squared distances along one row; infinity, and false, where the row has no target.
    @inline(__always)
    private func measureRow(
        _ words: UnsafeBufferPointer<UInt64>, _ row: Int, _ rowWords: Int, _ output: UnsafeMutablePointer<Double>,
        _ columns: Int
    ) -> Bool {
        let home = firstColumn / 64
        // The nearest targets to the left and right of this word, in voxels from the row's start.
        var left = -1
        var right = -1
        for word in stride(from: home - 1, through: 0, by: -1) where words[row + word] != 0 {
            left = 64 * word + 63 - words[row + word].leadingZeroBitCount
            break
        }
        for word in home + 1..<max(home + 1, rowWords) where words[row + word] != 0 {
            right = 64 * word + words[row + word].trailingZeroBitCount
            break
        }
        let bits = words[row + home]
        guard bits != 0 || left >= 0 || right >= 0 else {
            for column in 0..<columns { output[column * shape.y] = .infinity }
            return false
        }
        for column in 0..<columns {
            let x = firstColumn + column
            let shift = UInt64(x & 63)
            let atOrAfter = bits >> shift
            let atOrBefore = bits << (63 - shift)
            let after = atOrAfter != 0 ? atOrAfter.trailingZeroBitCount : right >= 0 ? right - x : Int.max
            let before = atOrBefore != 0 ? atOrBefore.leadingZeroBitCount : left >= 0 ? x - left : Int.max
            let distance = Double(min(after, before)) * spacing.x
            output[column * shape.y] = distance * distance
        }
        return true
    }

    /// Replaces a column's values f by min over j of f(j) + (spacing · (i - j))². At least one is finite.
    private func lowerEnvelope(_ line: UnsafeMutablePointer<Double>) {
        // The parabolas of the envelope: where each has its lowest point, its value there, and from where on it is the
        // lowest of all.
        var count = 0
        for j in 0..<shape.y where line[j] < .infinity {
            var start = -Double.infinity
            while count > 0 {
                let last = count - 1
                start = (line[j] - height[last]) * inverse[j - place[last]] + 0.5 * Double(j + place[last])
                if start > from[last] { break }
                count -= 1
                start = -.infinity
            }
            place[count] = j
            height[count] = line[j]
            from[count] = start
            count += 1
        }
        var lowest = 0
        for i in 0..<shape.y {
            while lowest + 1 < count, from[lowest + 1] < Double(i) { lowest += 1 }
            let distance = Double(i - place[lowest]) * spacing.y
            line[i] = height[lowest] + distance * distance
        }
    }

    /// Sums up the distances of the voxels of `surface` that lie in the strip.
    func look(from surface: BitMask) -> DistanceSums {
        var sums = DistanceSums()
        let home = firstColumn / 64
        let shift = UInt64(firstColumn & 63)
        for z in 0..<shape.z {
            for y in 0..<shape.y {
                var bits = (surface.words[surface.row(y, z) + home] >> shift) & 0xFFFF
                while bits != 0 {
                    sums.add(square: nearest(bits.trailingZeroBitCount, y, z))
                    bits &= bits - 1
                }
            }
        }
        return sums
    }

    @inline(__always) private func nearest(_ column: Int, _ y: Int, _ z: Int) -> Double {
        let line = values + column * shape.y + y
        let step = Strip.width * shape.y
        var best = hasTarget[z] ? line[z * step] : .infinity
        for away in 1..<max(2, shape.z) {
            let across = Double(away) * spacing.z
            let least = across * across
            if least >= best { break }
            if z >= away, hasTarget[z - away] { best = min(best, line[(z - away) * step] + least) }
            if z + away < shape.z, hasTarget[z + away] { best = min(best, line[(z + away) * step] + least) }
        }
        return best
    }
}

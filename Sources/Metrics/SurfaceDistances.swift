internal import Compute
import Imaging

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

/// Distances from each voxel of `surface` to the nearest voxel of `target`, which must have one.
///
/// Sums are taken slice by slice and then added in the order of slices: the same for any number of threads.
func distances(
    from surface: BitMask, to target: BitMask, spacing: SIMD3<Double>, team: ThreadTeam
) -> DistanceSums {
    let shape = surface.shape
    var members = Volume<UInt8>(shape: shape, spacing: spacing, filledWith: 0)
    for z in 0..<shape.z { for y in 0..<shape.y { target.forEachVoxel(inRow: y, z) { members[$0, y, z] = 1 } } }
    let squares = squaredDistances(to: members, team: team)
    var slices = [DistanceSums](repeating: DistanceSums(), count: shape.z)
    for z in 0..<shape.z {
        for y in 0..<shape.y { surface.forEachVoxel(inRow: y, z) { slices[z].add(square: squares[$0, y, z]) } }
    }
    return slices.reduce(into: DistanceSums()) { $0.add($1) }
}

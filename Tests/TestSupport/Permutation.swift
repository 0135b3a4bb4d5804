public import Imaging

extension Volume {
    /// The volume with its axes in another order, each perhaps turned round; the spacing goes with them.
    ///
    /// - Parameters:
    ///   - order: for each new axis the old one that it is.
    ///   - flips: whether a new axis is turned round.
    public func permuted(order: [Int], flips: [Bool]) -> Volume {
        let new = Shape(shape[order[0]], shape[order[1]], shape[order[2]])
        var voxels: [Voxel] = []
        voxels.reserveCapacity(new.count)
        for z in 0..<new.z {
            for y in 0..<new.y {
                for x in 0..<new.x {
                    var at = [0, 0, 0]
                    for (axis, index) in [x, y, z].enumerated() {
                        at[order[axis]] = flips[axis] ? new[axis] - 1 - index : index
                    }
                    voxels.append(self[at[0], at[1], at[2]])
                }
            }
        }
        return Volume(
            shape: new, spacing: SIMD3(spacing[order[0]], spacing[order[1]], spacing[order[2]]), voxels: voxels)
    }
}

/// The six orders of three axes, each with the eight ways to turn them round: all 48 ways to lay a volume.
public let allAxisChanges: [(order: [Int], flips: [Bool])] = {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    return orders.flatMap { order in (0..<8).map { bits in (order, (0..<3).map { bits >> $0 & 1 == 1 }) } }
}()

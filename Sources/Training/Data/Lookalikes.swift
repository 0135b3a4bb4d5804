internal import Compute
internal import Imaging

/// What slices look like, coarsely: enough to tell whether two files hold the same slice of the same patient, at
/// another resolution, in another window or with other compression.
///
/// Names and numbers cannot be trusted for that: collections number the same patients differently.
struct Fingerprints: Sendable {
    /// How many slices there are.
    let count: Int
    /// ``cells`` values a slice of mean 0 and length 1; all 0 for a slice without any structure.
    private let values: [Float]

    /// Rows and columns of the grid on which slices are compared.
    private static let side = 32
    private static let cells = side * side
    /// HU that every abdominal window holds.
    private static let range: ClosedRange<Float> = 0...150
    /// The least correlation of the same slice in two files. LiTS's slices in two collections have 0.98 to 1, slices of
    /// different patients at most 0.86, phantoms of different seeds at most 0.96.
    private static let threshold: Float = 0.97

    /// The fingerprints of all slices of a CT in HU.
    init(of ct: Volume<Float>, team: ThreadTeam) {
        let shape = ct.shape
        count = shape.z
        values = [Float](unsafeUninitializedCapacity: shape.z * Self.cells) { values, initialized in
            nonisolated(unsafe) let values = values
            ct.voxels.withUnsafeBufferPointer { ct in
                team.forEach(shape.z) { z in
                    let slice = z * shape.x * shape.y..<(z + 1) * shape.x * shape.y
                    Self.fill(
                        UnsafeMutableBufferPointer(rebasing: values[z * Self.cells..<(z + 1) * Self.cells]),
                        from: UnsafeBufferPointer(rebasing: ct[slice]), shape: shape)
                }
            }
            initialized = shape.z * Self.cells
        }
    }

    /// The slices that `other` holds too, ascending.
    func slices(alsoIn other: Fingerprints, team: ThreadTeam) -> [Int] {
        var isShared = [Bool](repeating: false, count: count)
        isShared.withUnsafeMutableBufferPointer { isShared in
            nonisolated(unsafe) let isShared = isShared
            values.withUnsafeBufferPointer { mine in
                other.values.withUnsafeBufferPointer { theirs in
                    team.forEach(count) { slice in
                        isShared[slice] = (0..<other.count).contains { candidate in
                            var sum = SIMD16<Float>.zero
                            for cell in stride(from: 0, to: Self.cells, by: 16) {
                                let a = UnsafeRawPointer(mine.baseAddress! + slice * Self.cells + cell)
                                let b = UnsafeRawPointer(theirs.baseAddress! + candidate * Self.cells + cell)
                                sum += a.loadUnaligned(as: SIMD16<Float>.self) * b.loadUnaligned(as: SIMD16<Float>.self)
                            }
                            return sum.sum() >= Self.threshold
                        }
                    }
                }
            }
        }
        return isShared.indices.filter { isShared[$0] }
    }

    /// Averages a slice over the cells of the grid, then takes off the mean and the length.
    private static func fill(
        _ values: UnsafeMutableBufferPointer<Float>, from slice: UnsafeBufferPointer<Float>, shape: Shape
    ) {
        func pixels(_ cell: Int, of count: Int) -> Range<Int> {
            let first = cell * count / side
            return first..<max(first + 1, (cell + 1) * count / side)
        }
        var mean: Float = 0
        for cell in 0..<cells {
            let (columns, rows) = (pixels(cell % side, of: shape.x), pixels(cell / side, of: shape.y))
            var sum: Float = 0
            for y in rows {
                for x in columns { sum += min(max(slice[y * shape.x + x], range.lowerBound), range.upperBound) }
            }
            values[cell] = sum / Float(columns.count * rows.count)
            mean += values[cell] / Float(cells)
        }
        var squares: Float = 0
        for cell in 0..<cells {
            values[cell] -= mean
            squares += values[cell] * values[cell]
        }
        // Half a HU of difference is rounding, not structure.
        let scale = squares > 0.25 * Float(cells) ? 1 / squares.squareRoot() : 0
        for cell in 0..<cells { values[cell] *= scale }
    }
}

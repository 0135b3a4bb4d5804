internal import Imaging

/// Paints lesions into one slice of a sample.
struct LesionPainter {
    let place: Placement
    /// Rows and columns of the sample.
    let crop: Int
    let source: TrainingCase
    /// The slice's place in the case, in slices; between two where the sample's slices lie between the case's.
    let position: Float

    /// Millimetres of liver around a pixel whose mean the lesion's brightness counts from: vessels go, noise stays.
    private static let neighbourhood: Float = 3

    /// Rows and columns of the sample that a lesion may reach; nil where none.
    private func window(of lesion: PaintedLesion) -> (rows: Range<Int>, columns: Range<Int>)? {
        let spacing = SIMD3<Float>(source.ct.spacing)
        guard abs(lesion.centre.z - position * spacing.z) < lesion.reach else { return nil }
        let middle = SIMD2(lesion.centre.x / spacing.x, lesion.centre.y / spacing.y) - place.origin
        let scale = (place.across * place.across).sum()
        let column = (middle * place.across).sum() / scale
        let row = (middle * place.down).sum() / scale
        let reach = lesion.reach / min(spacing.x, spacing.y) / scale.squareRoot()
        func range(_ at: Float) -> Range<Int> {
            let low = min(max(Int((at - reach).rounded(.down)), 0), crop)
            let high = min(max(Int((at + reach).rounded(.up)) + 1, 0), crop)
            return low..<max(low, high)
        }
        let (rows, columns) = (range(row), range(column))
        return rows.isEmpty || columns.isEmpty ? nil : (rows, columns)
    }

    /// From a lesion's centre to a pixel, in mm.
    @inline(__always) private func offset(_ lesion: PaintedLesion, row: Int, column: Int) -> SIMD3<Float> {
        let spacing = SIMD3<Float>(source.ct.spacing)
        let at = place.origin + place.across * Float(column) + place.down * Float(row)
        return SIMD3(at.x, at.y, position) * spacing - lesion.centre
    }

    /// Whether a pixel is liver in the slice nearest to the position.
    @inline(__always) private func isLiver(_ labels: UnsafePointer<UInt8>, row: Int, column: Int) -> Bool {
        let shape = source.labels.shape
        let at = place.origin + place.across * Float(column) + place.down * Float(row) + 0.5
        guard at.x >= 0, at.y >= 0 else { return false }
        let (x, y) = (Int(at.x), Int(at.y))
        return x < shape.x && y < shape.y && TrainingCase.isLiver(labels[y * shape.x + x])
    }

    private func withLabels(_ body: (UnsafePointer<UInt8>) -> Void) {
        let shape = source.labels.shape
        let slice = min(max(Int(position.rounded()), 0), shape.z - 1)
        source.labels.voxels.withUnsafeBufferPointer { voxels in
            if let start = voxels.baseAddress { body(start + slice * shape.x * shape.y) }
        }
    }

    /// Paints a lesion into a plane of HU, inside the liver only.
    func paint(_ lesion: PaintedLesion, into plane: UnsafeMutablePointer<Float>) {
        guard let (rows, columns) = window(of: lesion) else { return }
        let pixel = Float(source.ct.spacing.x) * (place.across * place.across).sum().squareRoot()
        let reach = min(max(Int((Self.neighbourhood / pixel).rounded()), 1), 8)
        let outerRows = max(0, rows.lowerBound - reach)..<min(crop, rows.upperBound + reach)
        let outerColumns = max(0, columns.lowerBound - reach)..<min(crop, columns.upperBound + reach)
        withLabels { labels in
            let sums = LiverSums(rows: outerRows, columns: outerColumns) { row, column in
                isLiver(labels, row: row, column: column) ? plane[row * crop + column] : nil
            }
            for row in rows {
                for column in columns where sums.isLiver(row: row, column: column) {
                    let offset = offset(lesion, row: row, column: column)
                    let distance = lesion.distance(offset)
                    let cover = lesion.cover(distance)
                    guard cover > 0 else { continue }
                    let mean = sums.mean(row: row, column: column, reach: reach)
                    // The liver's own level keeps a lesion beside a vessel from being bright.
                    let wanted = source.liverHU + lesion.brightness(offset, distance)
                    plane[row * crop + column] += cover * (wanted - mean)
                }
            }
        }
    }

    /// Gives the pixels of a lesion their label, inside the liver only.
    func paintLabels(_ lesion: PaintedLesion, into plane: UnsafeMutablePointer<UInt8>) {
        guard let (rows, columns) = window(of: lesion) else { return }
        for row in rows {
            for column in columns where TrainingCase.isLiver(plane[row * crop + column]) {
                if lesion.distance(offset(lesion, row: row, column: column)) < 0 {
                    plane[row * crop + column] = Label.lesion
                }
            }
        }
    }
}

/// Sums of HU over the liver's pixels of any box of a window, by a table of sums.
private struct LiverSums {
    private let rows, columns: Range<Int>
    private let width: Int
    private var sums: [Double]
    private var counts: [Int32]

    /// - Parameter value: HU of a pixel of the liver; nil elsewhere.
    init(rows: Range<Int>, columns: Range<Int>, value: (_ row: Int, _ column: Int) -> Float?) {
        self.rows = rows
        self.columns = columns
        width = columns.count + 1
        sums = [Double](repeating: 0, count: (rows.count + 1) * width)
        counts = [Int32](repeating: 0, count: sums.count)
        for row in rows {
            var (sum, count) = (0.0, Int32(0))
            for column in columns {
                if let value = value(row, column) {
                    sum += Double(value)
                    count += 1
                }
                let index = (row - rows.lowerBound + 1) * width + column - columns.lowerBound + 1
                sums[index] = sums[index - width] + sum
                counts[index] = counts[index - width] + count
            }
        }
    }

    private func corner(_ row: Int, _ column: Int) -> Int {
        (min(max(row, rows.lowerBound), rows.upperBound) - rows.lowerBound) * width
            + min(max(column, columns.lowerBound), columns.upperBound) - columns.lowerBound
    }

    private func box(_ row: Int, _ column: Int, _ reach: Int) -> (Int, Int, Int, Int) {
        (
            corner(row - reach, column - reach), corner(row - reach, column + reach + 1),
            corner(row + reach + 1, column - reach), corner(row + reach + 1, column + reach + 1)
        )
    }

    /// Whether a pixel of the window is liver.
    func isLiver(row: Int, column: Int) -> Bool {
        let (a, b, c, d) = box(row, column, 0)
        return counts[d] - counts[b] - counts[c] + counts[a] > 0
    }

    /// The mean of the liver's pixels within `reach` rows and columns of one of them.
    func mean(row: Int, column: Int, reach: Int) -> Float {
        let (a, b, c, d) = box(row, column, reach)
        return Float(
            (sums[d] - sums[b] - sums[c] + sums[a]) / Double(max(1, counts[d] - counts[b] - counts[c] + counts[a])))
    }
}

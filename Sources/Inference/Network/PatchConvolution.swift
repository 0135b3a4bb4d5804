internal import COpenBLAS
internal import Compute
import Engine

/// OpenBLAS, told to stay on the calling thread: the team's threads call it side by side.
enum BLAS {
    private static let once: Void = openblas_set_num_threads(1)

    /// Takes effect once, for the whole process.
    static func useOneThread() { once }
}

/// How much memory the matrix of patches takes.
enum Patches {
    /// Floats of one thread's matrix (2 MiB), so that it stays in the cache while OpenBLAS reads it.
    static let floats = 1 << 19

    /// Rows of the plane whose patches fit; 0 where not even one row does.
    static func rows(inputs: Int, width: Int) -> Int { floats / (9 * inputs * width) }
}

extension PlanarTask {
    /// im2col + GEMM: strips of rows are copied to a matrix with one column a pixel and nine rows an input channel, and
    /// the weights are multiplied with it.
    ///
    /// How the plane is cut depends on its size only, never on the number of threads, so that results do not either.
    ///
    /// - Parameter patches: `Patches.floats` floats for each thread of the team.
    func runThroughPatches(_ team: ThreadTeam, patches: UnsafeMutablePointer<Float>) {
        nonisolated(unsafe) let (task, patches) = (self, patches)
        let depth = 9 * convolution.inputs
        // A row that is too long for the matrix is cut into parts; else whole rows go together.
        let columns = min(width, max(16, Patches.floats / depth / 16 * 16))
        let rows = columns < width ? 1 : min(height, max(1, Patches.rows(inputs: convolution.inputs, width: width)))
        let parts = (width + columns - 1) / columns
        let strips = (height + rows - 1) / rows
        let next = Counter()
        team.run { thread in
            let matrix = patches + thread * Patches.floats
            while let item = next.claim(below: strips * parts) {
                let y0 = item / parts * rows
                let x0 = item % parts * columns
                task.multiply(
                    rows: y0..<min(task.height, y0 + rows), columns: x0..<min(task.width, x0 + columns),
                    matrix: matrix)
            }
        }
        team.forEach(convolution.outputs) { channel in
            task.finish(channel: channel, rows: 0..<task.height, bias: task.convolution.bias[channel])
        }
    }

    /// The sums of a rectangle of pixels that spans whole rows or is one row high.
    private func multiply(rows: Range<Int>, columns: Range<Int>, matrix: UnsafeMutablePointer<Float>) {
        let count = rows.count * columns.count
        fill(matrix, rows: rows, columns: columns)
        cblas_sgemm(
            CblasRowMajor, CblasNoTrans, CblasNoTrans, Int32(convolution.outputs), Int32(count),
            Int32(9 * convolution.inputs), 1, convolution.weights, Int32(9 * convolution.inputs), matrix, Int32(count),
            0, output + rows.lowerBound * width + columns.lowerBound, Int32(height * width))
    }

    private func fill(_ matrix: UnsafeMutablePointer<Float>, rows: Range<Int>, columns: Range<Int>) {
        var target = matrix
        for plane in input {
            for tap in 0..<9 {
                let (dy, dx) = (tap / 3 - 1, tap % 3 - 1)
                for y in rows {
                    defer { target += columns.count }
                    guard (0..<height).contains(y + dy) else {
                        target.update(repeating: 0, count: columns.count)
                        continue
                    }
                    let source = plane + (y + dy) * width
                    let inside = max(columns.lowerBound, -dx)..<min(columns.upperBound, width - dx)
                    if inside.lowerBound > columns.lowerBound { target[0] = 0 }
                    if inside.upperBound < columns.upperBound { target[columns.count - 1] = 0 }
                    (target + (inside.lowerBound - columns.lowerBound)).update(
                        from: source + inside.lowerBound + dx, count: inside.count)
                }
            }
        }
    }
}

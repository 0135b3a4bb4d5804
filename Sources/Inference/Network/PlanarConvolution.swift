internal import Compute
import Engine

/// One convolution over planes: what is read, what is written, and what is added on the way.
struct PlanarTask {
    let convolution: Convolution
    /// One plane a channel, height x width floats each.
    let input: [UnsafePointer<Float>]
    /// Planes one after the other.
    let output: UnsafeMutablePointer<Float>
    /// Planes added to the first channels of the result.
    let shortcut: [UnsafePointer<Float>]
    let height, width: Int

    /// The plain twin: one output row at a time, sums in double precision.
    func runPlainLoops(_ team: ThreadTeam) {
        nonisolated(unsafe) let task = self
        let inputs = convolution.inputs
        team.forEach(convolution.outputs) { output in
            var sums = [Double](repeating: 0, count: task.width)
            for y in 0..<task.height {
                for x in 0..<task.width { sums[x] = Double(task.convolution.bias[output]) }
                for channel in 0..<inputs {
                    for ky in 0..<3 where (0..<task.height).contains(y + ky - 1) {
                        let row = task.input[channel] + (y + ky - 1) * task.width
                        for kx in 0..<3 {
                            let weight = Double(
                                task.convolution.weights[((output * inputs + channel) * 3 + ky) * 3 + kx])
                            for x in max(0, 1 - kx)..<min(task.width, task.width + 1 - kx) {
                                sums[x] += weight * Double(row[x + kx - 1])
                            }
                        }
                    }
                }
                let result = task.output + (output * task.height + y) * task.width
                for x in 0..<task.width { result[x] = Float(sums[x]) }
                task.finish(channel: output, rows: y..<y + 1, bias: 0)
            }
        }
    }

    /// Adds the bias, applies PReLU, adds the shortcut, in place.
    func finish(channel: Int, rows: Range<Int>, bias: Float) {
        let slope = convolution.slopes?[channel] ?? 1
        let range = rows.lowerBound * width..<rows.upperBound * width
        let plane = output + channel * height * width
        for index in range {
            let sum = plane[index] + bias
            plane[index] = sum < 0 ? sum * slope : sum
        }
        if channel < shortcut.count {
            let added = shortcut[channel]
            for index in range { plane[index] += added[index] }
        }
    }
}

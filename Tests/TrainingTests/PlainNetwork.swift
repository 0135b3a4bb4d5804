import Compute
import Foundation
import Inference
import Training

/// The network and its loss in double precision and in the plainest form: what gradients are differences of.
struct PlainNetwork {
    /// Feature maps, shape (count, channels, height, width), x fastest.
    struct Maps {
        var channels, height, width: Int
        var values: [Double]

        var plane: Int { height * width }
        var count: Int { values.count / (channels * plane) }

        /// Where plane `channel` of sample `sample` begins.
        func start(_ sample: Int, _ channel: Int) -> Int { (sample * channels + channel) * plane }

        init(count: Int, channels: Int, height: Int, width: Int) {
            (self.channels, self.height, self.width) = (channels, height, width)
            values = [Double](repeating: 0, count: count * channels * height * width)
        }
    }

    let architecture: Architecture
    let layout: ParameterLayout
    /// Laid out as ``TrainableNetwork/parameters``.
    var parameters: [Double]

    init(_ architecture: Architecture, tensors: [String: Tensor]) {
        self.architecture = architecture
        layout = ParameterLayout(architecture)
        parameters = layout.parameters.flatMap { tensors[$0.name]!.values.map(Double.init) }
    }

    /// The loss, with batch norm by the batch's own statistics.
    func loss(of batch: Batch, _ loss: Loss) -> Double {
        let levels = [1, 2, 4, 8, 8].map { $0 * architecture.width }
        let convolutions = [2, 2, 3, 3, 3]
        var reader = ParameterReader(entries: layout.parameters[...], parameters: parameters)

        var maps = Maps(count: batch.count, channels: batch.slices, height: batch.height, width: batch.width)
        maps.values = batch.images.map(Double.init)
        var skips: [Maps] = []
        for level in 0..<5 {
            if level > 0 {
                skips.append(maps)
                maps = pooled(maps)
            }
            maps = block(maps, outputs: levels[level], convolutions[level], hasShortcut: level > 0, &reader)
        }
        for level in (0..<4).reversed() {
            maps = concatenated(skips[level], replicated(maps))
            maps = block(maps, outputs: levels[level], convolutions[level], hasShortcut: true, &reader)
        }
        var logits = convolved(maps, reader.next(), outputs: architecture.classes)
        let bias = reader.next()
        for index in logits.values.indices { logits.values[index] += bias[index / logits.plane % logits.channels] }
        return total(loss, logits, batch.labels)
    }

    /// The loss's derivative by each of `indices` of the parameters, by central differences.
    ///
    /// A step of 1e-7 leaves an error of about 1e-9 from rounding; a hundred times as long a step would meet kinks of
    /// pooling and PReLU.
    func centralDifferences(at indices: [Int], batch: Batch, loss: Loss, step: Double = 1e-7) -> [Double] {
        let network = self
        var result = [Double](repeating: .nan, count: indices.count)
        result.withUnsafeMutableBufferPointer { result in
            nonisolated(unsafe) let result = result
            ThreadTeam(threads: 2).forEach(indices.count) { item in
                var moved = network
                moved.parameters[indices[item]] = network.parameters[indices[item]] + step
                let above = moved.loss(of: batch, loss)
                moved.parameters[indices[item]] = network.parameters[indices[item]] - step
                result[item] = (above - moved.loss(of: batch, loss)) / (2 * step)
            }
        }
        return result
    }
}

/// Hands out the parameter tensors in the order in which the network uses them.
private struct ParameterReader {
    var entries: ArraySlice<ParameterLayout.Entry>
    let parameters: [Double]

    mutating func next() -> [Double] { Array(parameters[entries.removeFirst().range]) }
}

private typealias Maps = PlainNetwork.Maps

private func block(
    _ input: Maps, outputs: Int, _ convolutions: Int, hasShortcut: Bool, _ reader: inout ParameterReader
) -> Maps {
    var maps = input
    for _ in 0..<convolutions {
        maps = convolved(maps, reader.next(), outputs: outputs)
        normalise(&maps, scale: reader.next(), shift: reader.next())
        let slopes = reader.next()
        for index in maps.values.indices where maps.values[index] < 0 {
            maps.values[index] *= slopes[index / maps.plane % outputs]
        }
    }
    guard hasShortcut else { return maps }
    for sample in 0..<maps.count {
        for channel in 0..<min(input.channels, outputs) {
            let (to, from) = (maps.start(sample, channel), input.start(sample, channel))
            for pixel in 0..<maps.plane { maps.values[to + pixel] += input.values[from + pixel] }
        }
    }
    return maps
}

/// A 3x3 convolution, padding 1; weights of shape (outputs, input.channels, 3, 3).
private func convolved(_ input: Maps, _ weights: [Double], outputs: Int) -> Maps {
    var result = Maps(count: input.count, channels: outputs, height: input.height, width: input.width)
    let (height, width) = (input.height, input.width)
    result.values.withUnsafeMutableBufferPointer { values in
        input.values.withUnsafeBufferPointer { inputs in
            for (index, weight) in weights.enumerated() {
                let (dy, dx) = (index / 3 % 3 - 1, index % 3 - 1)
                let (from, to) = (index / 9 % input.channels, index / 9 / input.channels)
                for sample in 0..<input.count {
                    for y in max(0, -dy)..<min(height, height - dy) {
                        let target = (sample * outputs + to) * height * width + y * width
                        let source = input.start(sample, from) + (y + dy) * width + dx
                        for x in max(0, -dx)..<min(width, width - dx) {
                            values[target + x] += weight * inputs[source + x]
                        }
                    }
                }
            }
        }
    }
    return result
}

/// Batch norm by the batch's own mean and (biased) variance.
private func normalise(_ maps: inout Maps, scale: [Double], shift: [Double]) {
    let count = Double(maps.count * maps.plane)
    for channel in 0..<maps.channels {
        let pixels = (0..<maps.count).flatMap { sample in
            let start = maps.start(sample, channel)
            return start..<start + maps.plane
        }
        let mean = pixels.reduce(0) { $0 + maps.values[$1] } / count
        let variance = pixels.reduce(0) { $0 + (maps.values[$1] - mean) * (maps.values[$1] - mean) } / count
        let factor = scale[channel] / (variance + 1e-5).squareRoot()
        for pixel in pixels { maps.values[pixel] = (maps.values[pixel] - mean) * factor + shift[channel] }
    }
}

/// The largest of each 2x2 pixels.
private func pooled(_ input: Maps) -> Maps {
    var result = Maps(
        count: input.count, channels: input.channels, height: input.height / 2, width: input.width / 2)
    for index in result.values.indices {
        let (line, x) = (index / result.width, index % result.width)
        let first = 2 * line * input.width + 2 * x
        let second = first + input.width
        result.values[index] = max(
            input.values[first], input.values[first + 1], input.values[second], input.values[second + 1])
    }
    return result
}

/// Each pixel 2x2 times.
private func replicated(_ input: Maps) -> Maps {
    var result = Maps(
        count: input.count, channels: input.channels, height: input.height * 2, width: input.width * 2)
    for index in result.values.indices {
        result.values[index] = input.values[index / result.width / 2 * input.width + index % result.width / 2]
    }
    return result
}

/// The channels of `first`, then those of `second`.
private func concatenated(_ first: Maps, _ second: Maps) -> Maps {
    var result = Maps(
        count: first.count, channels: first.channels + second.channels, height: first.height, width: first.width)
    result.values = (0..<first.count).flatMap { sample in
        first.values[first.start(sample, 0)..<first.start(sample + 1, 0)]
            + second.values[second.start(sample, 0)..<second.start(sample + 1, 0)]
    }
    return result
}

/// Weighted cross-entropy, and the soft Dice term over the pixels whose class is told.
private func total(_ loss: Loss, _ logits: Maps, _ labels: [UInt8]) -> Double {
    let classes = logits.channels
    var (entropy, counted) = (0.0, 0.0)
    var (both, predicted, present) = (
        [Double](repeating: 0, count: classes), [Double](repeating: 0, count: classes),
        [Double](repeating: 0, count: classes)
    )
    for (pixel, label) in labels.enumerated() {
        let (sample, place) = (pixel / logits.plane, pixel % logits.plane)
        guard label != Batch.unknown else { continue }
        let exponentials = (0..<classes).map { exp(logits.values[logits.start(sample, $0) + place]) }
        let sum = exponentials.reduce(0, +)
        counted += 1
        guard label != Batch.foreground else {
            entropy -= Double(loss.classWeights[1]) * log(exponentials[1...].reduce(0, +) / sum)
            continue
        }
        entropy -= Double(loss.classWeights[Int(label)]) * log(exponentials[Int(label)] / sum)
        for index in 0..<classes { predicted[index] += exponentials[index] / sum }
        both[Int(label)] += exponentials[Int(label)] / sum
        present[Int(label)] += 1
    }
    var dice = 0.0
    for index in 1..<classes {
        let size: Double = predicted[index] + present[index] + 1
        dice += (2 * both[index] + 1) / size
    }
    let term: Double = 1 - dice / Double(classes - 1)
    return entropy / counted + Double(loss.diceWeight) * term
}

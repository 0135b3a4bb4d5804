import Engine
internal import Glibc
internal import Inference

/// The loss of a batch's logits and its gradient by them, in place.
struct LossPasses {
    let loss: Loss
    let batch: Batch
    let logits: BlockedTensor
    let bias: Int
    let classes: Int
    /// One for each strip of each image.
    let parts: UnsafeMutablePointer<LossSums>

    private var strips: Int { Training.strips(height: batch.height) }
    private var items: Int { batch.count * strips }

    /// Computes it; the sums of all strips are in the first part afterwards.
    func run(_ worker: inout Worker, _ context: TrainingContext) {
        worker.share(items) { parts[$0] = probabilities(of: $0, context) }
        worker.share(1) { _ in
            for item in 1..<max(1, items) { parts[0].add(parts[item]) }
        }
        let total = parts[0]
        let dice = diceGradients(total)
        worker.share(items) { parts[$0].bias = gradients(of: $0, total: total, dice: dice, context) }
        worker.share(1) { _ in
            for index in 0..<classes {
                let sum = (0..<items).reduce(0.0) { $0 + parts[$1].bias[index] }
                context.gradients[bias + index] = Float(sum)
            }
        }
    }

    /// What the sums say of the whole batch.
    func result(_ total: LossSums) -> BatchResult {
        var value = total.entropy / max(1, Double(total.count))
        if loss.diceWeight > 0 {
            let scores = (1..<classes).map { dice(total, $0) }
            value += Double(loss.diceWeight) * (1 - scores.reduce(0, +) / Double(scores.count))
        }
        return BatchResult(
            loss: value, hits: (0..<classes).map { total.hits[$0] },
            predicted: (0..<classes).map { total.predicted[$0] },
            present: (0..<classes).map { total.present[$0] })
    }

    /// Added to both sides of the soft Dice's fraction, so that a class that is nowhere has Dice 1.
    private static let smoothing = 1.0

    private func dice(_ total: LossSums, _ index: Int) -> Double {
        (2 * total.common[index] + Self.smoothing)
            / (total.probability[index] + Double(total.present[index]) + Self.smoothing)
    }

    /// The gradient of the Dice term by a pixel's probability of each class, where the pixel is not of it, and what is
    /// added where it is.
    private func diceGradients(_ total: LossSums) -> (other: SIMD4<Float>, own: SIMD4<Float>) {
        var (other, own) = (SIMD4<Float>.zero, SIMD4<Float>.zero)
        guard loss.diceWeight > 0 else { return (other, own) }
        let share = Double(loss.diceWeight) / Double(classes - 1)
        for index in 1..<classes {
            let size = total.probability[index] + Double(total.present[index]) + Self.smoothing
            other[index] = Float(share * dice(total, index) / size)
            own[index] = Float(-share * 2 / size)
        }
        return (other, own)
    }

    /// The probability of all classes but the background together; never 0, so that its logarithm is finite.
    private func foreground(_ pixel: UnsafeMutablePointer<Float>) -> Float {
        max((1..<classes).reduce(0) { $0 + pixel[$1] }, .leastNormalMagnitude)
    }

    /// Turns the logits of one strip into probabilities.
    private func probabilities(of item: Int, _ context: TrainingContext) -> LossSums {
        let (image, strip) = (item / strips, item % strips)
        var sums = LossSums()
        for y in rows(ofStrip: strip, height: batch.height) {
            let row = context.workspace + logits.offset(image: image, block: 0, y: y, x: 0)
            for x in 0..<batch.width {
                let label = batch.labels[(image * batch.height + y) * batch.width + x]
                guard label != Batch.unknown else { continue }
                let pixel = row + x * logits.lanes
                var best = 0
                for index in 1..<classes where pixel[index] > pixel[best] { best = index }
                let most = pixel[best]
                var total: Float = 0
                let logit = label == Batch.foreground ? 0 : pixel[Int(label)]
                for index in 0..<classes {
                    pixel[index] = expf(pixel[index] - most)
                    total += pixel[index]
                }
                for index in 0..<classes { pixel[index] /= total }
                sums.count += 1
                guard label != Batch.foreground else {
                    sums.entropy -= Double(loss.classWeights[1] * logf(foreground(pixel)))
                    continue
                }
                let own = Int(label)
                sums.entropy += Double(loss.classWeights[own] * (logf(total) + most - logit))
                sums.predicted[best] += 1
                sums.present[own] += 1
                if best == own { sums.hits[own] += 1 }
                sums.common[own] += Double(pixel[own])
                for index in 0..<classes { sums.probability[index] += Double(pixel[index]) }
            }
        }
        return sums
    }

    /// Turns the probabilities of one strip into gradients by the logits, and sums those up.
    private func gradients(
        of item: Int, total: LossSums, dice: (other: SIMD4<Float>, own: SIMD4<Float>), _ context: TrainingContext
    ) -> SIMD4<Double> {
        let (image, strip) = (item / strips, item % strips)
        let scale = 1 / Float(max(1, total.count))
        var sums = SIMD4<Double>.zero
        for y in rows(ofStrip: strip, height: batch.height) {
            let row = context.workspace + logits.offset(image: image, block: 0, y: y, x: 0)
            for x in 0..<batch.width {
                let label = batch.labels[(image * batch.height + y) * batch.width + x]
                let pixel = row + x * logits.lanes
                guard label != Batch.unknown else {
                    for index in 0..<classes { pixel[index] = 0 }
                    continue
                }
                guard label != Batch.foreground else {
                    let weight = loss.classWeights[1] * scale
                    let background = pixel[0]
                    let shared = background / foreground(pixel)
                    for index in 0..<classes {
                        // By a logit of the foreground: p - p / sum = -p (1 - sum) / sum.
                        pixel[index] *= index == 0 ? weight : -weight * shared
                        sums[index] += Double(pixel[index])
                    }
                    continue
                }
                let own = Int(label)
                let weight = loss.classWeights[own] * scale
                var mean = dice.own[own] * pixel[own]
                for index in 0..<classes { mean += dice.other[index] * pixel[index] }
                for index in 0..<classes {
                    let isOwn = index == own
                    let byProbability = dice.other[index] + (isOwn ? dice.own[index] : 0) - mean
                    pixel[index] = pixel[index] * (weight + byProbability) - (isOwn ? weight : 0)
                    sums[index] += Double(pixel[index])
                }
            }
        }
        return sums
    }
}

/// Sums over the pixels of a strip, or of a batch; all without the pixels that are ``Batch/unknown``, and of classes
/// without those that are ``Batch/foreground``.
struct LossSums {
    var entropy = 0.0
    var count = 0
    var hits = SIMD4<Int>.zero
    var predicted = SIMD4<Int>.zero
    var present = SIMD4<Int>.zero
    /// Probability of a class, on its own pixels and on all.
    var common = SIMD4<Double>.zero
    var probability = SIMD4<Double>.zero
    /// The gradient by the head's bias.
    var bias = SIMD4<Double>.zero

    mutating func add(_ other: LossSums) {
        entropy += other.entropy
        count += other.count
        hits &+= other.hits
        predicted &+= other.predicted
        present &+= other.present
        common += other.common
        probability += other.probability
    }
}

internal import CKernels
import Engine
internal import Glibc
internal import Inference

/// Vectors that batch norm works with, of all channels of a unit each, one after the other.
enum NormVectors: Int, CaseIterable {
    /// Mean over the batch, its negative, and 1 / sqrt(variance + epsilon).
    case mean, negativeMean, inverse
    /// y = prelu(scale z + shift).
    case scale, shift, slopes
    /// See ck_row.
    case linear, constant

    static var count: Int { allCases.count }
}

/// Batch norm by the batch's own statistics, PReLU, shortcut and pooling: forward, and back.
///
/// Means and variances, and the sums of the way back, are taken strip by strip in single precision, and those are put
/// together in double precision in a fixed order: results do not depend on the threads.
struct NormPasses {
    let unit: TrainingUnit
    let partials: Int
    /// Where the unit's vectors begin.
    let vectors: UnsafeMutablePointer<Float>
    let lanes: Int

    private var strips: Int { Training.strips(height: unit.z.height) }
    private var blocks: Int { unit.z.blocks }

    private func vector(_ name: NormVectors, block: Int) -> UnsafeMutablePointer<Float> {
        vectors + (name.rawValue * blocks + block) * lanes
    }

    private func partial(image: Int, block: Int, strip: Int, _ context: TrainingContext) -> UnsafeMutablePointer<Float>
    {
        context.workspace + partials + ((image * blocks + block) * strips + strip) * 3 * lanes
    }

    /// Calls `body` for each strip of each channel block of some images, on whichever thread is free.
    private func forEachStrip(
        of images: Range<Int>, _ worker: inout Worker, _ body: (_ image: Int, _ block: Int, _ strip: Int) -> Void
    ) {
        worker.share(images.count * blocks * strips) { item in
            let plane = item / strips
            body(images.lowerBound + plane / blocks, plane % blocks, item % strips)
        }
    }

    // MARK: Forward

    /// Each strip's mean, and the squares of what differs from it.
    func sumUp(images: Range<Int>, _ worker: inout Worker, _ context: TrainingContext) {
        forEachStrip(of: images, &worker) { image, block, strip in
            let sums = partial(image: image, block: block, strip: strip, context)
            let rows = rows(ofStrip: strip, height: unit.z.height)
            sums.update(repeating: 0, count: 2 * lanes)
            var row = ck_row()
            row.count = unit.z.width
            for y in rows {
                row.z = context.workspace + unit.z.offset(image: image, block: block, y: y, x: 0)
                context.kernels.operations.sum(&row, sums)
            }
            for lane in 0..<lanes { sums[lane] /= Float(rows.count * unit.z.width) }
            row.shift = UnsafePointer(sums)
            for y in rows {
                row.z = context.workspace + unit.z.offset(image: image, block: block, y: y, x: 0)
                context.kernels.operations.squares(&row, sums + lanes)
            }
        }
    }

    /// The batch's mean and variance, what follows from them, and the running averages.
    ///
    /// Strips are put together as in Chan, Golub & LeVeque, Updating Formulae and a Pairwise Algorithm for Computing
    /// Sample Variances, 1979.
    func settle(_ worker: inout Worker, _ context: TrainingContext) {
        worker.share(blocks) { block in
            for lane in 0..<lanes {
                var (count, mean, squares) = (0.0, 0.0, 0.0)
                for image in 0..<context.images {
                    for strip in 0..<strips {
                        let sums = partial(image: image, block: block, strip: strip, context)
                        let more = Double(rows(ofStrip: strip, height: unit.z.height).count * unit.z.width)
                        let difference = Double(sums[lane]) - mean
                        mean += difference * more / (count + more)
                        squares += Double(sums[lanes + lane]) + difference * difference * count * more / (count + more)
                        count += more
                    }
                }
                let channel = block * lanes + lane
                guard channel < unit.convolution.outputs else { continue }
                let inverse = 1 / (squares / count + Architecture.epsilon).squareRoot()
                let scale = Double(context.parameters[unit.normWeight + channel]) * inverse
                vector(.mean, block: block)[lane] = Float(mean)
                vector(.negativeMean, block: block)[lane] = Float(-mean)
                vector(.inverse, block: block)[lane] = Float(inverse)
                vector(.scale, block: block)[lane] = Float(scale)
                vector(.shift, block: block)[lane] = Float(
                    Double(context.parameters[unit.normBias + channel]) - mean * scale)
                vector(.slopes, block: block)[lane] = context.parameters[unit.slopes + channel]

                func average(_ index: Int, _ value: Double) {
                    context.averages[index] = Float(0.9 * Double(context.averages[index]) + 0.1 * value)
                }
                average(unit.mean + channel, mean)
                average(unit.variance + channel, squares / max(1, count - 1))
            }
        }
    }

    /// Normalises, and does all that follows.
    func apply(_ worker: inout Worker, _ context: TrainingContext) {
        let workspace = context.workspace
        forEachStrip(of: 0..<context.images, &worker) { image, block, strip in
            let rows = rows(ofStrip: strip, height: unit.z.height)
            var row = self.row(block: block)
            for y in rows {
                row.z = workspace + unit.z.offset(image: image, block: block, y: y, x: 0)
                row.y = workspace + unit.y.offset(image: image, block: block, y: y, x: 0)
                if let shortcut = unit.shortcut, block < shortcut.blocks {
                    row.shortcut = UnsafePointer(workspace + shortcut.offset(image: image, block: block, y: y, x: 0))
                }
                context.kernels.operations.norm(&row)
                if let pooled = unit.pooled, y % 2 == 1 {
                    let lower = workspace + unit.y.offset(image: image, block: block, y: y, x: 0)
                    context.kernels.operations.pool(
                        lower - unit.y.rowStride, lower,
                        workspace + pooled.offset(image: image, block: block, y: y / 2, x: 0), pooled.width)
                }
            }
        }
    }

    /// A row with the vectors of `block`; its own pointers are still to be set.
    private func row(block: Int) -> ck_row {
        var row = ck_row()
        row.count = unit.z.width
        row.scale = UnsafePointer(vector(.scale, block: block))
        row.shift = UnsafePointer(vector(.shift, block: block))
        row.slopes = UnsafePointer(vector(.slopes, block: block))
        return row
    }

    // MARK: Back

    /// Adds the gradient that comes through pooling, and sums up what batch norm's gradient needs.
    func sumUpGradients(_ worker: inout Worker, _ context: TrainingContext) {
        let workspace = context.workspace
        forEachStrip(of: 0..<context.images, &worker) { image, block, strip in
            let sums = partial(image: image, block: block, strip: strip, context)
            sums.update(repeating: 0, count: 3 * lanes)
            var row = self.row(block: block)
            row.constant = UnsafePointer(vector(.negativeMean, block: block))
            for y in rows(ofStrip: strip, height: unit.z.height) {
                let gradient = workspace + unit.gradient.offset(image: image, block: block, y: y, x: 0)
                if let pooled = unit.pooledGradient, y % 2 == 0 {
                    let upper = workspace + unit.y.offset(image: image, block: block, y: y, x: 0)
                    context.kernels.operations.pool_backward(
                        upper, upper + unit.y.rowStride,
                        workspace + pooled.offset(image: image, block: block, y: y / 2, x: 0), gradient,
                        gradient + unit.gradient.rowStride, pooled.width)
                }
                row.z = workspace + unit.z.offset(image: image, block: block, y: y, x: 0)
                row.gradient = UnsafePointer(gradient)
                context.kernels.operations.norm_sums(&row, sums)
            }
        }
    }

    /// The gradients of batch norm's and PReLU's parameters, and what the gradient by the convolution's result needs.
    func settleGradients(_ worker: inout Worker, _ context: TrainingContext) {
        let count = Double(context.images * unit.z.height * unit.z.width)
        worker.share(blocks) { block in
            for lane in 0..<lanes {
                var (plain, centred, slope) = (0.0, 0.0, 0.0)
                for image in 0..<context.images {
                    for strip in 0..<strips {
                        let sums = partial(image: image, block: block, strip: strip, context)
                        plain += Double(sums[lane])
                        centred += Double(sums[lanes + lane])
                        slope += Double(sums[2 * lanes + lane])
                    }
                }
                let channel = block * lanes + lane
                guard channel < unit.convolution.outputs else { continue }
                let inverse = Double(vector(.inverse, block: block)[lane])
                context.gradients[unit.normWeight + channel] = Float(centred * inverse)
                context.gradients[unit.normBias + channel] = Float(plain)
                context.gradients[unit.slopes + channel] = Float(slope)
                let scale = Double(vector(.scale, block: block)[lane])
                let linear = -scale * inverse * inverse * centred / count
                vector(.linear, block: block)[lane] = Float(linear)
                vector(.constant, block: block)[lane] = Float(
                    -scale * plain / count - linear * Double(vector(.mean, block: block)[lane]))
            }
        }
    }

    /// Writes the gradient by the convolution's result over the result.
    func applyGradients(images: Range<Int>, _ worker: inout Worker, _ context: TrainingContext) {
        forEachStrip(of: images, &worker) { image, block, strip in
            var row = self.row(block: block)
            row.linear = UnsafePointer(vector(.linear, block: block))
            row.constant = UnsafePointer(vector(.constant, block: block))
            for y in rows(ofStrip: strip, height: unit.z.height) {
                row.z = context.workspace + unit.z.offset(image: image, block: block, y: y, x: 0)
                row.gradient = UnsafePointer(
                    context.workspace + unit.gradient.offset(image: image, block: block, y: y, x: 0))
                context.kernels.operations.norm_backward(&row)
            }
        }
    }
}

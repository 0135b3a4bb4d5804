internal import Compute
internal import Imaging

/// Makes the pixels of samples.
struct SamplePainter: Sendable {
    /// The model's window in HU.
    let window: ClosedRange<Double>
    /// Rows and columns of a sample.
    let crop: Int

    /// HU over which changes of value fade out towards what a file or the window has clipped.
    private static let fade: Float = 12

    /// Makes one slice of a sample: interpolated, painted upon, smoothed, moved along a curve, shifted, noisy, clipped and mapped onto -1 ... 1, in this
    /// order. What lies outside the scan is -1, as the network's padding in use.
    ///
    /// - Parameters:
    ///   - channel: the slice's place in the stack.
    ///   - sample: what was drawn.
    ///   - source: its case.
    ///   - output: takes `crop` rows of `crop` values.
    func paint(
        _ channel: Int, of sample: Sample, from source: TrainingCase, into output: UnsafeMutablePointer<Float>
    ) {
        let shape = source.ct.shape
        let spans = spans(sample.place, shape: shape)
        interpolate(sample.stack[channel], of: source, sample.place, spans: spans, into: output)
        let painter = LesionPainter(
            place: sample.place, crop: crop, source: source, position: sample.stack[channel].position)
        for lesion in sample.lesions { painter.paint(lesion, into: output) }
        if sample.blur > 0 { smooth(output, weight: sample.blur) }
        if let curve = sample.curve {
            for index in 0..<crop * crop { output[index] = curve(output[index]) }
        }
        if sample.shift != 0 || sample.gain != 0 || sample.noise > 0 {
            alter(output, sample: sample, channel: channel, clippedTo: source.lowest...source.highest)
        }
        let high = Float(window.upperBound)
        let low = min(max(sample.floor, Float(window.lowerBound)), high)
        let centre = Float((window.lowerBound + window.upperBound) / 2)
        let halfWidth = Float((window.upperBound - window.lowerBound) / 2)
        for row in 0..<crop {
            let line = output + row * crop
            for column in 0..<crop { line[column] = (min(max(line[column], low), high) - centre) / halfWidth }
            line.update(repeating: -1, count: spans[row].lowerBound)
            (line + spans[row].upperBound).update(repeating: -1, count: crop - spans[row].upperBound)
        }
    }

    /// Makes the labels of a sample's middle slice: of each pixel the nearest, outside the scan 0.
    ///
    /// - Parameter output: takes `crop` rows of `crop` labels.
    func paintLabels(of sample: Sample, from source: TrainingCase, into output: UnsafeMutablePointer<UInt8>) {
        let shape = source.labels.shape
        let spans = spans(sample.place, shape: shape)
        let (across, down) = (sample.place.across, sample.place.down)
        source.labels.voxels.withUnsafeBufferPointer { voxels in
            let slice = sample.stack[sample.stack.count / 2].nearest
            guard let slice = voxels.baseAddress.map({ $0 + slice * shape.x * shape.y }) else { return }
            for row in 0..<crop {
                let line = output + row * crop
                line.update(repeating: Label.background, count: crop)
                let start = sample.place.origin + down * Float(row) + 0.5
                for column in spans[row] {
                    let place = start + across * Float(column)
                    let x = min(max(Int(place.x), 0), shape.x - 1)
                    let y = min(max(Int(place.y), 0), shape.y - 1)
                    line[column] = slice[y * shape.x + x]
                }
            }
        }
        // In stage 1 a lesion is liver.
        guard source.tellsLesions else { return }
        let painter = LesionPainter(
            place: sample.place, crop: crop, source: source,
            position: sample.stack[sample.stack.count / 2].position)
        for lesion in sample.lesions { painter.paintLabels(lesion, into: output) }
    }

    /// For each row, the columns whose place is nearest to a pixel of the slice.
    private func spans(_ place: Placement, shape: Shape) -> [Range<Int>] {
        (0..<crop).map { row in
            let start = place.origin + place.down * Float(row)
            let x = inside(start.x, place.across.x, count: shape.x)
            let y = inside(start.y, place.across.y, count: shape.y)
            return x.clamped(to: y)
        }
    }

    /// The columns for which `start + column · step` is at least -0.5 and below `count - 0.5`.
    private func inside(_ start: Float, _ step: Float, count: Int) -> Range<Int> {
        let limits = (-0.5 as Float, Float(count) - 0.5)
        func isInside(_ column: Int) -> Bool {
            let place = start + step * Float(column)
            return place >= limits.0 && place < limits.1
        }
        guard abs(step) > 1e-6 else { return isInside(0) ? 0..<crop : 0..<0 }
        let ends = ((limits.0 - start) / step, (limits.1 - start) / step)
        func column(_ place: Float) -> Int { Int(min(max(place.rounded(.up), 0), Float(crop))) }
        var (first, last) = (column(min(ends.0, ends.1)), column(max(ends.0, ends.1)))
        // Rounding may have put an end on the wrong side, and with a negative step the ends themselves change roles.
        while first > 0, isInside(first - 1) { first -= 1 }
        while first < last, !isInside(first) { first += 1 }
        while last < crop, last >= first, isInside(last) { last += 1 }
        while last > first, !isInside(last - 1) { last -= 1 }
        return first..<max(first, last)
    }

    /// Reads a slice of a sample from the slices of its case.
    private func interpolate(
        _ blend: SliceBlend, of source: TrainingCase, _ place: Placement, spans: [Range<Int>],
        into output: UnsafeMutablePointer<Float>
    ) {
        let shape = source.ct.shape
        var line = [Float](repeating: 0, count: crop)
        source.ct.voxels.withUnsafeBufferPointer { voxels in
            guard let start = voxels.baseAddress else { return }
            for row in 0..<crop {
                let target = output + row * crop
                target.update(repeating: Float(window.lowerBound), count: crop)
                for (number, share) in blend.shares.enumerated() {
                    let slice = start + share.slice * shape.x * shape.y
                    line.withUnsafeMutableBufferPointer { line in
                        guard let line = line.baseAddress else { return }
                        interpolate(slice, shape, place, row: row, columns: spans[row], into: line)
                        for column in spans[row] {
                            let part = share.weight * line[column]
                            target[column] = number == 0 ? part : target[column] + part
                        }
                    }
                }
            }
        }
    }

    /// Reads a row of a sample from a slice, bilinearly; pixels beyond the slice's edge are its edge's.
    private func interpolate(
        _ slice: UnsafePointer<Int16>, _ shape: Shape, _ place: Placement, row: Int, columns: Range<Int>,
        into line: UnsafeMutablePointer<Float>
    ) {
        let start = place.origin + place.down * Float(row)
        let (stepX, stepY) = (place.across.x, place.across.y)
        let (lastX, lastY) = (Int32(shape.x - 1), Int32(shape.y - 1))
        let (limitX, limitY) = (Float(lastX), Float(lastY))
        let width = Int32(shape.x)
        for column in columns {
            let number = Float(Int32(truncatingIfNeeded: column))
            let atX = min(max(start.x + stepX * number, 0), limitX)
            let atY = min(max(start.y + stepY * number, 0), limitY)
            let (x, y) = (Int32(atX), Int32(atY))
            let (u, v) = (atX - Float(x), atY - Float(y))
            let pixel = slice + Int(y &* width &+ x)
            let right = x < lastX ? 1 : 0
            let below = y < lastY ? Int(width) : 0
            let (a, b) = (Float(pixel[0]), Float(pixel[right]))
            let (c, d) = (Float(pixel[below]), Float(pixel[below &+ right]))
            let upper = a + (b - a) * u
            let lower = c + (d - c) * u
            line[column] = upper + (lower - upper) * v
        }
    }

    /// Gives each pixel the weights (w, 1 - 2w, w) of itself and its neighbours, along x and then along y.
    private func smooth(_ plane: UnsafeMutablePointer<Float>, weight: Float) {
        let rows = UnsafeMutablePointer<Float>.allocate(capacity: 2 * crop)
        defer { rows.deallocate() }
        let own = 1 - 2 * weight
        for row in 0..<crop {
            let line = plane + row * crop
            rows.update(from: line, count: crop)
            for column in 1..<crop - 1 {
                line[column] = own * rows[column] + weight * (rows[column - 1] + rows[column + 1])
            }
            line[0] = (own + weight) * rows[0] + weight * rows[1]
            line[crop - 1] = (own + weight) * rows[crop - 1] + weight * rows[crop - 2]
        }
        let (above, here) = (rows, rows + crop)
        above.update(from: plane, count: crop)
        for row in 0..<crop {
            let line = plane + row * crop
            let below = row < crop - 1 ? line + crop : line
            here.update(from: line, count: crop)
            for column in 0..<crop {
                line[column] = own * here[column] + weight * (above[column] + below[column])
            }
            above.update(from: here, count: crop)
        }
    }

    /// Shifts, stretches and adds noise, except where values have been clipped: what lies there is not known, and a scan
    /// in use has nothing but the window's end there.
    private func alter(
        _ plane: UnsafeMutablePointer<Float>, sample: Sample, channel: Int, clippedTo range: ClosedRange<Float>
    ) {
        let rows = UnsafeMutablePointer<Float>.allocate(capacity: 2 * crop + 2)
        defer { rows.deallocate() }
        rows.initialize(repeating: 0, count: 2 * crop + 2)
        let (noise, above) = (rows, rows + crop + 2)
        var random = SplitMix64(seed: sample.noiseSeed &+ UInt64(channel) &* 0xD6E8_FEB8_6659_FD93)
        let centre = Float((window.lowerBound + window.upperBound) / 2)
        // One value more on each side, and one row before the first, so that grain is alike everywhere.
        for row in (sample.isGrained ? -1 : 0)..<crop {
            if sample.noise > 0 {
                for index in 0..<crop + 2 { noise[index] = sample.noise * random.quickNormal() }
                if sample.isGrained { grain(noise, above: above) }
            }
            guard row >= 0 else { continue }
            let line = plane + row * crop
            for column in 0..<crop {
                let value = line[column]
                let clear = min(value - range.lowerBound, range.upperBound - value) / Self.fade
                let change = sample.shift + sample.gain * (value - centre) + noise[column + 1]
                line[column] = value + min(max(clear, 0), 1) * change
            }
        }
    }

    /// Makes a row of noise correlated: (1, 2, 1) / 4 along x, the mean with the row above along y, the variance as it was.
    private func grain(_ noise: UnsafeMutablePointer<Float>, above: UnsafeMutablePointer<Float>) {
        // The squares of the weights add up to 3/8 along x and 1/2 along y.
        let gain = (16 / 3 as Float).squareRoot()
        var left = noise[0]
        for index in 1...crop {
            let here = noise[index]
            let across = (left + 2 * here + noise[index + 1]) * 0.25
            left = here
            noise[index] = gain * 0.5 * (across + above[index - 1])
            above[index - 1] = across
        }
    }
}

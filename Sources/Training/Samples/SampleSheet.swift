public import Preview

/// What a network is shown: the middle slices of the first samples, each beside itself with its labels' outlines.
///
/// Outlines are green where liver ends, red where lesion does, and blue where nothing is known. A reader who wants to
/// know whether painted lesions look real covers the right half of each pair.
///
/// - Parameters:
///   - batch: gives a batch by its number, as ``BatchSource/batch(_:team:)`` does.
///   - count: how many samples, six pairs a row.
public func sampleSheet(count: Int, batch: (Int) -> Batch) -> Picture {
    let columns = 6
    let first = batch(0)
    let (width, height, gap) = (first.width, first.height, 3)
    let rows = (count + columns - 1) / columns
    var picture = Picture(
        width: columns * (2 * width + 2 * gap) - gap, height: rows * (height + gap) - gap, grey: 64)
    for number in 0..<count {
        let (index, place) = number.quotientAndRemainder(dividingBy: first.count)
        let source = index == 0 ? first : batch(index)
        let left = number % columns * (2 * width + 2 * gap)
        let top = number / columns * (height + gap)
        for y in 0..<height {
            for x in 0..<width {
                let plane = (place * source.slices + source.slices / 2) * height
                let grey = UInt8(min(max((source.images[(plane + y) * width + x] + 1) * 127.5, 0), 255))
                picture.set(left + x, top + y, to: (grey, grey, grey))
                let colour = source.outline(sample: place, x: x, y: y) ?? (grey, grey, grey)
                picture.set(left + width + x, top + y, to: colour)
            }
        }
    }
    return picture
}

extension Batch {
    /// The colour of a pixel whose right or lower neighbour has another label; nil inside.
    fileprivate func outline(sample: Int, x: Int, y: Int) -> (UInt8, UInt8, UInt8)? {
        func label(_ x: Int, _ y: Int) -> UInt8 { labels[(sample * height + y) * width + x] }
        let here = label(x, y)
        let beside = [label(min(x + 1, width - 1), y), label(x, min(y + 1, height - 1))]
        guard let other = beside.first(where: { $0 != here }) else { return nil }
        let pair = [here, other]
        if pair.contains(Batch.unknown) { return (86, 180, 233) }
        return pair.contains(2) ? (230, 60, 0) : (0, 200, 120)
    }
}

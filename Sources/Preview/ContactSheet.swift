import Imaging

/// A few axial slices of a CT side by side, with the outlines of a label map.
///
/// Slices are spread evenly over the mask's extent (over the whole scan where it is empty), the first one lowest, and
/// shown as radiologists look at them: from the feet, the patient's right at the picture's left. Pixels are square: the
/// finer in-plane spacing sets their size.
///
/// - Parameters:
///   - ct: HU, shown from -160 to 240.
///   - labels: outlined in green (liver) and red (lesion).
///   - reference: outlined in yellow and blue below those; nil for none.
///   - slices: how many, at most; at most four a row.
public func contactSheet(
    of ct: Volume<Float>, labels: Volume<UInt8>, reference: Volume<UInt8>? = nil, slices: Int = 6
) -> Picture {
    let shown = sliceNumbers(of: labels, count: slices)
    let columns = min(4, shown.count)
    let rows = (shown.count + columns - 1) / columns
    let pixel = min(ct.spacing.x, ct.spacing.y)
    let width = Int((Double(ct.shape.x) * ct.spacing.x / pixel).rounded())
    let height = Int((Double(ct.shape.y) * ct.spacing.y / pixel).rounded())
    let gap = 4
    var picture = Picture(width: columns * (width + gap) - gap, height: rows * (height + gap) - gap, grey: 64)
    for (index, z) in shown.enumerated() {
        let left = index % columns * (width + gap)
        let top = index / columns * (height + gap)
        for row in 0..<height {
            let y = min(row * ct.shape.y / height, ct.shape.y - 1)
            for column in 0..<width {
                let x = min(column * ct.shape.x / width, ct.shape.x - 1)
                let grey = UInt8(min(max((ct[x, y, z] + 160) / 400, 0), 1) * 255)
                let colour =
                    outline(labels, x, y, z, liver: (60, 230, 60), lesion: (255, 50, 50))
                    ?? reference.flatMap { outline($0, x, y, z, liver: (240, 220, 40), lesion: (70, 130, 255)) }
                picture.set(left + column, top + row, to: colour ?? (grey, grey, grey))
            }
        }
    }
    return picture
}

/// Slices spread evenly over those that have a label, or over all.
private func sliceNumbers(of labels: Volume<UInt8>, count: Int) -> [Int] {
    let plane = labels.shape.x * labels.shape.y
    let labelled = (0..<labels.shape.z).filter { z in
        labels.voxels[z * plane..<(z + 1) * plane].contains { $0 != Label.background }
    }
    let slices = labelled.isEmpty ? Array(0..<labels.shape.z) : labelled
    let shown = min(count, slices.count)
    return (0..<shown).map { slices[(2 * $0 + 1) * slices.count / (2 * shown)] }
}

/// The colour of an outline pixel: a labelled one with an in-plane neighbour of another label.
private func outline(
    _ labels: Volume<UInt8>, _ x: Int, _ y: Int, _ z: Int, liver: (UInt8, UInt8, UInt8), lesion: (UInt8, UInt8, UInt8)
) -> (UInt8, UInt8, UInt8)? {
    let label = labels[x, y, z]
    guard label != Label.background else { return nil }
    let neighbours = [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)]
    let isEdge = neighbours.contains { x, y in
        guard (0..<labels.shape.x).contains(x), (0..<labels.shape.y).contains(y) else { return true }
        // A liver's outline does not run around the lesions inside it: theirs does.
        return label == Label.lesion ? labels[x, y, z] != label : labels[x, y, z] == Label.background
    }
    return isEdge ? (label == Label.lesion ? lesion : liver) : nil
}

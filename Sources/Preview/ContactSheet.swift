public import Imaging

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
    let (width, height) = pictureSize(of: ct)
    let gap = 4
    var picture = Picture(width: columns * (width + gap) - gap, height: rows * (height + gap) - gap, grey: 64)
    for (index, z) in shown.enumerated() {
        let place = (left: index % columns * (width + gap), top: index / columns * (height + gap))
        picture.draw(ct, slice: z, labels: labels, labelSlice: z, reference: reference, at: place)
    }
    return picture
}

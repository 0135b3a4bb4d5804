public import Compute
public import Imaging

/// A few axial slices of a CT side by side, with the outlines of a label map.
///
/// Slices are spread evenly over the mask's extent (over the whole scan where it is empty), the first one lowest, and
/// shown as radiologists look at them: from the feet, the patient's right at the picture's left. Each shows the body, 640
/// pixels on its longer side, with sides, a scale in cm, and the lesions' numbers.
///
/// - Parameters:
///   - ct: HU, shown from -160 to 240.
///   - labels: outlined in green (liver) and orange (lesion).
///   - reference: outlined in dashed blue below those; nil for none.
///   - slices: how many, at most; at most four a row.
public func contactSheet(
    of ct: Volume<Float>, labels: Volume<UInt8>, reference: Volume<UInt8>? = nil, slices: Int = 6, team: ThreadTeam
) -> Picture {
    let shown = sliceNumbers(of: labels, count: slices)
    let lesions = DrawnLesions(of: labels, team: team)
    let plane = ct.shape.x * ct.shape.y
    let planes = shown.map { z in
        Volume<Float>(
            shape: Shape(ct.shape.x, ct.shape.y, 1), spacing: ct.spacing,
            voxels: Array(ct.voxels[z * plane..<(z + 1) * plane]))
    }
    let frame = Frame(aroundBodyIn: planes, team: team)
    let columns = min(4, shown.count)
    let rows = (shown.count + columns - 1) / columns
    let gap = 4
    var picture = Picture(
        width: columns * (frame.width + gap) - gap, height: rows * (frame.height + gap) - gap, grey: 64)
    for (index, z) in shown.enumerated() {
        let place = (left: index % columns * (frame.width + gap), top: index / columns * (frame.height + gap))
        picture.draw(planes[index], labels: labels, number: z, reference: reference, frame: frame, at: place)
        picture.drawSidesAndScale(frame, at: place)
        lesions.writeNumbers(on: &picture, slice: z, frame: frame, at: place)
    }
    return picture
}

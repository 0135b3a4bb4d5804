import Imaging

/// Colours that people with any kind of colour vision tell apart: Okabe & Ito, Color Universal Design (2008).
enum Colours {
    /// Bluish green, #009E73.
    static let liver: (UInt8, UInt8, UInt8) = (0, 158, 115)
    /// Orange, #E69F00.
    static let lesion: (UInt8, UInt8, UInt8) = (230, 159, 0)
    /// Sky blue, #56B4E9.
    static let reference: (UInt8, UInt8, UInt8) = (86, 180, 233)
    static let text: (UInt8, UInt8, UInt8) = (255, 255, 255)
}

/// Pixels across an outline, and along a dash of a reference's.
private let outlineWidth = 2, dashLength = 5

extension Picture {
    /// Draws one axial slice as radiologists look at it: from the feet, the patient's right at the picture's left.
    ///
    /// Values between voxels are interpolated; labels are those of the nearest voxel, so that each voxel's corners are
    /// seen. Around the scan is black.
    ///
    /// - Parameters:
    ///   - slice: HU, one voxel high, shown from -160 to 240.
    ///   - labels: outlined in ``Colours/liver`` and ``Colours/lesion``; as wide and deep as the slice.
    ///   - number: which of the labels' slices.
    ///   - reference: outlined below those, dashed in ``Colours/reference``: the liver and its lesions.
    ///   - frame: what is shown.
    ///   - place: the picture's pixel that the frame begins at.
    mutating func draw(
        _ slice: Volume<Float>, labels: Volume<UInt8>, number: Int, reference: Volume<UInt8>? = nil, frame: Frame,
        at place: (left: Int, top: Int) = (0, 0)
    ) {
        let own = Outlines(labels, slice: number, frame: frame)
        let other = reference.map { Outlines($0, slice: number, frame: frame) }
        for row in 0..<frame.height {
            for column in 0..<frame.width {
                let isDash = (row + column) / dashLength % 2 == 0
                let colour: (UInt8, UInt8, UInt8)
                if let label = own.edge(column, row) {
                    colour = label == Label.lesion ? Colours.lesion : Colours.liver
                } else if isDash, other?.edge(column, row) != nil {
                    colour = Colours.reference
                } else {
                    let grey = UInt8(min(max((slice.value(at: frame.place(column, row)) + 160) / 400, 0), 1) * 255)
                    colour = (grey, grey, grey)
                }
                set(place.left + column, place.top + row, to: colour)
            }
        }
    }

    /// Writes what tells a reader side and size: R and L at the sides, and a bar with a mark at each centimetre.
    mutating func drawSidesAndScale(_ frame: Frame, at place: (left: Int, top: Int) = (0, 0)) {
        let scale = frame.width >= 500 ? 4 : 3
        let middle = place.top + (frame.height - Glyphs.height * scale) / 2
        write("R", at: (place.left + 2 * scale, middle), scale: scale, colour: Colours.text)
        let right = place.left + frame.width - (Glyphs.width + 2) * scale
        write("L", at: (right, middle), scale: scale, colour: Colours.text)

        // The longest of these that takes at most a third of the picture; a tiny one gets none.
        let longest = Double(frame.width) * frame.pixel / 3
        guard let centimetres = [10, 5, 2, 1].first(where: { Double($0) * 10 <= longest }) else { return }
        let centimetre = 10 / frame.pixel
        let start = SIMD2(
            Double(place.left + frame.width) - Double(centimetres) * centimetre - Double(3 * scale),
            Double(place.top + frame.height - 3 * scale))
        func mark(_ number: Int, _ height: Double) {
            let foot = start + SIMD2(Double(number) * centimetre, 0)
            line(from: foot, to: foot - SIMD2(0, height), thickness: 2, colour: Colours.text)
        }
        line(from: start, to: start + SIMD2(Double(centimetres) * centimetre, 0), thickness: 2, colour: Colours.text)
        for number in 0...centimetres { mark(number, number % centimetres == 0 ? 10 : 5) }
        let text = "\(centimetres) cm"
        write(
            text,
            at: (
                Int(start.x + Double(centimetres) * centimetre / 2) - Glyphs.width(of: text) * (scale - 1) / 2,
                Int(start.y) - 10 - (Glyphs.height + 1) * (scale - 1)
            ), scale: scale - 1, colour: Colours.text)
    }
}

/// A slice's labels at the pixels of a picture, asked for their outlines.
private struct Outlines {
    private let labels: [UInt8]
    private let width, height: Int

    init(_ volume: Volume<UInt8>, slice: Int, frame: Frame) {
        (width, height) = (frame.width, frame.height)
        func voxels(_ pixels: Int, _ place: (Int) -> Double, _ spacing: Double, _ count: Int) -> [Int?] {
            (0..<pixels).map {
                let voxel = Int((place($0) / spacing).rounded())
                return (0..<count).contains(voxel) ? voxel : nil
            }
        }
        let columns = voxels(width, { frame.place($0, 0).x }, volume.spacing.x, volume.shape.x)
        let rows = voxels(height, { frame.place(0, $0).y }, volume.spacing.y, volume.shape.y)
        labels = rows.flatMap { y in
            columns.map { x in
                guard let x, let y else { return Label.background }
                return volume[x, y, slice]
            }
        }
    }

    /// The label whose outline the pixel is part of: it has that label, and another one within the outline's width. A
    /// liver's outline does not run around the lesions inside it: theirs does.
    func edge(_ column: Int, _ row: Int) -> UInt8? {
        let label = labels[row * width + column]
        guard label != Label.background else { return nil }
        for y in row - outlineWidth...row + outlineWidth {
            for x in column - outlineWidth...column + outlineWidth {
                guard (0..<width).contains(x), (0..<height).contains(y) else { continue }
                let other = labels[y * width + x]
                if label == Label.lesion ? other != label : other == Label.background { return label }
            }
        }
        return nil
    }
}

extension Volume<Float> {
    /// The value at a place of a slice in mm from the first voxel's centre, between voxel centres by bilinear
    /// interpolation; -1024 outside all voxels.
    fileprivate func value(at place: SIMD2<Double>) -> Float {
        let (x, y) = (place.x / spacing.x, place.y / spacing.y)
        guard x >= -0.5, y >= -0.5, x <= Double(shape.x) - 0.5, y <= Double(shape.y) - 0.5 else { return -1024 }
        let (left, top) = (min(max(x, 0), Double(shape.x - 1)), min(max(y, 0), Double(shape.y - 1)))
        let (x0, y0) = (Int(left), Int(top))
        let (x1, y1) = (min(x0 + 1, shape.x - 1), min(y0 + 1, shape.y - 1))
        let (dx, dy) = (Float(left - Double(x0)), Float(top - Double(y0)))
        let upper = self[x0, y0, 0] * (1 - dx) + self[x1, y0, 0] * dx
        let lower = self[x0, y1, 0] * (1 - dx) + self[x1, y1, 0] * dx
        return upper * (1 - dy) + lower * dy
    }
}

/// Slices spread evenly over those that have a label, or over all; the lowest first.
func sliceNumbers(of labels: Volume<UInt8>, count: Int) -> [Int] {
    let plane = labels.shape.x * labels.shape.y
    let labelled = (0..<labels.shape.z).filter { z in
        labels.voxels[z * plane..<(z + 1) * plane].contains { $0 != Label.background }
    }
    let slices = labelled.isEmpty ? Array(0..<labels.shape.z) : labelled
    let shown = min(count, slices.count)
    return (0..<shown).map { slices[(2 * $0 + 1) * slices.count / (2 * shown)] }
}

/// The slice with the most lesion; without any, the one with the most liver; without any, the middle one.
func keySlice(of labels: Volume<UInt8>) -> Int {
    let plane = labels.shape.x * labels.shape.y
    func largest(_ isMember: (UInt8) -> Bool) -> Int? {
        let counts = (0..<labels.shape.z).map { z in
            labels.voxels[z * plane..<(z + 1) * plane].count(where: isMember)
        }
        // The lowest of equals.
        guard let most = counts.max(), most > 0 else { return nil }
        return counts.firstIndex(of: most)
    }
    return largest { $0 == Label.lesion } ?? largest { $0 != Label.background } ?? labels.shape.z / 2
}

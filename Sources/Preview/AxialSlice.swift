import Imaging

/// How large one axial slice is as a picture with square pixels: the finer in-plane spacing sets their size.
func pictureSize(of ct: Volume<Float>) -> (width: Int, height: Int) {
    let pixel = min(ct.spacing.x, ct.spacing.y)
    func length(_ voxels: Int, _ spacing: Double) -> Int { max(1, Int((Double(voxels) * spacing / pixel).rounded())) }
    return (length(ct.shape.x, ct.spacing.x), length(ct.shape.y, ct.spacing.y))
}

extension Picture {
    /// Draws one axial slice as radiologists look at it: from the feet, the patient's right at the picture's left.
    ///
    /// - Parameters:
    ///   - ct: HU, shown from -160 to 240.
    ///   - slice: which of the CT's.
    ///   - labels: outlined in green (liver) and red (lesion); as wide and deep as the CT.
    ///   - labelSlice: which of the labels'.
    ///   - reference: outlined in yellow and blue below those.
    ///   - place: the picture's pixel that the slice begins at.
    mutating func draw(
        _ ct: Volume<Float>, slice: Int, labels: Volume<UInt8>, labelSlice: Int, reference: Volume<UInt8>? = nil,
        at place: (left: Int, top: Int) = (0, 0)
    ) {
        let (width, height) = pictureSize(of: ct)
        for row in 0..<height {
            let y = min(row * ct.shape.y / height, ct.shape.y - 1)
            for column in 0..<width {
                let x = min(column * ct.shape.x / width, ct.shape.x - 1)
                let grey = UInt8(min(max((ct[x, y, slice] + 160) / 400, 0), 1) * 255)
                let colour =
                    outline(labels, x, y, labelSlice, liver: (60, 230, 60), lesion: (255, 50, 50))
                    ?? reference.flatMap {
                        outline($0, x, y, labelSlice, liver: (240, 220, 40), lesion: (70, 130, 255))
                    }
                set(place.left + column, place.top + row, to: colour ?? (grey, grey, grey))
            }
        }
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

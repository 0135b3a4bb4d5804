import Compute
import Foundation
import Imaging
import Segmentation

/// The lesions of a label map, numbered as in the lesion table: 1 is the largest; of equals, the first in scan order.
struct DrawnLesions {
    private let components: [Component]
    private let spacing: SIMD3<Double>

    init(of labels: Volume<UInt8>, team: ThreadTeam) {
        let found = connectedComponents(of: labels, where: { $0 == Label.lesion }, team: team)
        components = found.enumerated().sorted {
            ($1.element.voxelCount, $0.offset) < ($0.element.voxelCount, $1.offset)
        }.map(\.element)
        spacing = labels.spacing
    }

    /// A lesion's longest axial diameter: the slice, its length in mm and its two ends, in mm from the centre of the
    /// slice's first voxel.
    struct Diameter {
        let number, slice: Int
        let millimetres: Double
        let ends: [SIMD2<Double>]
    }

    /// The diameters of the largest lesions, at most `count`.
    func diameters(count: Int) -> [Diameter] {
        components.prefix(count).enumerated().map { index, component in
            let longest = longestAxialDiameter(of: component, spacing: spacing)
            return Diameter(
                number: index + 1, slice: longest.slice, millimetres: longest.diameters.long,
                ends: longest.diameters.ends)
        }
    }

    /// Writes each lesion's number to the right above its part of a slice.
    func writeNumbers(
        on picture: inout Picture, slice: Int, frame: Frame, at place: (left: Int, top: Int) = (0, 0)
    ) {
        let scale = frame.width >= 500 ? 3 : 2
        for (index, component) in components.enumerated() where component.box.z.contains(slice) {
            let runs = component.runs.filter { Int($0.z) == slice }
            guard let right = runs.map(\.xEnd).max(), let top = runs.map(\.y).min() else { continue }
            let corner = frame.position(of: SIMD2(Double(right) * spacing.x, Double(top) * spacing.y))
            let text = "\(index + 1)"
            let room = (
                frame.width - Glyphs.width(of: text) * scale - scale, frame.height - Glyphs.height * scale - scale
            )
            let left = min(max(Int(corner.x) + scale, scale), max(scale, room.0))
            let upper = min(max(Int(corner.y) - Glyphs.height * scale, scale), max(scale, room.1))
            picture.write(
                text, at: (place.left + left, place.top + upper), scale: scale, colour: Colours.lesion)
        }
    }
}

extension Picture {
    /// One lesion at the slice of its longest diameter, with the diameter and its length.
    init(
        of diameter: DrawnLesions.Diameter, slice: Volume<Float>, labels: Volume<UInt8>,
        reference: Volume<UInt8>?
    ) {
        let frame = Frame(aroundDiameter: diameter.ends)
        self.init(width: frame.width, height: frame.height)
        draw(slice, labels: labels, number: diameter.slice, reference: reference, frame: frame)
        drawSidesAndScale(frame)
        let ends = diameter.ends.map(frame.position(of:))
        line(from: ends[0], to: ends[1], thickness: 2, colour: Colours.text)
        let across = (ends[1] - ends[0]) / max(1, ((ends[1] - ends[0]) * (ends[1] - ends[0])).sum().squareRoot())
        for end in ends {
            let tick = SIMD2(-across.y, across.x) * 6
            line(from: end - tick, to: end + tick, thickness: 2, colour: Colours.text)
        }
        write(
            String(format: "%d: %.1f mm", diameter.number, diameter.millimetres), at: (9, 9), scale: 3,
            colour: Colours.text)
    }
}

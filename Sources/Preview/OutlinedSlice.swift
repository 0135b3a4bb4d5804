public import Compute
public import Foundation
public import Imaging

/// Which axial slices are drawn.
public enum SliceChoice: Codable, Equatable, Sendable {
    /// The slice with the most lesion; without any, the one with the most liver; without any, the middle one.
    case key
    /// One slice, counted from 0 along the canonical z axis, from the feet.
    case number(Int)
    /// At most so many slices, spread evenly over the liver (over the scan where there is none) with the key slice among
    /// them, the lowest first; then pictures of the largest lesions alone, each at the slice of its longest diameter.
    case report(slices: Int, lesions: Int)
}

/// The picture of an axial slice with the outlines of liver (green) and lesions (orange), or of one lesion in it.
public struct OutlinedSlice: Sendable {
    /// The slice, counted from 0 along the canonical z axis, from the feet.
    public let number: Int
    /// The same slice counted along the file's own axial axis, as the lesion table does.
    public let fileNumber: Int
    /// The lesion that is shown alone, counted from 1 as in the lesion table; nil for a picture of the body.
    public let lesion: Int?
    /// The body, 640 pixels on its longer side, or a square around a lesion; the patient's right is at the left.
    public let picture: Picture
}

/// A slice that the scan does not have.
public struct NoSuchSlice: Error, Equatable, CustomStringConvertible {
    /// What was asked for.
    public let number: Int
    /// How many slices there are.
    public let slices: Int

    /// Slice `number` of a scan that has fewer.
    public init(number: Int, slices: Int) {
        self.number = number
        self.slices = slices
    }

    /// What is wrong, with what there is.
    public var description: String { "There is no slice \(number): the scan has the slices 0 to \(slices - 1)." }
}

/// Draws slices of a CT with a mask's outlines, holding the mask (a byte a voxel) and the wanted slices of the CT.
///
/// - Parameters:
///   - choice: which slices.
///   - image: the CT, NIfTI.
///   - mask: a label map on the CT's grid.
///   - reference: another one, outlined in dashed blue; nil for none.
///   - limits: the most voxels and bytes accepted.
///   - team: the threads that read the mask.
/// - Throws: ``NoSuchSlice``; `VolumeError` for what is wrong with a file, and where the grids differ.
public func outlinedSlices(
    _ choice: SliceChoice, of image: URL, mask: URL, reference: URL? = nil, limits: VolumeLimits = VolumeLimits(),
    team: ThreadTeam
) throws -> [OutlinedSlice] {
    let map = try readLabels(at: mask, limits: limits, team: team)
    let labels = map.volume
    let lesions = DrawnLesions(of: labels, team: team)
    let numbers: [Int]
    var diameters: [DrawnLesions.Diameter] = []
    switch choice {
    case .key: numbers = [keySlice(of: labels)]
    case .report(let slices, let count):
        numbers = overview(of: labels, count: slices)
        diameters = lesions.diameters(count: count)
    case .number(let number):
        guard (0..<labels.shape.z).contains(number) else { throw NoSuchSlice(number: number, slices: labels.shape.z) }
        numbers = [number]
    }
    var difference: String?
    let scan = try readSlices(of: image, limits: limits) { header in
        difference = map.header.gridDifference(from: header)
        return difference == nil ? numbers + diameters.map(\.slice) : []
    }
    if let difference { throw VolumeError.gridMismatch(difference: difference) }
    let other = try reference.map { try readReference($0, like: map.header, limits: limits, team: team) }
    let frame = Frame(aroundBodyIn: Array(scan.slices.prefix(numbers.count)), team: team)
    let bodies = zip(numbers, scan.slices).map { number, slice in
        var picture = Picture(width: frame.width, height: frame.height)
        picture.draw(slice, labels: labels, number: number, reference: other, frame: frame)
        picture.drawSidesAndScale(frame)
        lesions.writeNumbers(on: &picture, slice: number, frame: frame)
        return OutlinedSlice(
            number: number, fileNumber: scan.header.storedSlice(number), lesion: nil, picture: picture)
    }
    let alone = zip(diameters, scan.slices.dropFirst(numbers.count)).map { diameter, slice in
        OutlinedSlice(
            number: diameter.slice, fileNumber: scan.header.storedSlice(diameter.slice), lesion: diameter.number,
            picture: Picture(of: diameter, slice: slice, labels: labels, reference: other))
    }
    return bodies + alone
}

private func readReference(
    _ url: URL, like header: NIfTIHeader, limits: VolumeLimits, team: ThreadTeam
) throws -> Volume<UInt8> {
    let map = try readLabels(at: url, limits: limits, team: team)
    if let difference = map.header.gridDifference(from: header) {
        throw VolumeError.gridMismatch(difference: difference)
    }
    return map.volume
}

/// Slices spread evenly, of which the one nearest to the key slice makes way for it.
private func overview(of labels: Volume<UInt8>, count: Int) -> [Int] {
    var numbers = sliceNumbers(of: labels, count: count)
    let key = keySlice(of: labels)
    if let nearest = numbers.indices.min(by: { abs(numbers[$0] - key) < abs(numbers[$1] - key) }) {
        numbers[nearest] = key
    }
    return numbers
}

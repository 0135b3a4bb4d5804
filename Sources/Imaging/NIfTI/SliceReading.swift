public import Foundation

/// Reads some axial slices of a CT, without holding the others.
///
/// A file of 512 x 512 x 1026 voxels takes a few megabytes here, where ``readCT(at:limits:team:)`` takes a gigabyte. The
/// file is read as far as the last slice that is wanted, and so its checksum is not compared.
///
/// - Parameters:
///   - url: as for ``readCT(at:limits:team:)``.
///   - limits: the most voxels and bytes accepted.
///   - choose: is shown the header and gives the slices, counted from 0 along the canonical z axis, from the feet.
/// - Returns: the header, and for each of the slices its HU as a volume one voxel high, on canonical axes.
/// - Throws: as ``readCT(at:limits:team:)``.
public func readSlices(
    of url: URL, limits: VolumeLimits = VolumeLimits(), choose: (NIfTIHeader) -> [Int]
) throws(VolumeError) -> (header: NIfTIHeader, slices: [Volume<Float>]) {
    let source = try ByteSource(url)
    let header = try readHeader(from: source, limits: limits)
    let wanted = choose(header)
    precondition(wanted.allSatisfy { (0..<header.shape.z).contains($0) }, "slices \(wanted) of \(header.shape.z)")
    let empty = Volume<Float>(
        shape: Shape(header.shape.x, header.shape.y, 1), spacing: header.spacing, filledWith: -1024)
    var slices = [Volume<Float>](repeating: empty, count: wanted.count)

    var file = try NIfTIVoxels(path: url.path, header: header, isCompressed: source.isCompressed)
    let stored = header.storedShape
    let planeBytes = stored.x * stored.y * header.voxelType.size
    let plane = UnsafeMutableRawBufferPointer.allocate(byteCount: planeBytes, alignment: 64)
    defer { plane.deallocate() }
    let axis = header.axes.stored[2]
    let places = wanted.map { header.storedSlice($0) }
    let planes = axis == 2 ? (places.max() ?? -1) + 1 : stored.z
    for z in 0..<planes {
        try file.fill(plane)
        for (slice, place) in places.enumerated() where axis != 2 || place == z {
            slices[slice].voxels.withUnsafeMutableBufferPointer { output in
                header.voxelType.accept(
                    SlicePick(
                        plane: UnsafeRawBufferPointer(plane), header: header, z: z, place: place,
                        outputStart: wanted[slice] * header.shape.x * header.shape.y, output: output))
            }
        }
    }
    return (header, slices)
}

extension NIfTIHeader {
    /// Where canonical slice `z` lies along the file's own axial axis, and the other way round: both count from 0.
    public func storedSlice(_ z: Int) -> Int { axes.flipped[2] ? shape.z - 1 - z : z }
}

/// Decodes the part of a stored plane that belongs to one axial slice.
private struct SlicePick: VoxelTypeVisitor {
    let plane: UnsafeRawBufferPointer
    let header: NIfTIHeader
    /// The plane's place along the third stored axis.
    let z: Int
    /// The slice's place along the stored axis that is the axial one.
    let place: Int
    /// Where the slice would begin in the whole volume on canonical axes.
    let outputStart: Int
    let output: UnsafeMutableBufferPointer<Float>

    func visit<Stored: StoredVoxel>(_ type: Stored.Type) {
        let voxels = plane.bindMemory(to: type)
        let shape = header.storedShape
        let index = CanonicalIndex(axes: header.axes, storedShape: shape)
        let decoder = HounsfieldDecoder(slope: header.slope, intercept: header.intercept)
        let axis = header.axes.stored[2]
        for y in axis == 1 ? place..<place + 1 : 0..<shape.y {
            for x in axis == 0 ? place..<place + 1 : 0..<shape.x {
                let raw = voxels[y * shape.x + x]
                let target = index.base + x * index.strides[0] + y * index.strides[1] + z * index.strides[2]
                output[target - outputStart] = decoder.decode(header.isByteSwapped ? raw.byteSwapped : raw)
            }
        }
    }
}

import Compute
import Foundation
import Imaging

/// What the voxels showed while they were put together.
struct VoxelNotes {
    /// Voxels that became air: padding, and what lies below it.
    var padded = 0
    /// Voxels above what 16 bits hold.
    var clamped = 0
    /// Slices whose padding value is that of tissue, so that it was not replaced.
    var doubtfulPadding = 0
    /// Slices whose slope or intercept is not whole: HU were rounded.
    var rounded = 0
}

/// The lowest value of a CT, that of air with some room; padding is set to it.
private let air = -1024.0

/// Padding above this, in HU, might be tissue.
private let highestPadding = -500.0

extension Stack {
    /// The map from voxels to RAS millimetres, slices counted along their normal.
    ///
    /// Directions are brought to right angles: files give six digits, and NIfTI's qform needs more.
    var affine: Affine {
        let origin = first.position ?? .zero
        let x = first.alongRow / dot(first.alongRow, first.alongRow).squareRoot()
        let raw = first.alongColumn - x * dot(first.alongColumn, x)
        let y = raw / dot(raw, raw).squareRoot()
        // DICOM's x and y grow to Left and Posterior, NIfTI's to Right and Anterior.
        let turn = SIMD3(-1.0, -1, 1)
        return Affine(
            x: x * first.columnSpacing * turn, y: y * first.rowSpacing * turn,
            z: cross(x, y) * (spacing ?? 0) * turn, origin: origin * turn)
    }

    /// Decodes all slices and writes them as one NIfTI-1 volume in HU.
    func write(to output: URL, team: ThreadTeam) throws(DicomError) -> VoxelNotes {
        let shape = Shape(first.columns, first.rows, slices.count)
        let header = NIfTIHeader(shape: shape, affine: affine, voxelType: .int16)
        var volume = Imaging.Volume<Int16>(shape: header.shape, spacing: header.spacing, filledWith: Int16(air))
        let place = CanonicalPlaces(header)
        var notes = VoxelNotes()
        let reader = PixelReader()
        for (index, slice) in slices.enumerated() {
            let values = try slice.decoded(by: reader)
            let base = place.base + index * place.strides.z
            volume.voxels.withUnsafeMutableBufferPointer { voxels in
                slice.convert(values, notes: &notes) { row, column, hu in
                    voxels[base + row * place.strides.y + column * place.strides.x] = hu
                }
            }
        }
        do throws(VolumeError) {
            try writeCT(volume, header: header, to: output, team: team)
        } catch {
            throw .notWritten(code: error.code)
        }
        return notes
    }
}

/// Where a voxel of the file's order lies in an array on canonical axes.
private struct CanonicalPlaces {
    var base = 0
    var strides: (x: Int, y: Int, z: Int)

    init(_ header: NIfTIHeader) {
        let steps = [1, header.shape.x, header.shape.x * header.shape.y]
        var strides = [0, 0, 0]
        for axis in 0..<3 {
            let isFlipped = header.axes.flipped[axis]
            strides[header.axes.stored[axis]] = isFlipped ? -steps[axis] : steps[axis]
            if isFlipped { base += steps[axis] * (header.shape[axis] - 1) }
        }
        self.strides = (strides[0], strides[1], strides[2])
    }
}

extension SliceHeader {
    /// The slice's stored values.
    func decoded(by reader: PixelReader = PixelReader()) throws(DicomError) -> [Int32] {
        do throws(DicomFault) {
            return try reader.storedValues(of: file.path, frame: frame, rows: rows, columns: columns)
        } catch {
            switch error {
            case .unknownSyntax: throw .unsupportedSyntax
            case .unknownPixels: throw .unsupportedPixels(bits: bits, samples: samples)
            case .truncated, .empty, .noPixels: throw .truncatedSlice
            case .wrongSyntax: throw .wrongSyntax
            case .inflatesTooFar: throw .deflatedBomb(limit: DicomLimits().inflation)
            case .outOfMemory: throw .outOfMemory
            case .cannotOpen: throw .importFailed(reason: .cannotRead)
            case .noDictionary: throw .importFailed(reason: .noDictionary)
            case .damaged, .notDecoded, .notDicom: throw .damagedSlice
            }
        }
    }

    /// Stored values to HU, rounded; padding and what lies below air become air.
    fileprivate func convert(_ values: [Int32], notes: inout VoxelNotes, _ set: (Int, Int, Int16) -> Void) {
        var padding = padding
        if let range = padding, Double(range.upperBound) * slope + intercept > highestPadding {
            notes.doubtfulPadding += 1
            padding = nil
        }
        if slope.rounded() != slope || intercept.rounded() != intercept { notes.rounded += 1 }
        var index = 0
        for row in 0..<rows {
            for column in 0..<columns {
                let value = values[index]
                index += 1
                var hu = (Double(value) * slope + intercept).rounded()
                if hu < air || padding?.contains(value) == true {
                    if hu != air { notes.padded += 1 }
                    hu = air
                } else if hu > 32767 {
                    notes.clamped += 1
                    hu = 32767
                }
                set(row, column, Int16(hu))
            }
        }
    }
}

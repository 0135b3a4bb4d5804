import Compute
import Foundation
import Imaging
import Inference
import Phantom
import TestSupport

@testable import Training

let team = ThreadTeam(threads: 2)

/// A volume whose voxels are a function of their place.
func volume<Voxel>(
    _ shape: Shape, spacing: SIMD3<Double> = SIMD3(1, 1, 2), _ voxel: (_ x: Int, _ y: Int, _ z: Int) -> Voxel
) -> Volume<Voxel> {
    var voxels: [Voxel] = []
    for z in 0..<shape.z {
        for y in 0..<shape.y {
            for x in 0..<shape.x { voxels.append(voxel(x, y, z)) }
        }
    }
    return Volume(shape: shape, spacing: spacing, voxels: voxels)
}

/// A case whose HU tell the place: smooth, without symmetry, and different in every slice. Its liver is a box, and
/// below `y` of 20 lesion.
func smoothCase(
    _ name: String = "a", kind: TrainingCase.Kind = .scan, shape: Shape = Shape(61, 47, 7),
    liver: ClosedRange<Int> = 2...4,
    options: DataOptions = DataOptions(stage: .lesion)
) throws -> TrainingCase {
    try TrainingCase(
        name: name, kind: kind,
        ct: volume(shape) { x, y, z in Float((3 * x - 2 * y + 7 * z) % 97 + x * y / 40) },
        mask: volume(shape) { x, y, z in
            let isInside = (10..<30).contains(x) && (12..<40).contains(y) && liver.contains(z)
            return isInside ? y < 20 ? Label.lesion : Label.liver : Label.background
        },
        options: options, team: team)
}

/// Writes a case as a data folder has it.
func writeCase(
    _ name: String, in folder: URL, ct: Volume<Int16>, mask: Volume<UInt8>, axes: String = "LPS",
    suffix: String = "nii.gz"
) throws {
    func header(_ shape: Shape, _ spacing: SIMD3<Double>) throws -> NIfTIHeader {
        let grid = try phantomAffine(shape: shape, spacing: spacing, axes: axes)
        return NIfTIHeader(shape: grid.storedShape, affine: grid.affine, voxelType: .int16)
    }
    try writeCT(
        ct, header: header(ct.shape, ct.spacing), to: folder.appending(path: "\(name)_ct.\(suffix)"), team: team)
    try writeLabels(
        mask, like: header(mask.shape, mask.spacing), to: folder.appending(path: "\(name)_seg.\(suffix)"), team: team)
}

/// Writes a small case with a liver in its middle slices; slice `z` of the CT is `10 · z` HU.
func writeCase(
    _ name: String, in folder: URL, slices: Int = 4, axes: String = "LPS", suffix: String = "nii.gz"
) throws {
    let shape = Shape(20, 18, slices)
    try writeCase(
        name, in: folder, ct: volume(shape) { _, _, z in Int16(10 * z) },
        mask: volume(shape) { x, y, z in (5..<15).contains(x) && y > 8 && z > 0 ? x < 8 ? 2 : 1 : 0 }, axes: axes,
        suffix: suffix)
}

import Compute
import Foundation
import Imaging
import Phantom

/// A small phantom as files: quick to segment, large enough to have a liver.
struct SmallPhantom {
    let ct: URL
    let reference: URL
    /// The CT's values.
    let volume: Volume<Int16>

    init(in folder: URL, shape: Shape = Shape(112, 96, 24)) throws {
        let team = ThreadTeam(threads: 2)
        var options = PhantomOptions(seed: 5)
        options.shape = shape
        options.spacing = SIMD3(2, 2, 4)
        options.lesions = 3
        let phantom = makePhantom(options, team: team)
        volume = phantom.ct
        let grid = try phantomAffine(shape: options.shape, spacing: options.spacing, axes: "RAS")
        let header = NIfTIHeader(shape: grid.storedShape, affine: grid.affine, voxelType: .int16)
        ct = folder.appending(path: "ct.nii.gz")
        reference = folder.appending(path: "reference.nii.gz")
        try writeCT(phantom.ct, header: header, to: ct, team: team)
        try writeLabels(phantom.reference, like: header, to: reference, team: team)
    }
}

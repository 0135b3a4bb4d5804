extension NIfTIHeader {
    /// The voxels of a file begin at most this far in: room for large header extensions, not for hidden data.
    static let highestVoxelOffset = 64 << 20
    /// Voxel spacings that are accepted, in mm.
    static let acceptedSpacing = 0.1...20.0

    /// Reads and judges a header before anything is allocated for its voxels. No arithmetic on its numbers can overflow.
    ///
    /// Accepted are single files of three dimensions; a fourth to seventh of length 1 is ignored. Lengths are
    /// millimetres; a header that says metre or micrometre is refused rather than converted, because a mask must carry
    /// its geometry unchanged. Numbers that are not used, such as qform and pixdim beside a valid sform, are not judged.
    ///
    /// - Parameters:
    ///   - bytes: the beginning of the (inflated) file; 348 bytes of a NIfTI-1, 540 of a NIfTI-2 are read.
    ///   - limits: the most voxels and bytes accepted.
    /// - Throws: the ``VolumeError`` of the first fault, with what was found and what is accepted.
    public init(parsing bytes: [UInt8], limits: VolumeLimits = VolumeLimits()) throws(VolumeError) {
        let fields = try HeaderFields(recognising: bytes)
        let layout = fields.layout
        let shape = try fields.shape(limit: limits.voxels)

        let code = Int(fields.integer(Int16.self, at: layout.datatype))
        guard let type = VoxelType(code: code) else { throw .unsupportedDatatype(code: code) }
        let bits = Int(fields.integer(Int16.self, at: layout.bitpix))
        guard bits == type.size * 8 else { throw .bitpixMismatch(bits: bits, expected: type.size * 8) }

        let offset = fields.voxelOffset
        guard offset >= Double(layout.size), offset <= Double(Self.highestVoxelOffset), offset == offset.rounded()
        else {
            throw .badVoxelOffset(found: offset, lowest: layout.size, highest: Self.highestVoxelOffset)
        }
        let (voxelBytes, overflow) = shape.count.multipliedReportingOverflow(by: type.size)
        let (fileBytes, overflow2) = voxelBytes.addingReportingOverflow(Int(offset))
        guard !overflow, !overflow2, fileBytes <= limits.inflatedBytes else {
            throw .tooManyBytes(found: overflow || overflow2 ? .max : fileBytes, limit: limits.inflatedBytes)
        }

        let scaling = fields.scaling ?? (slope: 1, intercept: 0)
        guard scaling.slope.isFinite, scaling.intercept.isFinite else {
            throw .badScaling(slope: scaling.slope, intercept: scaling.intercept)
        }

        switch fields.units & 7 {
        case 1: throw .unitsNotMillimetres(found: "metres")
        case 3: throw .unitsNotMillimetres(found: "micrometres")
        default: break
        }
        let affine = try fields.affine()
        self.init(
            fields: fields, storedShape: shape, voxelType: type, voxelOffset: Int(offset),
            slope: scaling.slope, intercept: scaling.intercept, storedAffine: affine)
    }
}

extension HeaderFields {
    /// `scl_slope` and `scl_inter`; nil where the slope is 0 or either is NaN, which say that voxels are not scaled: then
    /// the other does not count either (nifti1.h, and nibabel and libnifti read it so).
    var scaling: (slope: Double, intercept: Double)? {
        let (slope, intercept) = (real(at: layout.slope), real(at: layout.intercept))
        return slope == 0 || slope.isNaN || intercept.isNaN ? nil : (slope, intercept)
    }

    /// The lengths of the three axes.
    fileprivate func shape(limit: Int) throws(VolumeError) -> Shape {
        let dimensions = dim(0)
        guard (1...7).contains(dimensions) else { throw .badDimensions(found: [dimensions]) }
        let found = (1...dimensions).map { dim($0) }
        guard found.allSatisfy({ $0 >= 1 }) else { throw .badDimensions(found: found) }
        guard found.dropFirst(3).allSatisfy({ $0 == 1 }) else { throw .fourDimensional(found: found) }
        guard dimensions >= 3, found.prefix(3).allSatisfy({ $0 >= 2 }) else { throw .tooFewSlices(found: found) }
        let (slice, overflow) = found[0].multipliedReportingOverflow(by: found[1])
        let (voxels, overflow2) = slice.multipliedReportingOverflow(by: found[2])
        guard !overflow, !overflow2, voxels <= limit else {
            throw .tooLarge(found: Array(found.prefix(3)), limit: limit)
        }
        return Shape(found[0], found[1], found[2])
    }

    /// The map from stored voxels to RAS millimetres.
    fileprivate func affine() throws(VolumeError) -> Affine {
        let affine: Affine
        let form: String
        if code(at: layout.sformCode) > 0 {
            form = "sform"
            let rows = (0..<12).map { real(at: layout.srows, $0) }
            guard rows.allSatisfy(\.isFinite) else { throw .affineNotFinite(form: form) }
            func column(_ index: Int) -> SIMD3<Double> { SIMD3(rows[index], rows[4 + index], rows[8 + index]) }
            affine = Affine(x: column(0), y: column(1), z: column(2), origin: column(3))
        } else if code(at: layout.qformCode) > 0 {
            form = "qform"
            try check(spacing: pixdim)
            affine = try qform(spacing: pixdim)
        } else {
            form = "spacing"
            let spacing = pixdim
            try check(spacing: spacing)
            affine = Affine(
                x: SIMD3(spacing.x, 0, 0), y: SIMD3(0, spacing.y, 0), z: SIMD3(0, 0, spacing.z), origin: .zero)
        }
        let steps = affine.spacing
        let volume = abs((cross(affine.x, affine.y) * affine.z).sum())
        // One part in a thousand of a box with these edges: far from any scanner's geometry.
        guard volume > 1e-3 * steps.x * steps.y * steps.z else { throw .singularAffine(form: form) }
        try check(spacing: steps)
        return affine
    }

    /// The map that the quaternion gives, whether or not its code says that it counts.
    ///
    /// - Throws: ``VolumeError/affineNotFinite(form:)``, ``VolumeError/singularAffine(form:)``.
    func qform(spacing: SIMD3<Double>) throws(VolumeError) -> Affine {
        let numbers = (0..<6).map { real(at: layout.quaternion, $0) } + [real(at: layout.pixdim)]
        guard numbers.allSatisfy(\.isFinite) else { throw .affineNotFinite(form: "qform") }
        let rotation = Quaternion(vector: SIMD3(numbers[0], numbers[1], numbers[2]), isLeftHanded: numbers[6] < 0)
        let origin = SIMD3(numbers[3], numbers[4], numbers[5])
        guard let map = rotation.affine(spacing: spacing, origin: origin) else { throw .singularAffine(form: "qform") }
        return map
    }

    /// `pixdim` of the three axes, in mm.
    var pixdim: SIMD3<Double> {
        SIMD3(real(at: layout.pixdim, 1), real(at: layout.pixdim, 2), real(at: layout.pixdim, 3))
    }

    private func check(spacing: SIMD3<Double>) throws(VolumeError) {
        // Single precision may put 0.1 a little below 0.1.
        let accepted = NIfTIHeader.acceptedSpacing
        let range = accepted.lowerBound * (1 - 1e-6)...accepted.upperBound * (1 + 1e-6)
        for axis in 0..<3 where !range.contains(spacing[axis]) {
            throw .spacingOutOfRange(axis: axis + 1, millimetres: spacing[axis])
        }
    }
}

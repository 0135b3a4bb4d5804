import Foundation

/// What is accepted before memory is spent on a file.
public struct VolumeLimits: Codable, Equatable, Sendable {
    /// The most voxels of a volume.
    public var voxels: Int
    /// The most bytes of a file, counted after inflation.
    public var inflatedBytes: Int
    /// The most times its own size that a compressed scan may inflate to, where that is more than ``freelyInflated``.
    public var inflationRatio: Int

    /// Limits; 600 million voxels hold a scan of 512 x 512 x 2288.
    ///
    /// Scans of real patients inflate to 9 times their size at most, and to some hundred times where all but one organ was
    /// painted over; deflate's own end is 1032. Masks inflate as far as that, and have no such limit.
    public init(voxels: Int = 600_000_000, inflatedBytes: Int = 2 << 30, inflationRatio: Int = 400) {
        self.voxels = voxels
        self.inflatedBytes = inflatedBytes
        self.inflationRatio = inflationRatio
    }

    /// What a scan may inflate to in any case: a quarter of a second's work.
    static let freelyInflated = 64 << 20

    /// For files of our own making.
    static let none = VolumeLimits(voxels: .max, inflatedBytes: .max, inflationRatio: .max)
}

/// The header of a single-file NIfTI-1 or NIfTI-2 volume, in either byte order, judged and understood.
///
/// A value of this type is sound: its shape has no overflow, its spacing is plausible, its map to the patient can be
/// inverted. "Stored" means as in the file; everything else is on canonical axes (x to Left, y to Posterior, z to
/// Superior).
public struct NIfTIHeader: Equatable, Sendable {
    /// The header as in the file: 348 or 540 bytes.
    public let bytes: [UInt8]
    /// 1 or 2.
    public let version: Int
    /// Whether the file's byte order is not this machine's.
    public let isByteSwapped: Bool
    /// Voxels along the file's axes, each at least 2.
    public let storedShape: Shape
    /// What a voxel is in the file.
    public let voxelType: VoxelType
    /// Where the voxels begin in the (inflated) file, in bytes.
    public let voxelOffset: Int
    /// HU = stored value · slope + intercept. 1 and 0 where the file says that nothing is scaled: by a slope of 0, or NaN.
    public let slope, intercept: Double
    /// The map from stored voxels to RAS millimetres: sform if its code is above 0, else qform if its code is above 0,
    /// else NIfTI's method 1, the spacing alone.
    public let storedAffine: Affine
    /// How the file's axes lie along the canonical ones.
    public let axes: CanonicalAxes

    /// Voxels along canonical axes.
    public var shape: Shape { axes.canonicalShape(of: storedShape) }
    /// Distance between voxel centres along canonical axes, in mm: the lengths of the map's steps.
    public var spacing: SIMD3<Double> { patientAffine.spacing }
    /// Volume of a voxel over that of a box with the same edges: 1 where the axes are at right angles.
    public var voxelShare: Double {
        let (x, y, z) = (storedAffine.x, storedAffine.y, storedAffine.z)
        return abs((cross(x, y) * z).sum()) / (length(x) * length(y) * length(z))
    }
    /// The map from canonical voxels to RAS millimetres.
    public var patientAffine: Affine { axes.canonicalAffine(of: storedAffine, shape: storedShape) }
    /// Bytes of the (inflated) file up to its last voxel.
    public var fileSize: Int { voxelOffset + storedShape.count * voxelType.size }

    init(
        fields: HeaderFields, storedShape: Shape, voxelType: VoxelType, voxelOffset: Int, slope: Double,
        intercept: Double, storedAffine: Affine
    ) {
        bytes = fields.bytes
        version = fields.layout.version
        isByteSwapped = fields.swapped
        self.storedShape = storedShape
        self.voxelType = voxelType
        self.voxelOffset = voxelOffset
        self.slope = slope
        self.intercept = intercept
        self.storedAffine = storedAffine
        axes = CanonicalAxes(of: storedAffine)
    }
}

extension NIfTIHeader {
    /// A new header in this machine's byte order, with sform of code 1 and, where the axes are at right angles, a
    /// qform of code 1.
    ///
    /// What does not make a sound header is a broken promise of the caller: fewer than 2 voxels along an axis, more
    /// than 32767 in NIfTI-1, a spacing outside 0.1 to 20 mm. NIfTI-1 keeps the map in single precision, and
    /// ``storedAffine`` is what it keeps.
    ///
    /// - Parameters:
    ///   - storedShape: voxels along the file's axes.
    ///   - affine: stored voxels to RAS millimetres.
    ///   - voxelType: what a voxel is in the file.
    ///   - slope: HU = stored value · slope + intercept.
    ///   - intercept: see `slope`.
    ///   - version: 1 or 2.
    public init(
        shape storedShape: Shape, affine: Affine, voxelType: VoxelType, slope: Double = 1, intercept: Double = 0,
        version: Int = 1
    ) {
        precondition(version == 1 || version == 2, "there is no NIfTI-\(version)")
        let layout = version == 1 ? HeaderLayout.one : .two
        var fields = HeaderFields(layout: layout)
        fields.set(dim: 0, to: 3)
        for axis in 0..<3 { fields.set(dim: axis + 1, to: storedShape[axis]) }
        for index in 4..<8 { fields.set(dim: index, to: 1) }
        fields.set(Int16(voxelType.code), at: layout.datatype)
        fields.set(Int16(voxelType.size * 8), at: layout.bitpix)
        fields.set(voxelOffset: layout.size + 4)
        fields.set(real: slope, at: layout.slope)
        fields.set(real: intercept, at: layout.intercept)
        fields.set(units: 2)  // millimetres
        fields.setGeometry(affine)
        do throws(VolumeError) {
            try self.init(parsing: fields.bytes, limits: .none)
        } catch {
            preconditionFailure("not a sound header: \(error)")
        }
    }
}

extension HeaderFields {
    /// Writes pixdim, sform and, where the axes are at right angles, qform.
    fileprivate mutating func setGeometry(_ affine: Affine) {
        let spacing = affine.spacing
        for row in 0..<3 {
            for column in 0..<3 { set(real: affine[column][row], at: layout.srows, 4 * row + column) }
            set(real: affine.origin[row], at: layout.srows, 4 * row + 3)
        }
        set(code: 1, at: layout.sformCode)
        for axis in 0..<3 { set(real: spacing[axis], at: layout.pixdim, axis + 1) }
        for index in 4..<8 { set(real: 1, at: layout.pixdim, index) }
        guard let rotation = Quaternion(of: affine) else {
            set(real: 1, at: layout.pixdim)
            return
        }
        set(real: rotation.isLeftHanded ? -1 : 1, at: layout.pixdim)
        for index in 0..<3 {
            set(real: rotation.vector[index], at: layout.quaternion, index)
            set(real: affine.origin[index], at: layout.qformOffset, index)
        }
        set(code: 1, at: layout.qformCode)
    }
}

/// NIfTI's qform rotation: a unit quaternion (a, b, c, d) with a at least 0, of which b, c and d are stored.
struct Quaternion {
    /// b, c, d.
    var vector: SIMD3<Double>
    /// NIfTI's `qfac`: the third axis is turned round after the rotation.
    var isLeftHanded: Bool

    /// The rotation with the given stored values.
    init(vector: SIMD3<Double>, isLeftHanded: Bool) {
        self.vector = vector
        self.isLeftHanded = isLeftHanded
    }

    /// The rotation of a map whose axes are at right angles; nil for others.
    init?(of affine: Affine) {
        let x = affine.x / length(affine.x)
        let y = affine.y / length(affine.y)
        var z = affine.z / length(affine.z)
        guard abs((x * y).sum()) < 1e-6, abs((x * z).sum()) < 1e-6, abs((y * z).sum()) < 1e-6 else { return nil }
        isLeftHanded = (cross(x, y) * z).sum() < 0
        if isLeftHanded { z = -z }
        // Of the four components the largest is found from the diagonal, the others from it: no small divisor.
        let squares = SIMD4(1 + x.x + y.y + z.z, 1 + x.x - y.y - z.z, 1 - x.x + y.y - z.z, 1 - x.x - y.y + z.z)
        let largest = (0..<4).max { squares[$0] < squares[$1] } ?? 0
        let s = squares[largest].squareRoot() * 2  // four times that component
        var q: SIMD4<Double>
        switch largest {
        case 0: q = SIMD4(s / 4, (y.z - z.y) / s, (z.x - x.z) / s, (x.y - y.x) / s)
        case 1: q = SIMD4((y.z - z.y) / s, s / 4, (y.x + x.y) / s, (z.x + x.z) / s)
        case 2: q = SIMD4((z.x - x.z) / s, (y.x + x.y) / s, s / 4, (z.y + y.z) / s)
        default: q = SIMD4((x.y - y.x) / s, (z.x + x.z) / s, (z.y + y.z) / s, s / 4)
        }
        if q.x < 0 { q = -q }
        vector = SIMD3(q.y, q.z, q.w)
    }

    /// The map with this rotation; nil where the stored values are longer than a unit quaternion.
    func affine(spacing: SIMD3<Double>, origin: SIMD3<Double>) -> Affine? {
        let squared = (vector * vector).sum()
        guard squared <= 1.001 else { return nil }
        var (a, v) = ((max(0, 1 - squared)).squareRoot(), vector)
        // Rounding may have made it a little longer than 1; libnifti does the same.
        if 1 - squared < 1e-7 { (a, v) = (0, vector / squared.squareRoot()) }
        let (b, c, d) = (v.x, v.y, v.z)
        let x = SIMD3(a * a + b * b - c * c - d * d, 2 * (b * c + a * d), 2 * (b * d - a * c))
        let y = SIMD3(2 * (b * c - a * d), a * a + c * c - b * b - d * d, 2 * (c * d + a * b))
        let z = SIMD3(2 * (b * d + a * c), 2 * (c * d - a * b), a * a + d * d - c * c - b * b)
        return Affine(
            x: x * spacing.x, y: y * spacing.y, z: z * (isLeftHanded ? -spacing.z : spacing.z), origin: origin)
    }
}

/// The vector at right angles to both.
func cross(_ a: SIMD3<Double>, _ b: SIMD3<Double>) -> SIMD3<Double> {
    SIMD3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x)
}

extension NIfTIHeader: Codable {
    /// Its bytes, which are judged again when they are read.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(Data(bytes))
    }

    /// Reads the header's bytes.
    ///
    /// - Throws: ``VolumeError``.
    public init(from decoder: any Decoder) throws {
        try self.init(parsing: Array(decoder.singleValueContainer().decode(Data.self)), limits: .none)
    }
}
